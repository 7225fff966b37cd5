"""Darknet's program, Debian's package `darknet`: one start for many pictures.

`detector test` prints labels and percentages alone, so the boxes come from `detector valid`, which writes
them into a file. What is known of it and guarded against here:

- A missing file, damaged weights or a picture that cannot be read end with status 0, the last with boxes of
  a blank picture: the pair is checked beforehand (`darknet_files`), pictures are written by us, and what it
  says on standard error decides.
- The name of a picture that it cannot read goes into a shell: no name comes from outside, and the folder is
  new and private.
- It reads four names of pictures without looking how many there are: the list is never shorter.
- It suppresses doubles of each class (IoU 0.45) before it writes, and rounds pixels to 8 bits.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError, StorageError
from meerkat_inference.catalogue import COCO_90
from meerkat_inference.engine import TensorInfo

from .darknet_files import DarknetFiles, check_darknet
from .darknet_words import complaint, last_line
from .tensors import check_inputs

AT_ONCE = 32
"""Pictures for one start of the program at most: 25 are a clip of 5 s."""
LOADING_SECONDS = 120.0
PICTURE_SECONDS = 60.0
"""What a start, and each picture, may take at most."""

_READ_AHEAD = 4
_CLASSES = [number for number, word in enumerate(COCO_90, 1) if word]
"""What it calls the classes, whatever they are: COCO's numbers, which have gaps. Beyond 80 it has none."""


class DarknetProgramEngine:
    """A network that is loaded anew for each call; `run_many` shares the load among pictures."""

    name = "darknet"
    device = "cpu"
    outputs = ("boxes",)
    at_once = AT_ONCE
    suppresses = 0.45
    """It drops doubles that overlap more, by their whole boxes, and then cuts the boxes at the picture."""

    def __init__(self, files: DarknetFiles, program: Path) -> None:
        network = files.network
        if network.channels != 3 or network.classes > len(_CLASSES):
            raise ModelError(
                f"the program knows pictures of 3 channels and up to {len(_CLASSES)} classes, this "
                f"network has {network.channels} and {network.classes}",
                where=str(files.weights),
                remedy="Use the engine opencv or libdarknet",
            )
        self.inputs = (TensorInfo("", (1, 3, network.height, network.width), "float32"),)
        self._files = files
        self._program = program
        self._closed = False

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        check_inputs(self.inputs, inputs, where=self._files.weights.name)
        return self.run_many([inputs[0]])[0]

    def run_many(self, pictures: Sequence[NDArray[Any]]) -> list[list[NDArray[Any]]]:
        """What `run` gives, for each of some pictures: rows as OpenCV's, without doubles.

        Raises ModelError when the program fails, or says something on standard error that it should not.
        """
        where = self._files.weights.name
        if self._closed:
            raise ModelError("the engine is closed", where=where)
        for picture in pictures:
            check_inputs(self.inputs, (picture,), where=where)
        self._files.still_there()
        try:
            with tempfile.TemporaryDirectory(prefix="meerkat-") as folder:
                place = Path(folder)
                self._lay_out(place, pictures)
                said = self._start(place, len(pictures))
                if said:
                    raise ModelError(
                        f"darknet failed: {said}",
                        where=where,
                        remedy="Use the engine opencv, or install Debian's package darknet again",
                    )
                return [[each] for each in self._boxes(place / "boxes.json", len(pictures))]
        except OSError as error:
            raise no_room(error) from error

    def close(self) -> None:
        self._closed = True

    def _lay_out(self, place: Path, pictures: Sequence[NDArray[Any]]) -> None:
        """The files that it reads. Pictures and classes are called 0, 1, 2, …"""
        (place / "pictures").mkdir()
        (place / "network.cfg").write_bytes(self._files.config)
        (place / "classes").write_text("".join(f"{each}\n" for each in range(self._files.network.classes)))
        for number, picture in enumerate(pictures):
            pixels = np.rint(picture[0] * 255).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
            done, data = cv2.imencode(".bmp", np.ascontiguousarray(pixels[:, :, ::-1]))
            if not done:
                raise ModelError("a picture could not be written", where=self._files.weights.name)
            (place / "pictures" / str(number)).write_bytes(data.tobytes())
        listed = [f"pictures/{number}\n" for number in range(len(pictures))]
        listed += listed[:1] * (_READ_AHEAD - len(listed))
        (place / "list").write_text("".join(listed))
        (place / "data").write_text("valid=list\nnames=classes\nresults=.\neval=coco\n")

    def _start(self, place: Path, count: int) -> str:
        """Run it in its folder; returns what went wrong, or an empty string."""
        weights = str(self._files.weights.resolve())
        command = [str(self._program), "detector", "valid", "data", "network.cfg", weights, "-out", "boxes"]
        limit = LOADING_SECONDS + PICTURE_SECONDS * count
        try:
            done = subprocess.run(
                command,
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=limit,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it was not done within {limit:g} s"
        except OSError as error:
            return f"it cannot be started ({error.strerror})"
        said = done.stderr.decode(errors="replace")
        if done.returncode:
            return f"{complaint(said) or last_line(said)} (status {done.returncode})".strip()
        if wrong := complaint(said):
            return wrong
        return "" if "Total Detection Time" in said else f"it ended before it was done: {last_line(said)}"

    def _boxes(self, path: Path, pictures: int) -> list[NDArray[np.float32]]:
        """Read a line per box and class: its picture, its class as COCO numbers it, its corner and size."""
        found: list[defaultdict[tuple[float, ...], dict[int, float]]]
        found = [defaultdict(dict) for _ in range(pictures)]
        try:
            for line in path.read_text().splitlines():
                if line.startswith("{"):
                    told = json.loads(line.rstrip(","))
                    boxes = found[told["image_id"]]
                    boxes[tuple(told["bbox"])][_CLASSES.index(told["category_id"])] = told["score"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"what darknet wrote cannot be read ({error})",
                where=path.name,
                remedy="Use the engine opencv, or install Debian's package darknet again",
            ) from error
        return [self._rows(boxes) for boxes in found]

    def _rows(self, boxes: dict[tuple[float, ...], dict[int, float]]) -> NDArray[np.float32]:
        """(n, 5 + classes). The objectness is not told: it is at least the best score."""
        network = self._files.network
        rows = np.zeros((len(boxes), 5 + network.classes), np.float32)
        size = np.array([network.width, network.height], np.float32)
        for row, (corners, scores) in zip(rows, boxes.items(), strict=True):
            near, extent = np.array(corners, np.float32).reshape(2, 2) / size
            row[:2], row[2:4] = near + extent / 2, extent
            row[4] = max(scores.values())
            row[[5 + number for number in scores]] = list(scores.values())
        return rows


def no_room(error: OSError) -> StorageError:
    """Files for Darknet cannot be written."""
    return StorageError(
        f"no files can be written for Darknet ({error.strerror or error})",
        where=tempfile.gettempdir(),
        remedy="Free some space there, or name another folder in $TMPDIR",
    )


def open_darknet_program(weights: Path, config: Path, program: Path) -> DarknetProgramEngine:
    """A Darknet pair for Darknet's own program. Raises ModelError with the remedy."""
    return DarknetProgramEngine(check_darknet(weights, config, "darknet"), program)
