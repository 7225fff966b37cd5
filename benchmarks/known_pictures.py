"""Make the known pictures of `meerkat worker verify`, and the table of what each model finds in them.

    python benchmarks/known_pictures.py [--pictures] [--models-folder FOLDER]

Writes hub/meerkat_inference/known/published.json with the models that are on this machine, each on its
first engine; with --pictures the three pictures too. Run it on a quiet machine: it measures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_inference import catalogue, known, store
from meerkat_inference.faces.loading import load_embedder
from meerkat_inference.loading import load_detector
from meerkat_inference.picture import encode_jpeg
from meerkat_inference.verify import FLOOR, milliseconds

FOLDER = Path(known.__file__).parent
MOMENTS = {"person": 6.0, "car": 35.5}
"""Seconds of the porch's story."""


def make_pictures() -> None:
    from meerkat_devices.scenes.porch import Porch

    porch = Porch()
    for name, at in MOMENTS.items():
        frame = cv2.resize(np.asarray(porch.render(at)), (768, 432), interpolation=cv2.INTER_AREA)
        (FOLDER / f"{name}.jpg").write_bytes(encode_jpeg(np.asarray(frame, np.uint8), quality=70))
    wall = np.full((432, 768, 3), 110, np.uint8)
    wall[96:336, 300:500] = painted_face()
    (FOLDER / "face.jpg").write_bytes(encode_jpeg(wall, quality=80))


class Brush:
    """Draws on a large canvas, in the coordinates of a small one."""

    def __init__(self, width: int, height: int, scale: int, colour: tuple[int, int, int]) -> None:
        self.scale = scale
        self.canvas: NDArray[np.uint8] = np.full((height * scale, width * scale, 3), colour, np.uint8)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: tuple[int, int, int],
        *,
        arc: tuple[int, int] = (0, 360),
        line: float = -1,
    ) -> None:
        """Filled, or a line of that width."""
        centre, radii = ((round(a * self.scale), round(b * self.scale)) for a, b in ((x, y), (rx, ry)))
        width = -1 if line < 0 else max(1, round(line * self.scale))
        cv2.ellipse(self.canvas, centre, radii, 0, *arc, colour, width, cv2.LINE_AA)


def painted_face() -> NDArray[np.uint8]:
    """(240, 200, 3): nobody in particular, looking this way."""
    skin, shade, hair = (140, 170, 215), (105, 130, 180), (30, 40, 50)
    brush = Brush(200, 240, 4, (150, 140, 120))
    draw = brush.oval
    draw(100, 235, 85, 60, (90, 60, 40))
    draw(100, 185, 18, 32, shade)
    draw(100, 100, 62, 78, hair)
    draw(100, 115, 52, 68, skin)
    draw(100, 72, 54, 36, hair, arc=(180, 360))
    draw(48, 118, 7, 14, skin)
    draw(152, 118, 7, 14, skin)
    light = brush.canvas.copy()
    draw(100, 115, 52, 68, shade, arc=(-70, 70), line=10)
    brush.canvas[:] = cv2.addWeighted(brush.canvas, 0.6, light, 0.4, 0)
    for x in (79, 121):
        draw(x, 106, 13, 9, shade)
        draw(x, 107, 11, 6, (245, 245, 245))
        draw(x, 107, 5.2, 5.6, (60, 80, 60))
        draw(x, 107, 2.6, 2.8, (10, 10, 10))
        draw(x, 107, 11, 6.5, hair, arc=(190, 350), line=1.6)
        draw(x, 94, 14, 6, hair, arc=(200, 340), line=3.5)
    draw(96, 120, 1, 12, shade)
    draw(100, 135, 9, 6, shade)
    draw(100, 132.5, 8, 6, (150, 180, 225))
    draw(95.5, 137, 2.2, 1.6, (60, 70, 110))
    draw(104.5, 137, 2.2, 1.6, (60, 70, 110))
    draw(100, 155, 19, 6.5, (90, 90, 190))
    draw(100, 153.2, 19, 2.2, (50, 50, 110))
    draw(100, 158, 12, 2.2, (120, 120, 215))
    draw(100, 172, 14, 4, shade, arc=(0, 180), line=1.2)
    small = cv2.resize(brush.canvas, (200, 240), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(1).normal(0, 3, small.shape)
    return np.clip(cv2.GaussianBlur(small, (3, 3), 0.8) + grain, 0, 255).astype(np.uint8)


def describe(name: str, folders: list[Path]) -> dict[str, object]:
    """The painted face, as an embedder describes it."""
    face = next(each for each in known.PICTURES if each.label == "face")
    embedder, picture = load_embedder(name, folders=folders), face.load()
    vector = embedder.describe(picture, face.box).embedding
    spent = milliseconds(lambda seen: embedder.describe(seen, face.box), picture, now=time.process_time)
    print(name, round(spent, 2), vector[:4])
    embedder.close()
    return {
        "engine": embedder.info.engine,
        "milliseconds": round(spent, 2),
        "founds": {},
        "embedding": [round(float(number), 4) for number in vector],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--models-folder", type=Path, action="append", default=[])
    options = parser.parse_args()
    if options.pictures:
        make_pictures()
    pictures = {each.name: each.load() for each in known.PICTURES}
    table = {}
    for entry in catalogue.entries():
        if "cpu" not in entry.devices or not store.locate(entry, folders=options.models_folder):
            continue
        if entry.embedding:
            table[entry.name] = describe(entry.name, options.models_folder)
            continue
        detector = load_detector(entry.name, folders=options.models_folder)
        founds = {
            name: [
                [found.label, round(found.score, 3), [round(part, 4) for part in found.box]]
                for found in detector.detect(picture)
                if found.score >= FLOOR
            ]
            for name, picture in pictures.items()
        }
        spent = milliseconds(detector.detect, pictures["person"], now=time.process_time)
        table[entry.name] = {
            "engine": detector.info.engine,
            "milliseconds": round(spent, 2),
            "founds": founds,
        }
        print(entry.name, round(spent, 2), {name: [f[:2] for f in some] for name, some in founds.items()})
        detector.close()
    rows = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items()]
    (FOLDER / "published.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
