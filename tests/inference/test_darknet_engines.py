"""Three engines for one Darknet pair: equal boxes on equal pixels, and no failure that reads as nothing."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import ModelError, StorageError
from meerkat_inference import catalogue, opening
from meerkat_inference.detector import BatchDetector, Found
from meerkat_inference.engine import BatchEngine, Engine
from meerkat_inference.engines.libdarknet import LibDarknetEngine
from meerkat_inference.families.darknet import Darknet
from meerkat_inference.opening import choose, installed, open_engine
from meerkat_inference.tracker import overlap
from support.darknet import DETECTOR, needs, pixels, write_random
from support.shared import shared

ENTRY = catalogue.get("yolo-fastest-body").model_copy(
    update={"words": ("person", "dog"), "calibration": ((0, 0), (0.5, 0.5), (1, 1))}
)
REAL = ["yoloface-50k", "yolo-fastest"]


@pytest.fixture(params=["libdarknet", "darknet"])
def kind(request: pytest.FixtureRequest) -> str:
    needs(request.param)
    return str(request.param)


def picture(seed: int, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def assert_same(ours: list[Found], theirs: list[Found]) -> None:
    """Each sure box of one has its like in the other."""
    for some, others in ((ours, theirs), (theirs, ours)):
        for found in some:
            alike = [
                other
                for other in others
                if other.label == found.label
                and overlap(other.box, found.box) >= 0.99
                and abs(other.score - found.score) <= 1e-3
            ]
            assert alike, f"{found} has no like among {others}"


# --- equal boxes ----------------------------------------------------------------------------------


def test_a_random_network_gives_the_same_boxes_on_every_engine(tmp_path: Path, kind: str) -> None:
    # One class: the program suppresses doubles class by class, and so may keep the second name of a box
    # whose first name went to another box. No other engine tells such a name.
    cfg = DETECTOR.replace("classes=2", "classes=1").replace("filters=21", "filters=18")
    weights, config = write_random(tmp_path, cfg)
    engines = [open_engine(weights, kind=each, config=config) for each in ("opencv", kind)]
    detectors = [Darknet(ENTRY, engine, ("person",)) for engine in engines]
    total = 0
    for seed in range(3):
        ours, theirs = ([f for f in d.detect(picture(seed)) if f.score >= 0.5] for d in detectors)
        assert_same(ours, theirs)
        total += len(ours)
    assert total > 10
    for detector in detectors:
        detector.close()


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_a_real_network_gives_the_same_boxes_on_every_engine(kind: str, name: str) -> None:
    entry = catalogue.get(name)
    weights = shared(f"models/{entry.model.name}")
    frames = list(people()) if name == "yolo-fastest" else [face()]
    ours, theirs = (open_engine(weights, kind=each) for each in ("opencv", kind))
    detectors = [Darknet(entry, engine, entry.labels) for engine in (ours, theirs)]
    seen = [
        [[f for f in founds if f.score >= 0.3] for founds in each.detect_many(frames)] for each in detectors
    ]
    for mine, others in zip(*seen, strict=True):
        assert_same(mine, others)
    assert sum(map(len, seen[0])) >= len(frames) / 2
    for detector in detectors:
        detector.close()


def people() -> Iterator[np.ndarray]:
    import av

    with av.open(str(shared("media/one-by-one-person-detection.mp4"))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= 400:
                return
            if number % 80 == 40:
                yield frame.to_ndarray(format="bgr24")


def face() -> np.ndarray:
    from meerkat_inference import known

    return next(each for each in known.PICTURES if each.label == "face").load()


def test_the_rows_are_the_same_before_anything_is_dropped(tmp_path: Path) -> None:
    needs("libdarknet")
    weights, config = write_random(tmp_path)
    ours, theirs = (open_engine(weights, kind=each, config=config) for each in ("opencv", "libdarknet"))
    taken = pixels(ours.inputs[0].shape)
    rows = np.concatenate(ours.run(taken))
    (others,) = theirs.run(taken)
    np.testing.assert_allclose(rows[rows[:, 4] > 0.01][:, 2:], others[:, 2:], rtol=2e-4, atol=2e-4)
    theirs.close()


def test_what_a_cfg_leaves_out_is_what_darknet_takes(tmp_path: Path) -> None:
    needs("libdarknet")
    cfg = DETECTOR.replace("size=5\nstride=1\n", "size=5\n").replace("activation=relu\n", "")
    assert cfg.count("activation=relu") == 0
    weights, config = write_random(tmp_path, cfg)
    ours, theirs = (open_engine(weights, kind=each, config=config) for each in ("opencv", "libdarknet"))
    taken = pixels(ours.inputs[0].shape)
    rows, (others,) = np.concatenate(ours.run(taken)), theirs.run(taken)
    np.testing.assert_allclose(rows[rows[:, 4] > 0.01][:, 2:], others[:, 2:], rtol=2e-4, atol=2e-4)
    theirs.close()


YOLO2 = """\
[net]
width=32
height=32
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[reorg]
stride=2

[convolutional]
filters=21
size=1
activation=linear

[region]
anchors=1,1, 2,2, 4,4
classes=2
num=3
coords=4
softmax=1
bias_match=1
"""


def test_the_older_region_layer_gives_the_same_scores(tmp_path: Path) -> None:
    needs("libdarknet")
    weights, config = write_random(tmp_path, YOLO2)
    ours, theirs = (open_engine(weights, kind=each, config=config) for each in ("opencv", "libdarknet"))
    taken = pixels(ours.inputs[0].shape)
    rows, others = np.concatenate(ours.run(taken)), theirs.run(taken)[0]
    # The library goes through them anchor by anchor, OpenCV cell by cell.
    others = others.reshape(3, -1, 7).transpose(1, 0, 2).reshape(-1, 7)
    np.testing.assert_allclose(rows[:, :5], others[:, :5], rtol=1e-3, atol=1e-3)
    told = rows[:, 5:] > 0  # OpenCV takes out the doubles of this layer itself
    assert told.mean() > 0.5
    np.testing.assert_allclose(rows[:, 5:][told], others[:, 5:][told], rtol=1e-3, atol=1e-3)
    theirs.close()


def test_numbers_that_are_none_are_an_error_and_no_empty_picture(tmp_path: Path) -> None:
    weights, config = write_random(tmp_path)
    data = bytearray(weights.read_bytes())
    # The first layer's 8 biases, scales, means and variances; a variance below 0 has no root.
    data[20 + 4 * 24 : 20 + 4 * 32] = np.full(8, -1, np.float32).tobytes()
    weights.write_bytes(data)
    broken = Darknet(ENTRY, open_engine(weights, config=config), ("person", "dog"))
    with pytest.raises(ModelError, match="numbers that are none"):
        broken.detect(picture(0))
    data[-4:] = np.float32("nan").tobytes()
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="the weights hold numbers that are none"):
        open_engine(weights, config=config)


# --- how each is used -----------------------------------------------------------------------------


def test_nobody_gets_darknets_own_engines_without_naming_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose(tmp_path / "x.weights") == "opencv"
    monkeypatch.setattr(opening, "installed", lambda kind: kind != "opencv")
    with pytest.raises(ModelError, match="opencv-python-headless"):
        choose(tmp_path / "x.weights")
    assert choose(tmp_path / "x.weights", "libdarknet") == "libdarknet"


def test_what_is_not_installed_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, config = write_random(tmp_path)
    monkeypatch.setenv("MEERKAT_LIBDARKNET", str(tmp_path / "none.so"))
    monkeypatch.setenv("MEERKAT_DARKNET", str(tmp_path / "none"))
    for kind in ("libdarknet", "darknet"):
        assert not installed(kind)
        with pytest.raises(ModelError, match="Debian's package darknet"):
            open_engine(weights, kind=kind, config=config)


@pytest.mark.parametrize("kind", ["libdarknet", "darknet"])
def test_another_device_is_refused(tmp_path: Path, kind: str) -> None:
    needs(kind)
    weights, config = write_random(tmp_path)
    with pytest.raises(ModelError, match="not on 'cuda'"):
        open_engine(weights, kind=kind, config=config, device="cuda")


# --- libdarknet -----------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Iterator[LibDarknetEngine]:
    needs("libdarknet")
    weights, config = write_random(tmp_path)
    engine = open_engine(weights, kind="libdarknet", config=config)
    assert isinstance(engine, LibDarknetEngine)
    yield engine
    engine.close()


def child_of(engine: LibDarknetEngine) -> int:
    assert engine._child is not None
    return engine._child._process.pid


def test_a_crash_of_the_library_fails_one_picture_and_no_more(library: LibDarknetEngine) -> None:
    taken = pixels(library.inputs[0].shape)
    (before,) = library.run(taken)
    os.kill(child_of(library), signal.SIGSEGV)
    with pytest.raises(ModelError, match="SIGSEGV"):
        library.run(taken)
    (after,) = library.run(taken)
    np.testing.assert_array_equal(before, after)


def test_a_library_that_does_not_answer_is_given_up(library: LibDarknetEngine) -> None:
    os.kill(child_of(library), signal.SIGSTOP)
    assert library._child is not None
    library._child._seconds = 0.05
    with pytest.raises(ModelError, match=r"no answer within 0\.05 s"):
        library.run(pixels(library.inputs[0].shape))


def test_its_process_goes_with_it(library: LibDarknetEngine) -> None:
    process = child_of(library)
    library.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_something_else_than_darknets_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "libdarknet.so"
    path.write_bytes(b"no library")
    monkeypatch.setenv("MEERKAT_LIBDARKNET", str(path))
    weights, config = write_random(tmp_path)
    with pytest.raises(ModelError, match="Cannot use"):
        open_engine(weights, kind="libdarknet", config=config)


# --- the program ----------------------------------------------------------------------------------


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> BatchEngine:
    """The engine with a stand-in for the program."""
    path = tmp_path / "darknet"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("MEERKAT_DARKNET", str(path))
    weights, config = write_random(tmp_path)
    engine = open_engine(weights, kind="darknet", config=config)
    assert isinstance(engine, BatchEngine)
    return engine


BOX = '{"image_id":17, "category_id":1, "bbox":[0.0, 0.0, 48.0, 32.0], "score":0.75},'
DONE = "echo 'Total Detection Time: 1.0 Seconds' >&2"


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ('echo "Couldn\'t open file: x" >&2; exit 0', "Couldn't open file: x"),
        (f"echo 'Cannot load image \"0\"' >&2; {DONE}", "Cannot load image"),
        (f"echo \"Unused field: 'scale_x_y = 2'\" >&2; {DONE}", "Unused field"),
        ("exit 0", "ended before it was done"),
        ("echo 'darknet: Assertion failed' >&2; exit 134", "Assertion failed"),
        ("kill -SEGV $$", "status -11"),
        (DONE, r"cannot be read \(.*No such file"),
        (f"echo '{{nonsense' > boxes.json; {DONE}", "cannot be read"),
        (f"echo '{BOX}' > boxes.json; {DONE}", "cannot be read"),
    ],
)
def test_status_0_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, what: str
) -> None:
    engine = program(tmp_path, monkeypatch, script)
    with pytest.raises(ModelError, match=what):
        engine.run(pixels(engine.inputs[0].shape))


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meerkat_inference.engines import darknet_program

    monkeypatch.setattr(darknet_program, "LOADING_SECONDS", 0.1)
    monkeypatch.setattr(darknet_program, "PICTURE_SECONDS", 0.0)
    engine = program(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(ModelError, match=r"not done within 0\.1 s"):
        engine.run(pixels(engine.inputs[0].shape))


def test_it_is_started_once_for_many_pictures_with_names_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    script = f"echo \"$*\" >> {told}; cat list >> {told}; echo '{BOX}' > boxes.json; {DONE}"
    engine = program(tmp_path, monkeypatch, script)
    taken = [pixels(engine.inputs[0].shape, seed=seed) for seed in range(18)]
    answers = engine.run_many(taken)
    first, *names = told.read_text().splitlines()
    assert first.startswith("detector valid data network.cfg /")
    assert names == [f"pictures/{number}" for number in range(18)]
    assert [len(rows[0]) for rows in answers] == [0] * 17 + [1]
    np.testing.assert_allclose(answers[17][0], [[0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0]])


def test_it_is_given_four_names_at_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    engine = program(tmp_path, monkeypatch, f"cat list > {told}; printf '\n]\n' > boxes.json; {DONE}")
    (rows,) = engine.run(pixels(engine.inputs[0].shape))
    assert told.read_text().split() == ["pictures/0"] * 4
    assert rows.shape == (0, 7)


def test_weights_that_go_or_shrink_are_noticed_before_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = program(tmp_path, monkeypatch, f"printf '\\n]\\n' > boxes.json; {DONE}")
    weights, taken = tmp_path / "random.weights", pixels(engine.inputs[0].shape)
    data = weights.read_bytes()
    weights.write_bytes(data[:-4])
    with pytest.raises(ModelError, match=f"{len(data) - 4} bytes now"):
        engine.run(taken)
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be read any more"):
        engine.run(taken)
    weights.write_bytes(data)
    engine.run(taken)


def test_a_disk_without_room_is_no_empty_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = program(tmp_path, monkeypatch, DONE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(StorageError, match="TMPDIR"):
        engine.run(pixels(engine.inputs[0].shape))


def test_more_classes_than_it_has_numbers_for_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_DARKNET", "/bin/true")
    cfg = DETECTOR.replace("classes=2", "classes=81").replace("filters=21", "filters=258")
    weights, config = write_random(tmp_path, cfg)
    with pytest.raises(ModelError, match="up to 80 classes"):
        open_engine(weights, kind="darknet", config=config)


def test_a_detector_looks_at_many_pictures_of_different_sizes(tmp_path: Path) -> None:
    needs("darknet")
    weights, config = write_random(tmp_path)
    engine = open_engine(weights, kind="darknet", config=config)
    detector = Darknet(ENTRY, engine, ("person", "dog"))
    assert isinstance(detector, BatchDetector)
    assert detector.at_once > 1
    pictures = [picture(0), picture(1, (200, 600)), picture(2, (600, 200))]
    assert detector.detect_many(pictures) == [detector.detect(each) for each in pictures]
    closed: Engine = engine
    closed.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect(pictures[0])


def test_what_darknet_of_2018_does_not_know_is_refused_before_it_starts(tmp_path: Path, kind: str) -> None:
    weights, config = write_random(tmp_path, DETECTOR.replace("activation=leaky", "activation=mish", 1))
    with pytest.raises(ModelError, match="not known to Debian's Darknet of 2018") as caught:
        open_engine(weights, kind=kind, config=config)
    assert "Use the engine opencv" in caught.value.remedy
    open_engine(weights, config=config).close()
