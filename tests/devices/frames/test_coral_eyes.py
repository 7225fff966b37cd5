"""The device's own Coral, with a stub for its library: it looks in a process of its own."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_devices.frames.coral_eyes import CoralDetector
from meerkat_devices.frames.detector import open_for
from meerkat_inference import catalogue, coral
from support.edge_tpu import build_stub, write_compiled_model

OBJECTS = catalogue.get("ssdlite-mobiledet")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build_stub(tmp_path_factory.mktemp("stub")))


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEERKAT_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_compiled_model(tmp_path / OBJECTS.model.name, side=OBJECTS.input[0])
    return tmp_path


def picture() -> Any:
    """Grey, with something bright from 25 to 50 % across and 40 to 80 % down."""
    made = np.full((480, 640, 3), 90, np.uint8)
    made[192:384, 160:320] = 250
    return made


def test_it_looks_and_outlives_the_death_of_its_process(stub: str) -> None:
    detector = open_for("detect_objects", coral="usb:0", library=stub)
    assert isinstance(detector, CoralDetector)
    try:
        (found,) = detector.detect(picture())
        assert (found.label, found.box) == ("person", pytest.approx((0.25, 0.4, 0.25, 0.4), abs=0.01))
        assert detector.info.name == OBJECTS.name
        assert detector._process is not None
        detector._process.kill()
        detector._process.wait()
        with pytest.raises(ModelError, match="has ended"):
            detector.detect(picture())
        assert detector.detect(picture()) == [found], "it is started again"
    finally:
        detector.close()
    assert detector._process is None


def test_a_coral_that_is_named_and_not_there_is_an_error() -> None:
    with pytest.raises(ModelError) as refused:
        open_for("detect_objects", coral="usb:0", library="libno_such_library.so")
    assert refused.value.where
    assert refused.value.remedy


def test_where_the_coral_does_not_work_the_processor_looks_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(coral, "plugged", lambda: ("usb:0",))
    with caplog.at_level(logging.INFO, "meerkat.device"):
        detector = open_for("detect_objects", library="libno_such_library.so")
    assert detector.info.fallback
    assert "no Coral can be used for detect_objects: the processor looks" in caplog.text
    assert "libno_such_library" in caplog.text
    detector.close()


@pytest.mark.parametrize(
    ("side", "told"), [(8, "no answer"), (1000, "takes no picture")], ids=["answering", "taking its picture"]
)
def test_a_process_that_hangs_is_ended(
    side: int, told: str, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 64 kB, what a pipe holds, a process that has stopped takes all; of a real picture it does not."""
    detector = CoralDetector("detect_objects", "usb:0", stub)
    monkeypatch.setattr("meerkat_devices.frames.coral_eyes.LOOK_SECONDS", 0.2)
    process = detector._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(ModelError, match=told):
        detector.detect(np.zeros((side, side, 3), np.uint8))
    assert process.poll() is not None
    assert detector._process is None, "the next picture begins another"
