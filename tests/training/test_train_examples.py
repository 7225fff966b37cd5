"""An owner's own examples: names that say the truth, pictures of any size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import UsageError
from meerkat_training.examples import load, position, vary


@pytest.mark.parametrize(("name", "truth"), [("3.4_0197.png", 3.4), ("0.0_a_b.png", 0.0), ("9.9_x.jpg", 9.9)])
def test_the_name_says_the_position(name: str, truth: float) -> None:
    assert position(Path(name)) == pytest.approx(truth)


def test_none_is_not_a_digit() -> None:
    assert np.isnan(position(Path("none_1.png")))


@pytest.mark.parametrize("name", ["10.0_a.png", "-1_a.png", "kitchen.png", "nan_a.png", "3,4_a.png"])
def test_another_name_is_refused_with_the_file(name: str) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        position(Path(name))


def test_pictures_of_any_size_become_the_networks(tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    red = np.zeros((90, 50, 3), np.uint8)
    red[..., 2] = 200
    cv2.imwrite(str(tmp_path / "wheel/3.4_a.png"), red)
    cv2.imwrite(str(tmp_path / "wheel/none_b.jpg"), red[:20, :20])
    (tmp_path / "wheel/notes.txt").write_text("not a picture, and not called one")

    loaded = load(tmp_path, "wheel", 32, 20)

    assert loaded is not None
    pictures, positions = loaded
    assert pictures.shape == (2, 32, 20, 3)
    assert pictures[0, 0, 0].tolist() == [200, 0, 0]
    assert positions[0] == pytest.approx(3.4)
    assert np.isnan(positions[1])
    assert load(tmp_path, "needle", 48, 48) is None


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    (tmp_path / "wheel/3.4_a.png").write_bytes(b"no PNG")

    with pytest.raises(UsageError, match=r"3\.4_a\.png: this is not a picture"):
        load(tmp_path, "wheel", 32, 20)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of examples is not there"):
        load(tmp_path / "nowhere", "wheel", 32, 20)


def test_variants_differ_and_stay_in_place() -> None:
    picture = np.full((32, 20, 3), 40, np.uint8)
    picture[12:20] = 220
    varied = vary(np.stack([picture] * 8), np.random.default_rng(1)).astype(int)

    assert len({variant.tobytes() for variant in varied}) == 8
    for variant in varied:
        rows = variant.mean((1, 2))
        bright = np.flatnonzero(rows > (rows.max() + rows.min()) / 2)
        assert abs(bright.mean() - 15.5) < 1.2
