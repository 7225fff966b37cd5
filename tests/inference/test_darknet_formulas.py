"""What OpenCV makes of the layers and options that Debian's Darknet does not know, against their formulas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meerkat_inference.opening import open_engine
from support.darknet import pixels, write_random

SIDE = 8
HEAD = f"[net]\nwidth={SIDE}\nheight={SIDE}\nchannels=4\n"
ANCHORS = np.array([[4, 5], [8, 9], [6, 3]], np.float32)
CLASSES = 2
CHANNELS = 3 * (5 + CLASSES)
Function = Callable[[np.ndarray], np.ndarray]


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def linear(values: np.ndarray) -> np.ndarray:
    return values


def conv(filters: int, activation: str = "linear") -> str:
    return f"\n[convolutional]\nfilters={filters}\nsize=1\nstride=1\npad=1\nactivation={activation}\n"


def yolo(extra: str = "") -> str:
    anchors = ",".join(f"{each:g}" for each in ANCHORS.ravel())
    return f"\n[yolo]\nmask=0,1,2\nanchors={anchors}\nclasses={CLASSES}\nnum=3\n{extra}\n"


class Run:
    """A network of 1x1 convolutions, run by OpenCV, with its input and its numbers at hand."""

    def __init__(self, folder: Path, cfg: str) -> None:
        weights, config = write_random(folder, cfg)
        self._numbers = np.frombuffer(weights.read_bytes()[20:], "<f4").astype(np.float64)
        engine = open_engine(weights, config=config)
        self.input = pixels(engine.inputs[0].shape)
        (self.rows,) = engine.run(self.input)
        self.values = self.input[0].astype(np.float64)

    def convolve(self, filters: int, function: Function = linear) -> None:
        """The next layer's formula, on what came before."""
        inputs = len(self.values)
        biases, self._numbers = np.split(self._numbers, [filters])
        weights, self._numbers = np.split(self._numbers, [filters * inputs])
        summed = np.einsum("oi,ihw->ohw", weights.reshape(filters, inputs), self.values)
        self.values = function(summed + biases[:, None, None])

    def boxes(self, scale: float = 1.0, *, new: bool = False) -> np.ndarray:
        """Rows of [yolo] from its formula. With new_coords the layer before it has the logistic already."""
        inner = linear if new else logistic
        x, y, width, height, objectness, *scores = self.values.reshape(3, 5 + CLASSES, SIDE, SIDE).swapaxes(
            0, 1
        )
        rows, columns = np.mgrid[:SIDE, :SIDE]
        shift = (scale - 1) / 2
        wide, high = (4 * each**2 if new else np.exp(each) for each in (width, height))
        known = inner(objectness)
        parts = [
            (inner(x) * scale - shift + columns) / SIDE,
            (inner(y) * scale - shift + rows) / SIDE,
            wide * ANCHORS[:, 0, None, None] / SIDE,
            high * ANCHORS[:, 1, None, None] / SIDE,
            known,
            *(known * inner(each) for each in scores),
        ]
        return np.stack(parts).transpose(2, 3, 1, 0).reshape(-1, 5 + CLASSES)

    def agrees(self, expected: np.ndarray) -> None:
        told = np.where(expected[:, 5:] > 0.01, expected[:, 5:], 0)
        np.testing.assert_allclose(self.rows[:, :5], expected[:, :5], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(self.rows[:, 5:], told, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1.05, 1.2])
def test_scale_x_y_lets_a_centre_leave_its_cell(tmp_path: Path, scale: float) -> None:
    run = Run(tmp_path, HEAD + conv(CHANNELS) + yolo(f"scale_x_y={scale}"))
    run.convolve(CHANNELS)
    run.agrees(run.boxes(scale))


def test_new_coords_squares_the_sizes(tmp_path: Path) -> None:
    """The boxes of YOLOv4-csp, YOLOv4x and YOLOv7: (2 t)² anchors, and no logistic of its own."""
    run = Run(tmp_path, HEAD + conv(CHANNELS, "logistic") + yolo("scale_x_y=2.0\nnew_coords=1"))
    run.convolve(CHANNELS, logistic)
    run.agrees(run.boxes(2.0, new=True))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mish", lambda v: v * np.tanh(np.log1p(np.exp(v)))),
        ("swish", lambda v: v * logistic(v)),
        ("logistic", logistic),
        ("relu", lambda v: np.maximum(v, 0)),
        ("leaky", lambda v: np.where(v > 0, v, 0.1 * v)),
        ("tanh", np.tanh),
    ],
)
def test_an_activation_is_what_it_is_called(tmp_path: Path, name: str, function: Function) -> None:
    run = Run(tmp_path, HEAD + conv(6, name) + conv(CHANNELS) + yolo())
    run.convolve(6, function)
    run.convolve(CHANNELS)
    run.agrees(run.boxes())


@pytest.mark.parametrize("group", [0, 1])
def test_a_route_takes_one_group_of_the_channels(tmp_path: Path, group: int) -> None:
    route = f"\n[route]\nlayers=-1\ngroups=2\ngroup_id={group}\n"
    run = Run(tmp_path, HEAD + conv(6) + route + conv(CHANNELS) + yolo())
    run.convolve(6)
    run.values = run.values[3 * group : 3 * group + 3]
    run.convolve(CHANNELS)
    run.agrees(run.boxes())


def test_a_route_puts_layers_behind_one_another_in_its_order(tmp_path: Path) -> None:
    run = Run(
        tmp_path, HEAD + conv(2) + conv(3, "mish") + "\n[route]\nlayers=-1,0\n" + conv(CHANNELS) + yolo()
    )
    run.convolve(2)
    first = run.values
    run.convolve(3, lambda v: v * np.tanh(np.log1p(np.exp(v))))
    run.values = np.concatenate([run.values, first])
    run.convolve(CHANNELS)
    run.agrees(run.boxes())


def test_a_shortcut_is_weighed_and_then_bent(tmp_path: Path) -> None:
    cfg = HEAD + conv(4) + conv(4) + "\n[shortcut]\nfrom=-2\nalpha=0.5\nactivation=leaky\n"
    run = Run(tmp_path, cfg + conv(CHANNELS) + yolo())
    run.convolve(4)
    first = run.values
    run.convolve(4)
    summed = 0.5 * run.values + first
    run.values = np.where(summed > 0, summed, 0.1 * summed)
    run.convolve(CHANNELS)
    run.agrees(run.boxes())
