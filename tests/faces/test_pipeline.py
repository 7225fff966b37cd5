"""`meerkat bench pipeline`: a frame through device, hub and worker, beside the paper's figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faces_support import networks
from faces_support.pictures import painted
from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import ModelInfo
from meerkat_experiments.real import pipeline, pipeline_run
from meerkat_experiments.real.pipeline_table import TABLE_1, modelled, notes, table
from meerkat_inference import loading
from meerkat_inference.detector import Found
from meerkat_inference.faces import loading as faces_loading
from meerkat_inference.faces.engine_embedder import EngineEmbedder
from meerkat_inference.opening import open_engine


class OneFace:
    """Finds a face in the middle, and a dog."""

    info = ModelInfo(name="middle", engine="none")

    def __init__(self, score: float = 0.9) -> None:
        self.score = score

    def detect(self, picture: np.ndarray) -> list[Found]:
        return [Found("face", self.score, (0.25, 0.25, 0.5, 0.5)), Found("dog", 0.9, (0, 0, 1, 1))]

    def close(self) -> None: ...


@pytest.fixture
def embedder(tmp_path: Path) -> EngineEmbedder:
    path = networks.write_onnx(tmp_path / "e.onnx")
    return EngineEmbedder(networks.entry(path, rim=0), open_engine(path))


@pytest.fixture
def outcome(embedder: EngineEmbedder) -> pipeline_run.Outcome:
    ticks: list[int] = []
    done = pipeline_run.run(painted(1, 300), OneFace(), embedder, frames=4, tick=lambda: ticks.append(1))
    assert len(ticks) == 4 + pipeline_run.WARM_UP
    return done


def test_the_papers_sum_is_107_ms() -> None:
    """Section 4.4 and the errata: reciprocals of the capacities, and three hops of 4 + 4 ms."""
    theirs = modelled()
    assert (theirs.detection, theirs.recognition, theirs.decision) == (0.025, 0.05, 0.008)
    assert (theirs.transmission, theirs.latency) == pytest.approx((0.004, 0.004))
    assert theirs.whole == pytest.approx(0.107)
    assert TABLE_1["total"]["least"] == pytest.approx(0.014 + 0.047 + 0.008, abs=0.0011)


def test_a_frame_goes_through_all_and_the_visitor_is_told_of(outcome: pipeline_run.Outcome) -> None:
    assert (outcome.frames, outcome.size, outcome.faces) == (4, (300, 300), 1)
    assert outcome.verdict == "the visitor is not among those who may be here"
    steps = [outcome.detection, outcome.encoding, outcome.recognition, outcome.decision, *outcome.hops]
    assert all(0 < step.least <= step.median <= step.most for step in steps)
    assert all(step.least <= step.mean <= step.most for step in steps)
    # The steps are all there is in the whole, but for what lies between them.
    assert sum(step.mean for step in steps) <= outcome.whole.mean


def test_the_table_shows_theirs_beside_ours(outcome: pipeline_run.Outcome) -> None:
    from rich.console import Console

    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(table(outcome))
    text = console.export_text()
    assert "18 (14–29, 4)" in text
    assert "51 (47–58, 3)" in text
    assert "78 (68–98)" in text
    console.file.close()
    told = "\n".join(notes(outcome))
    assert "25 + 50 + 8 + 3 × (4 + 4) = 107 ms" in told
    assert "no network is in the hops" in told


def test_the_command_prints_json(
    embedder: EngineEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_detector", lambda *given, **options: OneFace())
    monkeypatch.setattr(faces_loading, "load_embedder", lambda *given, **options: embedder)
    picture = tmp_path / "p.png"
    cv2.imwrite(str(picture), painted(1, 700))
    done = CliRunner().invoke(pipeline.pipeline, ["--picture", str(picture), "--frames", "2", "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ours"]["size"] == [500, 420]
    assert told["ours"]["frames"] == 2
    assert told["paper"]["workflow"] == pytest.approx(0.107)
    assert told["paper"]["table_1"]["recognition"]["mean"] == 0.051


def test_a_picture_without_a_face_is_told(embedder: EngineEmbedder) -> None:
    with pytest.raises(MeerkatError, match="finds no face"):
        pipeline_run.run(painted(1), OneFace(0.4), embedder, frames=2, tick=lambda: None)


def test_an_embedder_that_breaks_ends_the_run_with_its_reason(
    embedder: EngineEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = embedder.describe
    calls: list[int] = []

    def fail(*given: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            raise MeerkatError("the network fails")
        return really(*given)

    monkeypatch.setattr(embedder, "describe", fail)
    with pytest.raises(MeerkatError, match="the network fails"):
        pipeline_run.run(painted(1), OneFace(), embedder, frames=2, tick=lambda: None)


@pytest.mark.parametrize("shape", [(900, 300), (300, 900), (420, 500), (100, 100)])
def test_the_region_of_interest_is_the_papers(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = tmp_path / "p.png"
    cv2.imwrite(str(picture), cv2.resize(painted(1), shape))
    assert pipeline.region(picture).shape == (420, 500, 3)
