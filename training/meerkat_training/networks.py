"""The small networks as PyTorch modules: what stands on a wheel, where a needle points, what a display shows.

All take (n, 3, height, width) float32 of 0..1. Wheels and needles give (n, BINS) logits: bins 0..99 are
positions k/10 of 0..10, circular (bin 99 neighbours bin 0), and bin 100 says that the picture is no digit or
no needle. Displays of segments give (n, SHOWN): the digits 0 to 9, a place left empty, no digit at all.

Plain 3×3 convolutions with ReLU6 and 2×2 steps: what an Edge TPU compiles and XNNPACK runs fast. The
last layer is a convolution over the whole remaining plane instead of a dense layer. It keeps where in
the picture something stands, which is what is asked for (so nothing is averaged over the height), it
is quantised channel by channel, and it needs no flattening, which would cost a transposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BINS = 101
"""100 tenths of a turn and "nothing to read here"."""
NOTHING = 100
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """One network: the picture it takes (pixels) and its layers as (channels, stride) of 3×3 convolutions.

    `neck` channels enter the last layer, whose kernel covers what is left of the plane.
    """

    height: int
    width: int
    layers: tuple[tuple[int, int], ...]
    neck: int
    outputs: int = BINS

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width of what the last layer sees."""
        height, width = self.height, self.width
        for _, stride in self.layers:
            height, width = -(-height // stride), -(-width // stride)
        return height, width


SHAPES = {
    "wheel": Shape(32, 20, ((16, 1), (24, 1), (32, 2), (48, 1), (64, 2), (64, 1), (80, 1)), 32),
    "needle": Shape(48, 48, ((16, 2), (24, 1), (48, 2), (64, 1), (64, 2), (80, 1)), 32),
    "segment": Shape(32, 20, ((16, 1), (24, 1), (32, 2), (48, 1), (64, 2), (64, 1), (80, 1)), 32, SHOWN),
}


def build(kind: str, *, dropout: float = 0.1) -> Any:
    """A fresh network, `wheel`, `needle` or `segment`, with random weights, as a torch.nn.Sequential."""
    from torch import nn

    shape = SHAPES[kind]
    layers: list[Any] = []
    depth = 3
    for channels, stride in shape.layers:
        layers += _convolution(depth, channels, 3, stride)
        depth = channels
    layers += _convolution(depth, shape.neck, 1, 1)
    layers += [nn.Dropout(dropout), nn.Conv2d(shape.neck, shape.outputs, shape.plane), nn.Flatten()]
    return nn.Sequential(*layers)


def _convolution(depth: int, channels: int, size: int, stride: int) -> list[Any]:
    from torch import nn

    return [
        nn.Conv2d(depth, channels, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    ]


def folded(network: Any) -> Any:
    """A copy without BatchNorm and dropout that takes pixels of 0..255: what is exported.

    Each normalisation and the division by 255 go into the convolution before them.
    """
    from copy import deepcopy

    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    layers: list[Any] = []
    for layer in deepcopy(network).eval():
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    with torch.no_grad():
        layers[0].weight /= 255
    return nn.Sequential(*layers).eval()
