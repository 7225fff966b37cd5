"""Pictures of people on disk, and which face in them counts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import MediaError, UsageError
from meerkat_contract.messages import ModelInfo
from meerkat_inference.detector import Found
from meerkat_inference.faces.pictures import faces_in, files_of, portrait, read_picture

BOX = (0.1, 0.1, 0.3, 0.3)
PLAIN = np.full((40, 60, 3), 90, np.uint8)


class Sees:
    info = ModelInfo(name="sees")

    def __init__(self, *found: Found) -> None:
        self.found = list(found)

    def detect(self, picture: object) -> list[Found]:
        return self.found

    def close(self) -> None: ...


def test_a_face_counts_from_a_score_of_a_half_on() -> None:
    sure, unsure = Found("face", 0.5, BOX), Found("face", 0.499, BOX)
    assert faces_in(PLAIN, Sees(sure, unsure, Found("person", 0.9, BOX))) == [sure]


def test_a_doubtful_second_face_does_not_spoil_a_portrait(tmp_path: Path) -> None:
    path = tmp_path / "ada.png"
    cv2.imwrite(str(path), PLAIN)
    sure = Found("face", 0.9, BOX)
    assert portrait(path, Sees(sure, Found("face", 0.3, BOX))).found == sure
    with pytest.raises(MediaError, match="no face is to be seen"):
        portrait(path, Sees(Found("face", 0.49, BOX)))


def test_what_cannot_be_read_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(MediaError, match=r"is no picture.*Give a JPEG or PNG"):
        read_picture(tmp_path / "empty.jpg")
    with pytest.raises(MediaError, match=r"No such file or directory.*Name a picture that you may read"):
        read_picture(tmp_path / "nowhere.jpg")


def test_files_are_named_once_and_folders_hold_pictures(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in files_of([tmp_path / "b.JPG", tmp_path])] == ["b.JPG", "a.png"]
    with pytest.raises(UsageError, match="there is no such file"):
        files_of([tmp_path / "c.png"])
