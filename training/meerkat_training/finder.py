"""What the finder network shall say of a picture, and the network: see meerkat_inference.meter.propose.

Plain 3×3 convolutions, spread out (dilated) at an eighth of the picture's size so that each cell sees the
row it belongs to: what tells a wheel from the figures of a serial number is its neighbours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from meerkat_inference.meter.propose.finder import DIAL, OFFSET, SIZE, STRIDE, TILT, WHEEL, Channel

from .arrays import Floats

LAYERS = (
    (16, 2, 1),
    (24, 2, 1),
    (32, 1, 1),
    (64, 2, 1),
    (64, 1, 1),
    (64, 1, 2),
    (64, 1, 1),
    (64, 1, 4),
    (64, 1, 2),
    (64, 1, 1),
)
"""Channels, step, spread of the 3×3 convolutions."""
_SMALLEST = 6.0
"""Pixels: a wheel that is lower is not asked for."""


class Boxes(NamedTuple):
    """What is in one picture, in its pixels."""

    wheels: Floats
    """(n, 6): middle x, y, width, height, after the point (0 or 1), tilt in radians clockwise"""
    dials: Floats
    """(n, 4): middle x, y, size, mirrored (0 or 1)"""
    upright: bool = True
    """Else nothing of it is to be found, and of its dials nothing is said."""


def build() -> Any:
    """A fresh network with random weights, a torch.nn.Sequential."""
    from torch import nn

    layers: list[Any] = []
    depth = 3
    for channels, step, spread in LAYERS:
        layers += [
            nn.Conv2d(depth, channels, 3, step, spread, dilation=spread, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(),
        ]
        depth = channels
    layers += [nn.Conv2d(depth, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6()]
    last = nn.Conv2d(64, len(Channel), 1)
    nn.init.zeros_(last.bias)
    with_few = [Channel.WHEEL, Channel.DIAL]
    last.bias.data[with_few] = -4.0  # most cells are empty
    return nn.Sequential(*layers, last)


def targets(boxes: Boxes, side: int) -> tuple[Floats, Floats]:
    """What each cell shall say, and how much it matters: both (cells, cells, len(Channel)).

    Of the two maps of likelihood the target is 1 in a middle and falls off around it. Their weight is 0
    where nothing is asked.
    """
    count = side // STRIDE
    line = (np.arange(count, dtype=np.float32) + 0.5) * STRIDE
    across, down = np.meshgrid(line, line)
    wanted = np.zeros((count, count, len(Channel)), np.float32)
    weight = np.zeros_like(wanted)
    weight[..., [Channel.WHEEL, Channel.DIAL]] = 1
    if not boxes.upright:
        for x, y, size, _ in boxes.dials:
            weight[(np.abs(across - x) < size / 2) & (np.abs(down - y) < size / 2), Channel.DIAL] = 0
        return wanted, weight
    nearest = np.full((count, count), np.inf, np.float32)
    for x, y, width, height, after, tilt in boxes.wheels:
        dx, dy = across - x, down - y
        if height < _SMALLEST:
            weight[(np.abs(dx) < width) & (np.abs(dy) < height), Channel.WHEEL] = 0
            continue
        away = (dx / max(0.5 * width, 5.0)) ** 2 + (dy / max(0.4 * height, 5.0)) ** 2
        wanted[..., Channel.WHEEL] = np.maximum(wanted[..., Channel.WHEEL], _hill(away))
        own = (away < 1) & (away < nearest)
        nearest[own] = away[own]
        said = {
            Channel.WHEEL_X: -dx * OFFSET,
            Channel.WHEEL_Y: -dy * OFFSET,
            Channel.WHEEL_WIDTH: np.log(width / WHEEL[0]) * SIZE,
            Channel.WHEEL_HEIGHT: np.log(height / WHEEL[1]) * SIZE,
            Channel.WHEEL_AFTER: after,
            Channel.WHEEL_TILT: tilt * TILT,
        }
        _say(wanted, weight, own, said)
    for x, y, size, mirrored in boxes.dials:
        dx, dy = across - x, down - y
        away = (dx**2 + dy**2) / max(0.25 * size, 5.5) ** 2
        wanted[..., Channel.DIAL] = np.maximum(wanted[..., Channel.DIAL], _hill(away))
        said = {
            Channel.DIAL_X: -dx * OFFSET,
            Channel.DIAL_Y: -dy * OFFSET,
            Channel.DIAL_SIZE: np.log(size / DIAL) * SIZE,
            Channel.DIAL_MIRRORED: mirrored,
        }
        _say(wanted, weight, away < 1, said)
    return wanted, weight


def _hill(away: Floats) -> Floats:
    """1 in the nearest cell, whatever the middle's place between cells, and falling off around it."""
    least = float(away.min())
    return np.asarray(np.exp(-1.5 * (away - least)), np.float32) if least < 2 else np.zeros_like(away)


def _say(wanted: Floats, weight: Floats, where: Any, said: dict[Channel, Any]) -> None:
    for channel, value in said.items():
        wanted[where, channel] = value[where] if isinstance(value, np.ndarray) else value
        weight[where, channel] = 1


def loss(seen: Any, wanted: Any, weight: Any) -> tuple[Any, dict[str, float]]:
    """Of (n, len(Channel), cells, cells) tensors: the sum, and its parts for people.

    Likelihoods as in CornerNet (Law and Deng, ECCV 2018, equation 1), places and sizes by absolute error.
    """
    import torch
    from torch.nn import functional

    parts: dict[str, Any] = {}
    for name, channel in (("wheels", Channel.WHEEL), ("dials", Channel.DIAL)):
        logit, soft, matters = seen[:, channel], wanted[:, channel], weight[:, channel]
        here = (soft > 0.8).float()
        right = functional.logsigmoid(logit) * torch.sigmoid(-logit) ** 2 * here
        wrong = functional.logsigmoid(-logit) * torch.sigmoid(logit) ** 2 * (1 - here) * (1 - soft) ** 4
        parts[name] = -((right + wrong) * matters).sum() / (here * matters).sum().clamp(min=8)
    places = {
        "at": ([Channel.WHEEL_X, Channel.WHEEL_Y, Channel.DIAL_X, Channel.DIAL_Y], 0.6),
        "size": ([Channel.WHEEL_WIDTH, Channel.WHEEL_HEIGHT], 0.8),
        "round": ([Channel.DIAL_SIZE], 1.2),  # by itself: there are fewer dials than wheels
        "tilt": ([Channel.WHEEL_TILT], 0.5),
    }
    for name, (channels, much) in places.items():
        matters = weight[:, channels]
        off = functional.smooth_l1_loss(seen[:, channels], wanted[:, channels], reduction="none", beta=0.2)
        parts[name] = much * (off * matters).sum() / matters.sum().clamp(min=8)
    told = [Channel.WHEEL_AFTER, Channel.DIAL_MIRRORED]
    matters = weight[:, told]
    off = functional.binary_cross_entropy_with_logits(seen[:, told], wanted[:, told], reduction="none")
    parts["told"] = 0.5 * (off * matters).sum() / matters.sum().clamp(min=8)
    return sum(parts.values()), {name: float(part.detach()) for name, part in parts.items()}
