"""What is printed on plates: type lines, approval marks, numbers, bars, emblems; and small moving parts."""

from __future__ import annotations

from meerkat_training.arrays import Random

from .arrange import Plate
from .design import Kind, Print, PrintKind, readable_on
from .ink import Colour
from .lots import one_of

_MAKERS = ("AQUORA", "Halden & Voss", "Norvik S.p.A.", "TERMEX", "Brunnwerk", "ELMO Zähler", "Sondalec",
           "Rhenania", "HYDROLUX", "Kestrel", "Lindqvist AB", "Zennmeter")  # fmt: skip
_TYPES = ("CD SD PLUS", "MNK-L 130", "Typ RTKD-S", "ETK-EAX", "MODULARIS", "QN 1,5", "WP-Dynamic", "BK-G4",
          "G4 RF1", "MT174-D2", "Drehstromzähler", "JS90 2,5-02", "CORONA MW")  # fmt: skip
_LINES: dict[Kind, tuple[str, ...]] = {
    "water": ("Q3 2,5 m³/h  R80-H  R40-V", "T30  MAP 16  ΔP63", "Qn 2,5 m³/h", "30 °C  PN16", "Kl. B-H/A-V",
              "110 mm", "1 L/Imp.", "COLD WATER", "Kaltwasser", "90°C", "IP68", "U0D0 CL.2"),
    "gas": ("Qmax 6 m³/h  Qmin 0,04 m³/h", "pmax 0,5 bar", "V 1,2 dm³", "1 imp = 0,01 m³", "EN 1359:2017",
            "tm -25°C...+55°C", "Klasse 1,5", "GAS"),
    "electricity": ("3x230/400 V  10(60) A", "50 Hz", "75 U/kWh", "150 rev/kWh", "Cl. 2", "220 V 10-40 A",
                    "kWh", "CAT III", "1000 imp/kWh"),
}  # fmt: skip
_INKS: tuple[Colour, ...] = ((0.1, 0.1, 0.12), (0.3, 0.3, 0.33), (0.45, 0.45, 0.5), (0.12, 0.2, 0.45))
_PATCHES: tuple[Colour, ...] = (
    (0.15, 0.3, 0.65),
    (0.75, 0.15, 0.12),
    (0.6, 0.6, 0.62),
    (0.1, 0.4, 0.3),
    (0.9, 0.8, 0.2),
)


def printing(rng: Random, plate: Plate, kind: Kind) -> list[Print]:
    """Prints for the space that is still free, which they take; fewer where there is little of it."""
    dark = sum(plate.case.plate) < 1.2
    ink = readable_on(plate.case.plate) if dark else one_of(rng, _INKS)
    face = int(rng.integers(1000))
    prints: list[Print] = []

    def put(what: Print | None) -> None:
        if what is not None:
            prints.append(what)

    if kind == "water" and rng.random() < 0.75:
        put(_ornament(rng, plate, "star"))
    if kind == "electricity" and rng.random() < 0.7:
        put(_ornament(rng, plate, "slot"))
    if rng.random() < 0.75:
        put(_mark(rng, plate, ink, face, "ce"))
    if rng.random() < 0.6:
        put(_mark(rng, plate, ink, face, "boxed"))
    if rng.random() < 0.9:
        put(_line(rng, plate, serial_number(rng), ink, face=face, heights=(0.06, 0.11)))
    if rng.random() < 0.45:
        put(_mark(rng, plate, (0.05, 0.05, 0.05), face, "barcode"))
    if rng.random() < 0.6:
        put(_mark(rng, plate, one_of(rng, _PATCHES), face, "patch"))
    if rng.random() < 0.6:
        put(_mark(rng, plate, ink, face, "logo"))
    put(_line(rng, plate, one_of(rng, _MAKERS), ink, face=face, heights=(0.06, 0.13)))
    put(_line(rng, plate, one_of(rng, _TYPES), ink, face=face, heights=(0.05, 0.09)))
    for _ in range(int(rng.integers(1, 7))):
        put(_line(rng, plate, one_of(rng, _LINES[kind]), ink, face=face, heights=(0.04, 0.075)))
    if rng.random() < 0.15:
        put(_ornament(rng, plate, "eye"))
    return prints


def serial_number(rng: Random) -> str:
    """Digits that are no wheels."""
    digits = "".join(str(int(digit)) for digit in rng.integers(0, 10, int(rng.integers(5, 11))))
    prefix = one_of(rng, ("", "", "", "Nr. ", "No. ", "S/N ", "8SEN01 ", "1 HYD "))
    return prefix + digits


def _line(
    rng: Random, plate: Plate, text: str, ink: Colour, *, face: int, heights: tuple[float, float]
) -> Print | None:
    height = float(rng.uniform(*heights))
    width = len(text) * height * float(rng.uniform(0.66, 0.8))
    return _found(rng, plate, "text", (width, height), text=text, ink=ink, face=face)


def _mark(rng: Random, plate: Plate, ink: Colour, face: int, kind: PrintKind) -> Print | None:
    height = float(rng.uniform(0.1, 0.2))
    text = ""
    if kind == "ce":
        width = height * 1.5
    elif kind == "boxed":
        text = f"M{int(rng.integers(7, 27)):02d} {int(rng.integers(100, 2999)):04d}"
        width = height * 3.6
    elif kind == "barcode":
        width, height = float(rng.uniform(0.4, 0.8)), float(rng.uniform(0.08, 0.16))
        text = serial_number(rng) if rng.random() < 0.5 else ""
    elif kind == "patch":
        width, height = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.08, 0.2))
        text = one_of(rng, _MAKERS) if rng.random() < 0.7 else ""
    else:
        width = height
    return _found(rng, plate, kind, (width, height), text=text, ink=ink, face=face)


def _ornament(rng: Random, plate: Plate, kind: PrintKind) -> Print | None:
    """A star wheel, the slot of a Ferraris disc, or a sight glass."""
    size = float(rng.uniform(0.18, 0.34)) if kind == "star" else float(rng.uniform(0.07, 0.12))
    colour: Colour = (0.1, 0.1, 0.1)
    if kind == "star":
        palette: tuple[Colour, ...] = ((0.1, 0.15, 0.6), (0.7, 0.1, 0.1), (0.1, 0.1, 0.1), (0.85, 0.85, 0.85))
        colour = one_of(rng, palette)
    width = float(rng.uniform(0.5, 0.9)) if kind == "slot" else size
    return _found(rng, plate, kind, (width, size), text="", ink=colour, face=int(rng.integers(3, 13)))


def _found(
    rng: Random,
    plate: Plate,
    kind: PrintKind,
    size: tuple[float, float],
    *,
    text: str,
    ink: Colour,
    face: int,
) -> Print | None:
    place = plate.find(rng, *size)
    if place is None:
        return None
    seed = int(rng.integers(1 << 31))
    return Print(kind, place[0], place[1], size[0], size[1], text, ink, face, seed)
