"""The built-in water meter: a household's consumption, and the meter's face in an unlit basement.

The face has five black rollers of cubic metres, two red ones of tenths and hundredths, and two red needles
of litres and tenths of a litre. One number turns them all: the last roller creeps, each other one follows
while its right neighbour goes from 9 to 0, as in the real thing. The picture is what a camera with an
infrared lamp sees: monochrome, bright where the lamp looks, dark in the corners, noisy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache, partial
from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError
from meerkat_contract.meter_layout import MeterLayout, PixelBox

from .paint import Canvas, Points, clouds_of_noise, ellipse, rectangle

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = 86_400.0
_DAILY_LITRES = 264.0
"""Two people; the same sum every day, so that any day's reading is known without counting the days before."""

# What the two draw on a day: from hour, to hour, how often, seconds, litres.
_HABITS = (
    (6.3, 7.6, 2, 380.0, 46.0),  # showers
    (6.2, 8.3, 3, 45.0, 6.0),  # toilet and washing
    (6.5, 8.0, 2, 40.0, 1.5),  # coffee
    (8.5, 11.5, 1, 2900.0, 48.0),  # washing machine, in truth in gulps
    (9.0, 17.0, 5, 45.0, 6.0),
    (11.8, 13.5, 4, 60.0, 3.5),  # cooking
    (17.5, 19.8, 6, 70.0, 4.0),
    (19.5, 20.5, 1, 2400.0, 12.0),  # dishwasher
    (18.0, 23.3, 6, 45.0, 6.0),
    (1.0, 5.0, 1, 45.0, 6.0),
)

WIDTH, HEIGHT = 1280, 720
_CENTRE, _RADIUS = (640.0, 372.0), 262.0
_BLACKS, _REDS = 5, 2
_CELL, _DIGIT = (48.0, 74.0), 60.0  # Width of a roller and height of its window; height of a digit's place.
_ROLLERS_AT = (640.0 - 3.5 * _CELL[0], 262.0)
_NEEDLES = ((560.0, 486.0, 0.001), (722.0, 486.0, 0.0001))
_NEEDLE_RADIUS = 62.0
_PITCH = 1.024  # From one digit to the next on the roller, in windows.
_TILT, _ZOOM = 1.4, 1.03  # Degrees by which nobody ever mounted a camera straight; and how near it is.
_STAR = (641.0, 412.0)
_STAR_TURNS = 9.0  # Of the star wheel, for each litre.


class BasementMeter:
    """A water meter somewhere below the stairs. ``width`` by ``height`` pixels, best in 16:9."""

    def __init__(
        self, *, seed: int = 0, start_litres: float = 482_316.4, width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        self.width, self.height = width, height
        self._seed, self._start = seed, start_litres
        self._scale = min(width / WIDTH, height / HEIGHT)
        rng = np.random.default_rng(seed)
        self._face = self._fitted(_paint_basement(rng, self._scale))
        self._lamp, self._glare = _lamp(width, height)
        self._strips = {red: _paint_strip(self._scale, red=red) for red in (False, True)}

    def reading(self, at: datetime) -> float:
        """Cubic metres at ``at``, which must know its time zone; never falls.

        Habits follow the hours of UTC: local clocks turn back once a year, a meter does not.
        """
        if at.tzinfo is None:
            raise MediaError(
                f"the time {at.isoformat()} names no time zone",
                where="basement meter",
                remedy="Give an aware datetime, for example datetime.now(UTC)",
            )
        day, second = divmod((at - _START).total_seconds(), _DAY)
        begins, lasts, litres = _draws(self._seed, int(day))
        drawn = float((litres * np.clip((second - begins) / lasts, 0.0, 1.0)).sum())
        return (self._start + day * _DAILY_LITRES + min(drawn, _DAILY_LITRES)) / 1000.0

    def layout(self) -> MeterLayout:
        """Where the wheels and needles are in what `render` gives, ready for a reader."""
        high = _CELL[1] * _ZOOM * self._scale
        rollers = [
            self._seen(_ROLLERS_AT[0] + (number + 0.5) * _CELL[0], _ROLLERS_AT[1] + _CELL[1] / 2)
            for number in range(_BLACKS + _REDS)
        ]
        side = 2 * (_NEEDLE_RADIUS + 3) * _ZOOM * self._scale
        return MeterLayout(
            rotation_deg=_TILT,
            digits=tuple(_box(*middle, high * 0.625, high) for middle in rollers),
            integer_digits=_BLACKS,
            pointers=tuple(_box(*self._seen(x, y), side, side) for x, y, _ in _NEEDLES),
            pointer_factors=tuple(factor for _, _, factor in _NEEDLES),
            unit="m³",
            width=self.width,
            height=self.height,
        )

    def _seen(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a place of the design in the picture turned upright: column and row."""
        column, row = self._place(x, y)
        return (
            (column - self.width / 2) * _ZOOM + self.width / 2,
            (row - self.height / 2) * _ZOOM + self.height / 2,
        )

    def render(self, at: datetime, *, light: bool = True) -> Bytes:
        """The picture at ``at``: (height, width, 3) BGR; without the lamp nearly black."""
        reading = self.reading(at)
        noise = np.random.default_rng([self._seed, round(at.timestamp() * 1000)])
        if light:
            scene = self._face.copy()
            self._draw_rollers(scene, reading)
            self._draw_needles(scene, reading)
            self._draw_star(scene, reading)
            scene = self._tilted(scene)
            exposed = scene * self._lamp + self._glare
            exposed = exposed / (
                0.72 + 0.28 * exposed
            )  # The sensor's shoulder: bright parts do not burn out.
            grain = 0.010 + 0.012 * exposed
        else:
            exposed = self._face * 0.010 + 0.006
            grain = np.full_like(exposed, 0.007)
        exposed = exposed + grain * noise.standard_normal(exposed.shape, np.float32)
        grey = np.clip(exposed * 255, 0, 255).astype(np.uint8)
        return np.dstack([grey, grey, grey])

    def _fitted(self, picture: Floats) -> Floats:
        """The picture centred on the wanted size, its rim continued."""
        rows, columns = picture.shape
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        self._offset = (left, top)
        spare = ((top, self.height - rows - top), (left, self.width - columns - left))
        return np.pad(picture, spare, mode="edge")

    def _tilted(self, scene: Floats) -> Floats:
        middle = (self.width / 2, self.height / 2)
        matrix = cv2.getRotationMatrix2D(middle, _TILT, _ZOOM)
        turned: Floats = cv2.warpAffine(scene, matrix, (self.width, self.height)).astype(np.float32)
        return cv2.GaussianBlur(turned, (0, 0), 0.7 * self._scale).astype(np.float32)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return x * self._scale + self._offset[0], y * self._scale + self._offset[1]

    def _draw_rollers(self, scene: Floats, reading: float) -> None:
        width, height = round(_CELL[0] * self._scale), round(_CELL[1] * self._scale)
        # A window shows the front of the roller: towards its rims digits are squeezed and darker.
        y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
        bend = np.arcsin(y * 0.86) / np.arcsin(np.float32(0.86))
        shade = np.sqrt(1 - (y * 0.80) ** 2) ** 0.9
        shade = shade * (1 - 0.45 * np.exp(-(y + 1) / 0.09))  # The plate's upper edge throws a shadow.
        columns = np.tile(np.arange(width, dtype=np.float32), (height, 1))
        for number, position in enumerate(wheel_positions(reading)):
            strip = self._strips[number >= _BLACKS]
            pitch = strip.shape[0] / 12
            rows = (position + 1.0) * pitch + pitch / 2 + bend * (height / 2)
            seen = cv2.remap(
                strip, columns, np.tile(rows[:, None], (1, width)).astype(np.float32), cv2.INTER_LINEAR
            )
            left, top = self._place(_ROLLERS_AT[0] + number * _CELL[0], _ROLLERS_AT[1])
            x, row = round(left), round(top)
            edge = round(3 * self._scale)
            window = (slice(row, row + height), slice(x + edge, x + width - edge))
            scene[window] = (seen * shade[:, None])[:, edge : width - edge]

    def _draw_needles(self, scene: Floats, reading: float) -> None:
        for (x, y, _), turned in zip(_NEEDLES, needle_positions(reading), strict=True):
            turn = 2 * pi * turned / 10
            shadow = (4.0, 5.0)
            for (dx, dy), level in ((shadow, 0.34), ((0.0, 0.0), 0.16)):
                tip = _NEEDLE_RADIUS * 0.74
                across = (cos(turn), sin(turn))
                ahead = (sin(turn), -cos(turn))
                outline = [
                    (x + dx + ahead[0] * a + across[0] * b, y + dy + ahead[1] * a + across[1] * b)
                    for a, b in ((tip, 0.0), (8.0, 6.5), (-16.0, 4.0), (-16.0, -4.0), (8.0, -6.5))
                ]
                self._fill(scene, outline, level)
                self._fill(scene, ellipse(x + dx, y + dy, 9, 9), level)
            self._fill(scene, ellipse(x, y, 3.5, 3.5), 0.5)

    def _draw_star(self, scene: Floats, reading: float) -> None:
        """The little wheel that turns with the least flow."""
        x, y = _STAR
        turned = 2 * pi * (reading * 1000 * _STAR_TURNS % 1.0)
        for (dx, dy), level in (((2.0, 3.0), 0.45), ((0.0, 0.0), 0.2)):
            for arm in range(6):
                angle = arm * pi / 3 + turned
                corners = ((17.0, -0.12), (17.0, 0.12), (7.0, 0.42), (7.0, -0.42))
                points = [
                    (x + dx + away * sin(angle + side), y + dy - away * cos(angle + side))
                    for away, side in corners
                ]
                self._fill(scene, points, level)
            self._fill(scene, ellipse(x + dx, y + dy, 8, 8), level)
        self._fill(scene, ellipse(x, y, 2.5, 2.5), 0.55)

    def _fill(self, scene: Floats, points: Points, level: float) -> None:
        fixed = np.round(np.asarray([self._place(*point) for point in points]) * 16).astype(np.int32)
        cv2.fillPoly(scene, [fixed], level, cv2.LINE_8, 4)


def _box(x: float, y: float, width: float, height: float) -> PixelBox:
    """About a middle."""
    return round(x - width / 2, 1), round(y - height / 2, 1), round(width, 1), round(height, 1)


def wheel_positions(reading: float) -> list[float]:
    """Where the rollers stand, most significant first, each in 0 up to 10 (2.5: half-way from 2 to 3)."""
    last = reading * 10**_REDS % 10
    positions = [last]
    whole = int(reading * 10**_REDS)
    carry = max(0.0, last - 9.0)
    for _ in range(_BLACKS + _REDS - 1):
        whole //= 10
        digit = whole % 10
        positions.append((digit + carry) % 10)
        carry = carry if digit == 9 else 0.0
    return positions[::-1]


def needle_positions(reading: float) -> list[float]:
    """Where the needles point, most significant first, in tenths of a turn clockwise from the top."""
    return [reading / factor % 10 for _, _, factor in _NEEDLES]


@lru_cache(maxsize=8)
def _draws(seed: int, day: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What is drawn on a day: seconds of begin, duration, litres; the litres add up to the daily sum."""
    rng = np.random.default_rng([seed, day & 0xFFFFFFFF])
    rows = [
        (rng.uniform(first, last) * 3600, lasts * rng.uniform(0.8, 1.25), litres * rng.uniform(0.75, 1.3))
        for first, last, often, lasts, litres in _HABITS
        for _ in range(often)
    ]
    begins, lasts, litres = np.array(rows, np.float64).T
    return begins, lasts, litres * (_DAILY_LITRES / litres.sum())


def _lamp(width: int, height: int) -> tuple[Floats, Floats]:
    """The lamp's light over the picture, with its hot spot, and its glare in the glass."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    x = (x - 0.5) * width / height
    hot = np.exp(-(((x - 0.10) / 0.62) ** 2 + ((y - 0.44) / 0.50) ** 2))
    light = 0.16 + 1.02 * hot
    corner = 1 - 0.45 * np.clip((x / 0.9) ** 2 + ((y - 0.5) / 0.55) ** 2 - 0.35, 0, 1)
    glare = 0.55 * np.exp(-(((x - 0.26) / 0.045) ** 2 + ((y - 0.285) / 0.035) ** 2))
    glare = glare + 0.10 * np.exp(-(((x - 0.24) / 0.14) ** 2 + ((y - 0.28) / 0.10) ** 2))
    return (light * corner).astype(np.float32), glare.astype(np.float32)


def _paint_strip(scale: float, *, red: bool) -> Floats:
    """The roller unrolled: 9, then 0 to 9, then 0 from above; (rows, columns), 0 to 1.

    Red shows bright under infrared light: the red rollers, with white digits, turn out a middling grey.
    """
    width, pitch = round(_CELL[0] * scale), round(_CELL[1] * _PITCH * scale)
    fine = 4
    strip = np.full((12 * pitch * fine, width * fine), 0.42 if red else 0.90, np.float32)
    ink = 0.95 if red else 0.06
    for row, digit in enumerate([9, *range(10), 0]):
        text, font = str(digit), cv2.FONT_HERSHEY_DUPLEX
        size = _DIGIT * scale * fine / 30 * 0.80
        thick = max(1, round(5.2 * scale * fine))
        (wide, tall), _ = cv2.getTextSize(text, font, size, thick)
        origin = (round((width * fine - wide) / 2), round((row + 0.5) * pitch * fine + tall / 2))
        cv2.putText(strip, text, origin, font, size, ink, thick, cv2.LINE_AA)
    small = cv2.resize(strip, (width, 12 * pitch), interpolation=cv2.INTER_AREA)
    return np.clip(small, 0, 1).astype(np.float32)


def _paint_basement(rng: np.random.Generator, scale: float) -> Floats:
    """Everything that stands still: the wall, the pipes, the meter and its printing; reflectance 0 to 1."""
    canvas = Canvas(WIDTH, HEIGHT, scale=scale, coloured=False)
    put = partial(_put, canvas)
    put(rectangle(-2, -2, WIDTH + 2, HEIGHT + 2), 0.36)
    for row in range(10):
        for column in range(-1, 9):
            x, y = column * 160.0 + (row % 2) * 80.0, row * 76.0
            put(rectangle(x + 3, y + 3, x + 157, y + 73), 0.30 + 0.035 * float(rng.standard_normal()))
    shape = (canvas.grey.shape[0], canvas.grey.shape[1])
    canvas.grey *= 1 + 0.05 * clouds_of_noise(rng, shape, 60) + 0.05 * clouds_of_noise(rng, shape, 700)
    cx, cy = _CENTRE
    _paint_pipe(canvas, -2, WIDTH + 2, 46)
    for x in (300.0, 900.0):
        _paint_pipe(canvas, x, x + 80, 66)
    for ring, level in ((30, 0.20), (26, 0.46), (18, 0.62), (8, 0.30), (3, 0.12)):
        put(ellipse(cx, cy, _RADIUS + ring, _RADIUS + ring, 120), level)
    put(ellipse(cx, cy, _RADIUS, _RADIUS, 120), 0.84)
    _paint_rim(canvas)
    _paint_print(canvas)
    canvas.grey *= 1 + 0.012 * clouds_of_noise(rng, shape, 300)
    small = cv2.resize(canvas.grey, canvas.size, interpolation=cv2.INTER_AREA)
    return np.clip(small, 0, 1).astype(np.float32)


def _paint_rim(canvas: Canvas) -> None:
    """The metal ring that holds the glass: it mirrors the lamp where it is turned towards it."""
    cx, cy = _CENTRE
    for step in range(180):
        angle = step * pi / 90
        level = 0.42 + 0.38 * max(0.0, cos(angle - 0.7)) ** 6 + 0.22 * max(0.0, cos(angle - 3.9)) ** 10
        ends = ((_RADIUS + 9, -0.019), (_RADIUS + 25, -0.019), (_RADIUS + 25, 0.019), (_RADIUS + 9, 0.019))
        _put(canvas, [(cx + r * sin(angle + a), cy - r * cos(angle + a)) for r, a in ends], level)


def _put(canvas: Canvas, points: Points, level: float) -> None:
    canvas.poly(points, (0.0, 0.0, 0.0), level)


def _paint_pipe(canvas: Canvas, x0: float, x1: float, radius: float) -> None:
    """A pipe that lies across, brightest a little above its middle."""
    for across in np.linspace(-1, 1, 40).tolist():
        y = _CENTRE[1] + 40 + across * radius
        _put(canvas, rectangle(x0, y, x1, y + 5), 0.12 + 0.58 * max(0.0, 1 - (across + 0.2) ** 2) ** 1.6)


def _paint_print(canvas: Canvas) -> None:
    """The frame of the rollers, the dials' scales and what is printed on the face."""
    put = partial(_put, canvas)
    left, top = _ROLLERS_AT
    right, bottom = left + 7 * _CELL[0], top + _CELL[1]
    put(rectangle(left - 12, top - 12, right + 12, bottom + 12), 0.22)
    put(rectangle(left + _BLACKS * _CELL[0], top - 12, right + 12, bottom + 12), 0.50)
    for number in range(7):
        x = left + number * _CELL[0]
        put(rectangle(x + 1, top - 3, x + _CELL[0] - 1, bottom + 3), 0.07)
    cx, cy = _CENTRE
    for tick in range(100):
        angle = tick * 2 * pi / 100
        inner = _RADIUS - (20 if tick % 5 == 0 else 13)
        corners = ((inner, -0.9), (_RADIUS - 6, -0.9), (_RADIUS - 6, 0.9), (inner, 0.9))
        put(
            [
                (cx + r * sin(angle) + w * cos(angle), cy - r * cos(angle) + w * sin(angle))
                for r, w in corners
            ],
            0.25,
        )
    for x, y, factor in _NEEDLES:
        put(ellipse(x, y, _NEEDLE_RADIUS + 3, _NEEDLE_RADIUS + 3, 80), 0.30)
        put(ellipse(x, y, _NEEDLE_RADIUS, _NEEDLE_RADIUS, 80), 0.90)
        for digit in range(10):
            angle = digit * 2 * pi / 10
            dot = _NEEDLE_RADIUS - 5
            put(ellipse(x + dot * sin(angle), y - dot * cos(angle), 2.6, 2.6, 16), 0.15)
            place = (x + (_NEEDLE_RADIUS - 19) * sin(angle), y - (_NEEDLE_RADIUS - 19) * cos(angle))
            _print(canvas, str(digit), place, 0.50, 0.15)
        _print(canvas, f"x{factor:.{3 if factor > 0.0005 else 4}f}", (x, y + _NEEDLE_RADIUS + 18), 0.55, 0.2)
    _print(canvas, "m3", (right + 40, top + _CELL[1] / 2), 0.95, 0.12)
    _print(canvas, "Q3 2,5 m3/h   R80-H", (cx, 210), 0.58, 0.25)
    _print(canvas, "30 bar   T50   N 2019-448213", (cx, 236), 0.46, 0.32)
    _print(canvas, "COLD WATER", (cx, 184), 0.70, 0.18)


def _print(canvas: Canvas, text: str, middle: tuple[float, float], size: float, level: float) -> None:
    """Print a line centred on ``middle``."""
    font, zoom = cv2.FONT_HERSHEY_SIMPLEX, canvas.scale
    thick = max(1, round(1.6 * zoom))
    (wide, tall), _ = cv2.getTextSize(text, font, size * zoom, thick)
    origin = (round(middle[0] * zoom - wide / 2), round(middle[1] * zoom + tall / 2))
    cv2.putText(canvas.grey, text, origin, font, size * zoom, level, thick, cv2.LINE_AA)
