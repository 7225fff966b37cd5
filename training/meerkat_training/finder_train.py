"""Train the finder on rendered meters, and export it:

    PYTHONPATH=training:contract:hub:devices python -m meerkat_training.finder_train

It renders a stock of meters, trains on ever new views of them, looks once a minute at views of meters that
it never trains on, and writes finder.tflite (int8, takes bytes).
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from meerkat_inference.meter.propose.finder import FILE, SIDE

from .arrays import Floats
from .export import export_int8
from .finder import build, loss, targets
from .finder_data import Meter, batches, render, view
from .networks import folded
from .train import average

LEARN_SIDE, BATCH, RATE = 192, 16, 2.5e-3
Views = tuple[NDArray[np.uint8], Floats, Floats]
HELD_OUT = 150
"""Meters of the stock that are not trained on."""


@click.command(name="python -m meerkat_training.finder_train")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=20.0, show_default=True)
@click.option("--meters", type=click.IntRange(min=HELD_OUT + 50), default=3000, show_default=True)
@click.option(
    "--stock",
    "stock_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the rendered meters there; when they are, take them.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=FILE.parent)
@click.option(
    "--weights",
    "weights_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the weights there; when they are, go on from them.",
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(min=1e-6, max=0.1),
    default=RATE,
    show_default=True,
    help="Learning rate at its highest; half of it goes on well from weights that are kept.",
)
def main(
    *,
    minutes: float,
    meters: int,
    stock_file: Path | None,
    out: Path,
    weights_file: Path | None,
    workers: int,
    seed: int,
    rate: float,
) -> None:
    """Train the network that finds the wheels and dials of a meter, on rendered ones.

    Takes --workers processors: they render first (two to six meters a second), and train then.
    """
    import torch

    torch.set_num_threads(workers)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    stock = _stock(stock_file, meters, seed, workers)
    network = build()
    if weights_file is not None and weights_file.exists():
        network.load_state_dict(torch.load(weights_file))
    kept = fit(network, stock[HELD_OUT:], stock[:HELD_OUT], minutes=minutes, seed=seed, rate=rate)
    if weights_file is not None:
        torch.save(kept.state_dict(), weights_file)
    export(kept, stock[:HELD_OUT], out)


def _stock(file: Path | None, count: int, seed: int, workers: int) -> list[Meter]:
    """Read from the file, or rendered and kept there."""
    if file is not None and file.exists():
        stock: list[Meter] = pickle.loads(file.read_bytes())
        return stock
    stock = []
    with click.progressbar(render(count, 1000 + seed, workers), count, label="rendering") as meters:
        stock.extend(meters)
    if file is not None:
        file.write_bytes(pickle.dumps(stock))
    return stock


def fit(
    network: Any,
    stock: Sequence[Meter],
    held_out: Sequence[Meter],
    *,
    minutes: float,
    seed: int,
    rate: float = RATE,
) -> Any:
    """Train for `minutes`; the averaged network. Prints a line a minute."""
    import torch

    network.to(memory_format=torch.channels_last)
    kept = deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    held = _held_out(held_out)
    ahead = _ahead(batches(stock, size=BATCH, side=LEARN_SIDE, seed=seed))
    started = told = time.monotonic()
    step = 0
    sums: dict[str, float] = {}
    while (done := (time.monotonic() - started) / (60 * minutes)) < 1:
        now = rate * min(1.0, (step + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = now
        network.train()
        pictures, wanted, weight = (_tensor(part) for part in next(ahead))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen = network(pictures.contiguous(memory_format=torch.channels_last) / 255)
        total, parts = loss(seen.float(), wanted, weight)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        average(kept, network, min(0.998, 1 - 4 / (step + 4)))
        for name, part in parts.items():
            sums[name] = 0.98 * sums.get(name, part) + 0.02 * part
        if time.monotonic() - told > 60:
            told = time.monotonic()
            seen_now = " ".join(f"{name} {part:.3f}" for name, part in sums.items())
            unseen = " ".join(f"{name} {part:.3f}" for name, part in _look(kept, held).items())
            click.echo(f"{done:4.0%} {step * BATCH:6d} views | {seen_now} | unseen meters: {unseen}")
    return kept


def export(network: Any, meters: Sequence[Meter], out: Path) -> None:
    """Write finder.tflite (uint8 in, int8 inside) to a folder."""
    import litert_torch
    import torch

    # The exporter cuts weights that lie channels last in memory.
    plain_order = folded(network).to(memory_format=torch.contiguous_format)
    module = litert_torch.to_channel_last_io(plain_order, args=[0], outputs=[0]).eval()
    example = torch.rand(1, SIDE, SIDE, 3) * 255
    rng = np.random.default_rng(5)
    pictures = np.stack([view(meter, SIDE, rng)[0] for meter in meters])
    file = out / "finder.tflite"
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "finder.tflite"
        litert_torch.convert(module, (example,)).export(str(plain))
        export_int8(plain, pictures, file)
    click.echo(f"{file}: {file.stat().st_size} bytes")


def _held_out(meters: Sequence[Meter]) -> list[tuple[Any, Any, Any]]:
    rng = np.random.default_rng(77)
    views = [view(meter, LEARN_SIDE, rng) for meter in meters]
    parts = []
    for at in range(0, len(views), 50):
        some = views[at : at + 50]
        wanted = [targets(boxes, LEARN_SIDE) for _, boxes in some]
        parts.append(
            (
                _tensor(np.stack([picture for picture, _ in some])),
                _tensor(np.stack([want for want, _ in wanted])),
                _tensor(np.stack([weight for _, weight in wanted])),
            )
        )
    return parts


def _look(network: Any, held: list[tuple[Any, Any, Any]]) -> dict[str, float]:
    import torch

    network.eval()
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for pictures, wanted, weight in held:
            _, parts = loss(network(pictures / 255), wanted, weight)
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + part / len(held)
    return sums


def _tensor(part: NDArray[np.uint8] | Floats) -> Any:
    """(n, h, w, c) array → (n, c, h, w) float32."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))).float()


def _ahead(views: Iterator[Views]) -> Iterator[Views]:
    """The same, made a little in advance on a thread of its own: OpenCV and NumPy let go of the lock."""
    queue: Queue[Views] = Queue(8)

    def fill() -> None:
        for one in views:
            queue.put(one)

    Thread(target=fill, name="views", daemon=True).start()
    while True:
        yield queue.get()


if __name__ == "__main__":
    main()
