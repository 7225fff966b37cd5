"""Data sets: the same for a seed on any number of processes, with the stated share of negatives."""

import cv2
import numpy as np
import pytest

from meerkat_training import dataset, preview
from meerkat_training.arrays import fill
from meerkat_training.camera import cast, compress, degrade, drab, tint
from meerkat_training.dataset import BLOCK, needle_block, wheel_block


def test_wheels_are_the_same_on_one_process_and_on_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "BLOCK", 20)  # Two blocks of little work.
    alone, positions = dataset.wheels(33, seed=5, workers=1)
    shared, same = dataset.wheels(33, seed=5, workers=2)
    np.testing.assert_array_equal(alone, shared)
    np.testing.assert_array_equal(positions, same)
    assert alone.shape == (33, 32, 20, 3)
    assert alone.dtype == np.uint8
    assert positions.dtype == np.float32


def test_about_one_wheel_in_twelve_shows_no_digit() -> None:
    positions = dataset.wheels(BLOCK, seed=5)[1]
    assert 0.03 < np.isnan(positions).mean() < 0.14
    assert np.nanmin(positions) >= 0
    assert np.nanmax(positions) <= 10


def test_needles_come_with_positions_and_negatives() -> None:
    crops, positions = dataset.needles(150, seed=5)
    assert crops.shape == (150, 48, 48, 3)
    assert 0.02 < np.isnan(positions).mean() < 0.16
    assert np.nanstd(positions) > 2


@pytest.mark.parametrize("block", [wheel_block, needle_block])
def test_seeds_and_blocks_differ_and_a_block_repeats(block: type) -> None:
    first, truth = block(1, 20, 0)
    again, truth_again = block(1, 20, 0)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(truth, truth_again)
    assert (first != block(2, 20, 0)[0]).mean() > 0.5
    assert (first != block(1, 20, 1)[0]).mean() > 0.5


def test_what_was_drawn_before_does_not_matter() -> None:
    """Fonts and noise are kept between crops; keeping them must not change a later one."""
    reference = wheel_block(3, 15, 0)[0]
    wheel_block(8, 60, 0)
    needle_block(8, 20, 0)
    np.testing.assert_array_equal(reference, wheel_block(3, 15, 0)[0])


@pytest.mark.parametrize("kind", ["wheels", "needles"])
def test_a_contact_sheet_is_a_png(kind: preview.Kind) -> None:
    data = preview.sheet(kind, 30, 2)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] > 600


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(8, 6), (32, 20), (240, 320)])
def test_the_camera_takes_flat_and_tiny_scenes(level: float, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    for _ in range(25):
        shot = degrade(fill(*size, (level, level, level)), rng)
        assert shot.shape == (*size, 3)
        assert shot.dtype == np.uint8


def test_without_strength_the_camera_is_perfect() -> None:
    ramp = np.linspace(0, 1, 32 * 20 * 3, dtype=np.float32).reshape(32, 20, 3)
    np.testing.assert_array_equal(
        degrade(ramp, np.random.default_rng(0), 0.0), (ramp * 255 + 0.5).astype(np.uint8)
    )


def test_compression_keeps_colours_in_order() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    back = compress(red, 95)
    assert abs(int(back[16, 16, 0]) - 220) < 6
    assert back[16, 16, 2] < 10


def test_black_and_white_negatives_stay_black_and_white() -> None:
    rng = np.random.default_rng(3)
    darkest = min(degrade(fill(32, 20, (0.02,) * 3), rng, 0.8, readable=False).mean() for _ in range(20))
    assert darkest < 12


def test_infrared_pales_red_ink() -> None:
    """Some monochrome pictures show red on white as grey, some as almost nothing."""
    scene = fill(24, 24, (0.9, 0.9, 0.9))
    scene[:, :12] = (0.75, 0.1, 0.1)
    contrasts = []
    for seed in range(400):
        seen = tint(scene, np.random.default_rng(seed), 1.0)
        if np.ptp(seen, axis=2).max() < 1e-4:
            contrasts.append(float(seen[0, 20, 0] - seen[0, 2, 0]))
    assert 20 < len(contrasts) < 80
    assert min(contrasts) < 0.3
    assert max(contrasts) > 0.5


def test_a_cast_leaves_red_ink_to_few_channels() -> None:
    """On white it stays visible somewhere, but in some pictures in one channel alone."""
    scene = fill(24, 24, (0.9, 0.9, 0.9))
    scene[:, :12] = (0.75, 0.1, 0.1)
    strong = []
    for seed in range(100):
        seen = np.clip(cast(scene, np.random.default_rng(seed)), 0, 1)
        strong.append(int((np.abs(seen[0, 20] - seen[0, 2]) > 0.15).sum()))
    assert min(strong) >= 1
    assert np.mean([count == 1 for count in strong]) > 0.2


def test_a_drab_picture_is_flat_and_keeps_its_edges() -> None:
    scene = fill(64, 40, (0.1, 0.1, 0.1))
    scene[16:48, 16:24] = (0.9, 0.9, 0.9)
    for seed in range(20):
        shot = drab(scene, np.random.default_rng(seed), 32.0).astype(float)
        edge = shot[32, 20].mean() - shot[32, 4].mean()
        assert 30 < edge < 230
