"""Tiny networks made on the spot, so that engines can be tested without any model file."""

from __future__ import annotations

import struct
from pathlib import Path

CFG = """\
[net]
width=32
height=32
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=4
size=3
stride=2
pad=1
groups=2
activation=linear

[shortcut]
from=-1
activation=linear

[route]
layers=-1,-2

[convolutional]
size=1
filters=18
activation=linear

[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=1
num=3
"""
PARAMETERS = (4 * 4 + 4 * 3 * 9) + (4 + 4 * 2 * 9) + (18 + 18 * 8)


def write_darknet(folder: Path, *, cfg: str = CFG, parameters: int = PARAMETERS) -> tuple[Path, Path]:
    """A .weights and its .cfg; the numbers are all small and alike."""
    config, weights = folder / "tiny.cfg", folder / "tiny.weights"
    config.write_text(cfg)
    weights.write_bytes(struct.pack("<3iq", 0, 2, 5, 0) + struct.pack("<f", 0.01) * parameters)
    return weights, config


def write_relu(path: Path) -> Path:
    """An ONNX network `y = relu(x)` over float32 (1, 3), in ONNX's protobuf encoding."""

    def message(field: int, content: bytes) -> bytes:
        return bytes([field << 3 | 2, len(content)]) + content

    def number(field: int, value: int) -> bytes:
        return bytes([field << 3, value])

    def tensor(name: bytes) -> bytes:
        shape = message(1, number(1, 1)) + message(1, number(1, 3))
        return message(1, name) + message(2, message(1, number(1, 1) + message(2, shape)))

    node = message(1, b"x") + message(2, b"y") + message(4, b"Relu")
    graph = message(1, node) + message(2, b"g") + message(11, tensor(b"x")) + message(12, tensor(b"y"))
    path.write_bytes(number(1, 8) + message(7, graph) + message(8, number(2, 13)))
    return path
