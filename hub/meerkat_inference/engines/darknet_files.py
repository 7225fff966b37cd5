"""Check Darknet's pair of files before a runtime reads them.

Neither Darknet nor OpenCV compares the weights with the configuration: truncated weights load, and
find nothing or nonsense. So the size of the weights is computed from the configuration and compared,
and a configuration that says something its reader does not act on is refused (`darknet_readers`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meerkat_contract.errors import ModelError

from .darknet_cfg import Network, read_cfg
from .darknet_readers import READERS


@dataclass(frozen=True, slots=True)
class DarknetFiles:
    """A checked pair. `config` is the .cfg as its reader is to have it, with nothing that it ignores."""

    network: Network
    config: bytes
    weights: Path
    size: int
    """Bytes of the weights."""

    def still_there(self) -> None:
        """Raise ModelError when the weights have gone, or changed their size, since they were checked."""
        try:
            size = self.weights.stat().st_size
        except OSError as error:
            raise ModelError(
                f"the weights cannot be read any more ({error.strerror})",
                where=str(self.weights),
                remedy="Put the file back",
            ) from error
        if size != self.size:
            raise ModelError(
                f"the weights are {size} bytes now, they were {self.size}",
                where=str(self.weights),
                remedy="Start again when the file is whole",
            )


def check_darknet(weights: Path, config: Path, engine: str = "opencv") -> DarknetFiles:
    """Check a .weights and its .cfg for one engine. Raises ModelError that names file, line and remedy."""
    reader = READERS[engine]
    cfg = read_cfg(config)
    cfg.check(reader)
    network = cfg.network()
    try:
        size = weights.stat().st_size
        with weights.open("rb") as stream:
            header = stream.read(20)
    except OSError as error:
        raise ModelError(
            f"a Darknet network is two files, one cannot be read: {error.strerror}",
            where=str(weights),
            remedy="Put the .weights beside the .cfg; `meerkat models pull` fetches both",
        ) from error
    expected = network.parameters * 4 + _header_size(header, weights)
    if size != expected:
        raise ModelError(
            f"the weights are {size} bytes, {config.name} needs {expected}",
            where=str(weights),
            remedy="The file is truncated or belongs to another .cfg; fetch both again",
        )
    _check_numbers(weights, size - network.parameters * 4)
    return DarknetFiles(network, cfg.render(reader), weights, size)


def _check_numbers(weights: Path, header: int) -> None:
    """Weights of the right size may be damaged all the same; a network of such numbers finds nothing."""
    numbers = np.memmap(weights, "<f4", mode="r", offset=header)
    if not np.isfinite(numbers).all():
        raise ModelError(
            "the weights hold numbers that are none", where=str(weights), remedy="Fetch the file again"
        )


def _header_size(header: bytes, weights: Path) -> int:
    """Three int32 for the version, then how many pictures it was trained on: int64 since version 0.2."""
    if len(header) < 20:
        raise ModelError(
            f"the weights are {len(header)} bytes",
            where=str(weights),
            remedy="The file is truncated; fetch it again",
        )
    major, minor, _ = struct.unpack_from("<3i", header)
    return 20 if major * 10 + minor >= 2 else 16
