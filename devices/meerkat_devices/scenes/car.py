"""A small car seen from its side, painted once."""

from __future__ import annotations

from .paint import Canvas, Colour, ellipse, smooth
from .sculpt import Sprite

LENGTH, HEIGHT = 4.2, 1.5
_MARGIN = 0.1
_WHEELS = (0.83, 3.36)
_RADIUS = 0.31


def _points(*pairs: tuple[float, float]) -> list[tuple[float, float]]:
    """Metres from the rear bumper and above the ground, as canvas coordinates (y down)."""
    return [(x + _MARGIN, HEIGHT + _MARGIN - y) for x, y in pairs]


def paint_car(*, scale: float, paint: Colour = (0.20, 0.22, 0.70)) -> Sprite:
    """The car heading right, at ``scale`` pixels to the metre; its anchor is the ground below its middle."""
    canvas = Canvas(LENGTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN, scale=scale, supersampling=4)
    dark = (paint[0] * 0.55, paint[1] * 0.55, paint[2] * 0.55)
    light = (min(1, paint[0] * 1.25 + 0.16), min(1, paint[1] * 1.25 + 0.16), min(1, paint[2] * 1.25 + 0.16))
    body = smooth(
        _points(
            (0.06, 0.30),
            (0.02, 0.60),
            (0.06, 0.88),
            (0.28, 0.98),
            (0.62, 1.22),
            (0.95, 1.42),
            (1.55, 1.49),
            (2.10, 1.47),
            (2.52, 1.33),
            (2.98, 1.00),
            (3.60, 0.90),
            (4.02, 0.78),
            (4.18, 0.56),
            (4.16, 0.30),
            (3.70, 0.22),
            (2.10, 0.20),
            (0.50, 0.22),
        )
    )
    canvas.poly(body, light, 0.50, dark)
    canvas.poly(_points((0.05, 0.80), (4.00, 0.76), (4.10, 0.70), (0.04, 0.72)), light, 0.56, paint)
    glass = smooth(
        _points(
            (0.60, 1.02),
            (0.80, 1.24),
            (1.02, 1.37),
            (1.56, 1.42),
            (2.06, 1.40),
            (2.40, 1.28),
            (2.76, 1.02),
            (2.20, 0.97),
            (1.40, 0.97),
        )
    )
    canvas.poly(glass, (0.62, 0.52, 0.42), 0.10, (0.22, 0.18, 0.15))
    for x0, x1 in ((1.53, 1.62), (0.98, 1.03)):
        canvas.poly(_points((x0, 1.44), (x1, 1.44), (x1 + 0.02, 0.97), (x0 + 0.02, 0.97)), paint, 0.45, dark)
    canvas.poly(_points((1.72, 1.38), (1.96, 1.38), (2.22, 0.99), (1.98, 0.99)), (0.78, 0.70, 0.60), 0.16)
    for seam in ((1.60, 0.96, 1.64, 0.28), (2.62, 0.98, 2.60, 0.32), (0.92, 0.96, 1.10, 0.62)):
        x0, y0, x1, y1 = seam
        canvas.poly(_points((x0, y0), (x0 + 0.015, y0), (x1 + 0.015, y1), (x1, y1)), dark, 0.25)
    for x in (1.70, 0.96):
        canvas.poly(_points((x, 0.86), (x + 0.17, 0.86), (x + 0.17, 0.83), (x, 0.83)), light, 0.6)
    canvas.poly(_points((0.10, 0.34), (4.12, 0.34), (4.10, 0.24), (0.40, 0.22)), (0.12, 0.11, 0.11), 0.16)
    canvas.poly(
        smooth(_points((3.84, 0.74), (4.08, 0.70), (4.14, 0.58), (3.92, 0.60))), (0.95, 0.97, 0.98), 1.0
    )
    canvas.poly(
        smooth(_points((0.04, 0.84), (0.20, 0.86), (0.20, 0.68), (0.04, 0.64))), (0.12, 0.10, 0.72), 0.9
    )
    canvas.poly(smooth(_points((2.52, 1.06), (2.66, 1.10), (2.70, 0.98), (2.54, 0.96))), paint, 0.5, dark)
    for x in _WHEELS:
        arch = _points((x, 0.32))[0]
        canvas.poly(
            [p for p in ellipse(*arch, 0.40, 0.38) if p[1] <= arch[1] + 0.12], (0.06, 0.06, 0.06), 0.05
        )
        hub = _points((x, _RADIUS))[0]
        canvas.poly(ellipse(*hub, _RADIUS, _RADIUS), (0.10, 0.10, 0.10), 0.14)
        canvas.poly(ellipse(*hub, 0.20, 0.20), (0.74, 0.73, 0.72), 0.75)
        canvas.poly(ellipse(*hub, 0.16, 0.16), (0.50, 0.49, 0.48), 0.5)
        canvas.poly(ellipse(*hub, 0.06, 0.06), (0.80, 0.80, 0.80), 0.8)
    colour, grey, cover = canvas.finish()
    return Sprite(colour, grey, cover, ((LENGTH / 2 + _MARGIN) * scale, (HEIGHT + _MARGIN) * scale), scale)
