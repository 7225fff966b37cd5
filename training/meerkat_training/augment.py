"""What a picture of the pool suffers anew each time it is used: cheap, on whole batches, in torch.

The renderer does what is expensive (light, lens, JPEG). This keeps a picture that is used several times
from being learnt by heart. Nothing here moves a picture: the truth would move with it.
"""

from __future__ import annotations

from typing import Any


def augment(pictures: Any, generator: Any, *, covered: float = 0.12) -> Any:
    """(n, 3, height, width) float32 of 0..1 → the same shape, each picture changed in its own way.

    `covered` is the share of pictures that lose a small part: none where that may be what tells two apart.
    """
    import torch

    n = len(pictures)

    def draw(*shape: int) -> Any:
        return torch.rand(shape, generator=generator)

    def some(share: float) -> Any:
        return draw(n, 1, 1, 1) < share

    # Casts and monochrome sensors: mix the channels.
    mixed = pictures[:, torch.randperm(3, generator=generator)]
    pictures = torch.where(some(0.2), mixed, pictures)
    grey = pictures.mean(1, keepdim=True).expand_as(pictures)
    pictures = torch.where(some(0.15), grey, pictures)
    pictures = torch.where(some(0.1), 1 - pictures, pictures)
    # Exposure and contrast, and a little of both for each channel.
    gain = 0.7 + 0.6 * draw(n, 1, 1, 1) + 0.2 * (draw(n, 3, 1, 1) - 0.5)
    shift = 0.2 * (draw(n, 1, 1, 1) - 0.5) + 0.06 * (draw(n, 3, 1, 1) - 0.5)
    middle = pictures.mean((1, 2, 3), keepdim=True)
    pictures = torch.where(some(0.7), (pictures - middle) * gain + middle + shift, pictures)
    # Noise of its own strength.
    strength = 0.05 * draw(n, 1, 1, 1) ** 2
    pictures = pictures + strength * torch.randn(pictures.shape, generator=generator)
    return cut_out(pictures, draw, some(covered)).clamp_(0, 1)


def cut_out(pictures: Any, draw: Any, chosen: Any) -> Any:
    """Cover a small box with one tone where `chosen`: dirt, a reflection."""
    import torch

    n, _, height, width = pictures.shape
    rows = torch.arange(height).view(1, 1, height, 1)
    columns = torch.arange(width).view(1, 1, 1, width)
    y, x = draw(n, 1, 1, 1) * height, draw(n, 1, 1, 1) * width
    h, w = (0.05 + 0.12 * draw(n, 1, 1, 1)) * height, (0.05 + 0.2 * draw(n, 1, 1, 1)) * width
    inside = ((rows - y).abs() < h) & ((columns - x).abs() < w) & chosen
    return torch.where(inside, draw(n, 3, 1, 1), pictures)
