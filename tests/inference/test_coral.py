"""The Edge TPU's whole path with a stub for its library: a delegate that really loads and computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference import catalogue, coral
from meerkat_inference.loading import load_detector
from meerkat_inference.opening import open_engine
from support.edge_tpu import build_stub, write_compiled_model
from support.networks import write_relu

OBJECTS = catalogue.get("ssdlite-mobiledet")
FACES = catalogue.get("ssd-mobilenet-v2-face")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build_stub(tmp_path_factory.mktemp("stub")))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the compiled files, and no other model on the search path."""
    monkeypatch.setenv("MEERKAT_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for entry in (OBJECTS, FACES):
        write_compiled_model(tmp_path / entry.model.name, side=entry.input[0])
    return tmp_path


def picture() -> np.ndarray:
    """Grey, with something bright from 25 to 50 % across and 40 to 80 % down."""
    made = np.full((480, 640, 3), 90, np.uint8)
    made[192:384, 160:320] = 250
    return made


@pytest.mark.parametrize("device", ["usb:0", "usb:1", "pci:0"])
def test_a_compiled_file_runs_on_the_device_that_is_named(stub: str, models: Path, device: str) -> None:
    engine = open_engine(models / OBJECTS.model.name, device=device, library=stub)
    assert engine.device == f"edgetpu {device}"
    pixels = np.zeros((1, 320, 320, 3), np.uint8)
    pixels[0, 32:64, 160:320] = 255
    boxes, classes, scores, count = engine.run(pixels)
    np.testing.assert_allclose(boxes[0, 0], [0.1, 0.5, 0.2, 1.0], atol=1e-6)
    assert (classes[0, 0], round(float(scores[0, 0]), 3), count[0]) == (0, 0.9, 1)
    engine.close()


@pytest.mark.parametrize(
    ("task", "entry", "label"), [("detect_objects", OBJECTS, "person"), ("detect_faces", FACES, "face")]
)
def test_a_detector_on_it_brings_boxes_back_to_the_picture(
    stub: str, models: Path, task: str, entry: catalogue.Entry, label: str
) -> None:
    detector = load_detector(task=task, device="usb:0", library=stub)
    (found,) = detector.detect(picture())
    assert (found.label, round(found.score, 2)) == (label, 0.9)
    np.testing.assert_allclose(found.box, (0.25, 0.4, 0.25, 0.4), atol=0.01)
    assert detector.info.name == entry.name
    assert len(detector.info.sha256) == 64
    detector.close()


def test_a_processor_passes_over_what_is_compiled_for_the_edge_tpu(models: Path) -> None:
    told: list[str] = []
    assert load_detector(log=told.append).info.fallback
    assert len(told) == 1
    with pytest.raises(ModelError, match="runs on edgetpu, not on cpu"):
        load_detector(OBJECTS.name)
    with pytest.raises(ModelError, match="runs nowhere else"):
        open_engine(models / OBJECTS.model.name)


def test_a_file_that_is_not_compiled_is_refused_instead_of_running_on_the_cpu(
    stub: str, tmp_path: Path
) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(b"TFL3" * 100)
    with pytest.raises(ModelError, match="would run on the CPU"):
        open_engine(path, device="usb:0", library=stub)
    with pytest.raises(ModelError, match="usb:0"):
        open_engine(write_relu(tmp_path / "relu.onnx"), device="usb:0", library=stub)


def test_each_thing_that_can_be_wrong_is_told_apart(stub: str, models: Path) -> None:
    path = models / OBJECTS.model.name
    with pytest.raises(
        ModelError, match=r"runtime cannot be loaded.*Install a libedgetpu that is built for this"
    ):
        open_engine(path, device="usb:0", library="libno_such_edgetpu.so.1")
    with pytest.raises(ModelError, match=r"no Edge TPU answers as usb:5 \(.*No such device\)\. Plug it in"):
        open_engine(path, device="usb:5", library=stub)
    with pytest.raises(ModelError, match="no TensorFlow Lite delegate"):
        open_engine(path, device="usb:0", library="libm.so.6")
    engine = open_engine(path, device="usb:8", library=stub)
    with pytest.raises(ModelError, match="litert failed"):
        engine.run(np.zeros((1, 320, 320, 3), np.uint8))
    with pytest.raises(ModelError, match="runs on an Edge TPU"):
        load_detector(task="recognise_faces", device="usb:0", library=stub)


def test_a_probe_survives_what_it_asks(stub: str) -> None:
    assert coral.probe("usb:1", stub) == coral.Probe("usb:1", True)
    absent = coral.probe("usb:5", stub)
    assert not absent.ok
    assert "No such device" in absent.what
    crashed = coral.probe("usb:9", stub)
    assert not crashed.ok
    assert "ended the process that loaded it (SIGSEGV)" in crashed.what
    assert "coral-legacy" in crashed.remedy
    missing = coral.probe("usb:0", "libno_such_edgetpu.so.1")
    assert not missing.ok
    assert "Install a libedgetpu that is built for this runtime" in missing.remedy
    slow = coral.probe("usb:0", stub, seconds=0.001)
    assert not slow.ok
    assert "did not answer" in slow.what


def test_what_is_plugged_in_is_known_without_the_library(tmp_path: Path) -> None:
    def usb(name: str, vendor: str, product: str) -> None:
        folder = tmp_path / "sys/bus/usb/devices" / name
        folder.mkdir(parents=True)
        (folder / "idVendor").write_text(vendor + "\n")
        (folder / "idProduct").write_text(product + "\n")

    assert coral.plugged(tmp_path / "sys", tmp_path / "dev") == ()
    usb("1-1", "1a6e", "089a")
    usb("1-2", "046d", "c52b")
    usb("2-1", "18d1", "9302")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    assert coral.plugged(tmp_path / "sys", tmp_path / "dev") == ("usb:0", "usb:1", "pci:0")
