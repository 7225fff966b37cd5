"""The networks that read wheels, needles and digits of displays, each loaded when the first crop comes.

They are trained on rendered meters (docs/how-to/train-meter.md). Each takes one picture and gives 101
numbers, see `distribution`, or 12, see `segments`; `card.json` beside them says how sure they may be
taken to be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import EDGE_TPU_LIBRARY, Engine, is_edge_tpu
from meerkat_inference.opening import open_engine

FOLDER = Path(__file__).parent / "models"
_REMEDY = "Install Meerkat again: pip install --force-reinstall meerkat-home"


class Reads(Protocol):
    """What turns crops into distributions: `Networks`, or a stand-in for tests."""

    def wheels(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 32, 20, 3) RGB to (n, 101) probabilities."""
        ...

    def needles(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 48, 48, 3) RGB, clockwise dials, to (n, 101) probabilities."""
        ...

    def segments(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 32, 20, 3) RGB, digits of a display, to (n, 12) probabilities."""
        ...


class Networks:
    """All of them on one device. Belongs to the thread that uses it, as its engines do."""

    def __init__(
        self,
        folder: Path = FOLDER,
        *,
        device: str = "cpu",
        kind: str | None = None,
        library: str = EDGE_TPU_LIBRARY,
        suffix: str = "",
    ) -> None:
        """`kind` names the runtime, see `opening`. `suffix`: "-float" takes the unquantised files."""
        self._folder, self._device, self._kind, self._library = folder, device, kind, library
        self._suffix = "_edgetpu" if is_edge_tpu(device) else suffix
        self._engines: dict[str, Engine] = {}
        self._temperatures: dict[str, float] | None = None

    def wheels(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run("wheel", crops)

    def needles(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run("needle", crops)

    def segments(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not self._path("segment").is_file():
            raise ModelError(
                "no network for LCD and LED digits is there",
                where=str(self._path("segment")),
                remedy="Train one, docs/how-to/train-meter.md: scripts/train-meter --only segment",
            )
        return self._run("segment", crops, numbers=12)

    def close(self) -> None:
        """Give the memory back; the next crop loads them again."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def _run(self, name: str, crops: NDArray[np.uint8], *, numbers: int = 101) -> NDArray[np.float32]:
        if not len(crops):
            return np.zeros((0, numbers), np.float32)
        engine = self._engine(name)
        # One by one: the files take one picture, and that is as fast on a small machine.
        quantised = engine.inputs[0].dtype == "uint8"
        pictures = crops if quantised else crops.astype(np.float32)
        if not quantised and engine.inputs[0].dtype != "float32":
            raise ModelError(
                f"it takes {engine.inputs[0].dtype} where pictures are uint8",
                where=str(self._path(name)),
                remedy=_REMEDY,
            )
        logits = np.concatenate([engine.run(picture[None])[0].reshape(1, -1) for picture in pictures])
        if logits.shape[1] != numbers:
            raise ModelError(
                f"it gives {logits.shape[1]} numbers, and {numbers} are wanted",
                where=str(self._path(name)),
                remedy=_REMEDY,
            )
        return softmax(np.asarray(logits / self._temperature(name), np.float32))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{self._suffix}.tflite"

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = open_engine(
                self._path(name), kind=self._kind, device=self._device, library=self._library
            )
        return self._engines[name]

    def _temperature(self, name: str) -> float:
        """By what its logits are divided, so that it is right as often as it says."""
        if self._temperatures is None:
            self._temperatures = _temperatures(self._folder / "card.json")
        return self._temperatures.get(name, 1.0)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, numbers) to probabilities, row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _temperatures(card: Path) -> dict[str, float]:
    """`{"networks": {"wheel": {"temperature": 1.2}, ...}}`; a card without them means 1."""
    try:
        told = json.loads(card.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the models' card cannot be read: {error}", where=str(card), remedy=_REMEDY
        ) from error
    networks = told.get("networks", {})
    return {name: float(about.get("temperature", 1.0)) for name, about in networks.items()}
