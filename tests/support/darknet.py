"""Darknet networks made on the spot: a .cfg, and weights of random numbers that fit it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from meerkat_inference.engines.darknet_cfg import Cfg
from meerkat_inference.opening import installed

DETECTOR = """\
[net]
batch=64
subdivisions=8
width=96
height=64
channels=3
hue=.1
saturation=1.5
policy=steps
steps=400000,450000

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
groups=4
activation=relu

[dropout]
probability=.2

[shortcut]
from=-3
activation=linear

[maxpool]
size=2
stride=2

[convolutional]
filters=12
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=5
stride=1

[route]
layers=-1,-2

[convolutional]
size=1
filters=21
activation=linear

[yolo]
mask=0,1,2
anchors=6,8, 12,10, 20,24, 30,30, 40,20, 60,50
classes=2
num=6
jitter=.3
ignore_thresh=.5

[route]
layers=-3

[upsample]
stride=2

[route]
layers=-1,1

[convolutional]
size=1
filters=21
activation=linear

[yolo]
mask=3,4,5
anchors=6,8, 12,10, 20,24, 30,30, 40,20, 60,50
classes=2
num=6
random=1
"""
"""Every layer that Debian's Darknet and OpenCV both know of YOLOv3, small; two classes."""


def needs(kind: str) -> None:
    """Skip the test where this engine is not installed."""
    if not installed(kind):
        pytest.skip(f"needs {kind}: apt install darknet")


def write_random(
    folder: Path, cfg: str = DETECTOR, *, seed: int = 7, name: str = "random"
) -> tuple[Path, Path]:
    """A .weights and its .cfg. Batch normalisation gets means near 0 and variances near 1."""
    rng = np.random.default_rng(seed)
    parsed = Cfg(cfg, where=name)
    parts: list[np.ndarray] = []
    shapes = parsed.shapes()
    depth = parsed.network().channels
    for section, (_, _, deep) in zip(parsed.sections[1:], shapes, strict=True):
        if section.name == "convolutional":
            size, groups = int(section.text("size", "1")), int(section.text("groups", "1"))
            inputs = (depth // groups) * size * size
            parts.append(rng.normal(0, 0.5, deep))
            if section.text("batch_normalize", "0") != "0":
                parts += [rng.normal(1, 0.2, deep), rng.normal(0, 0.2, deep), rng.uniform(0.5, 1.5, deep)]
            parts.append(rng.normal(0, 1.4 / np.sqrt(inputs), deep * inputs))
        depth = deep
    config, weights = folder / f"{name}.cfg", folder / f"{name}.weights"
    config.write_text(cfg)
    weights.write_bytes(struct.pack("<3iq", 0, 2, 5, 0) + np.concatenate(parts).astype("<f4").tobytes())
    return weights, config


def pixels(shape: tuple[int, ...], *, seed: int = 1) -> np.ndarray:
    """A smooth random picture as an engine takes it: float32 of 0..1, each a whole number of 255ths."""
    import cv2

    _, channels, height, width = shape
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, channels)).astype(np.uint8)
    picture = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis].astype(np.float32) / np.float32(255))
