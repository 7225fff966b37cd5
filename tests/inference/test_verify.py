from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meerkat_contract.errors import MediaError
from meerkat_inference import catalogue, known, node, verify, verify_command
from meerkat_inference.detector import Found
from meerkat_inference.settings import WorkerSettings
from meerkat_inference.tracker import overlap
from meerkat_inference.verify import Case, Row, compare, judge_speed
from meerkat_inference.verify_command import missing
from meerkat_inference.worker_command import worker
from support.edge_tpu import build_stub, write_compiled_model
from support.shared import shared

NANO = catalogue.get("yolox-nano")
CORAL = catalogue.get("ssdlite-mobiledet")
BOX = (0.2, 0.2, 0.4, 0.4)

Verify = Callable[..., Result]


@pytest.fixture
def run_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """`meerkat worker verify`, with the models of one folder and no Coral unless one is named."""

    def run(
        *options: str, models: Path | None = None, coral: str = "off", library: str = "none.so"
    ) -> Result:
        monkeypatch.setenv("MEERKAT_MODELS", str(models or ""))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("MEERKAT__WORKER__CORAL", coral)
        monkeypatch.setenv("MEERKAT__WORKER__CORAL_LIBRARY", library)
        return CliRunner().invoke(worker, ["verify", *options])

    return run


def row(model: str, engine: str, device: str = "cpu", milliseconds: float | None = None) -> Row:
    return Row(Case(catalogue.get(model), engine, device), ran_on=device, milliseconds=milliseconds)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(BOX, BOX) == pytest.approx(1)
    assert overlap(BOX, (0.4, 0.2, 0.4, 0.4)) == pytest.approx(1 / 3)
    assert overlap(BOX, (0.7, 0.2, 0.2, 0.4)) == overlap(BOX, (0.2, 0.7, 0.4, 0.1)) == 0


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([Found("person", 0.9, BOX)], None),
        ([Found("person", 0.79, BOX)], None),
        ([Found("person", 0.77, BOX)], "scores 0.77 instead of 0.90"),
        ([Found("person", 0.9, (0.2, 0.2, 0.4, 0.3))], "overlaps by 0.75"),
        ([Found("dog", 0.9, BOX)], "there is no person"),
        ([], "there is no person"),
    ],
)
def test_a_box_must_be_where_the_reference_has_it(found: list[Found], words: str | None) -> None:
    one = Row(Case(NANO, "litert", "cpu"))
    weak = Found("car", 0.49, BOX)
    compare(one, "street", [Found("person", 0.9, BOX), weak], found)
    assert one.expected == 1, "weak boxes of the reference are not asked for"
    if words is None:
        assert (one.agreed, one.wrong) == (1, [])
    else:
        assert one.agreed == 0
        assert words in one.wrong[0].what
        assert "models pull" in one.wrong[0].remedy


def test_a_model_without_published_boxes_must_find_the_object_alone() -> None:
    one = Row(Case(CORAL, "litert", "usb:0"))
    compare(one, "street", [Found("person", 0.5, BOX)], [Found("person", 0.95, (0.2, 0.2, 0.4, 0.25))])
    assert one.agreed == 1
    compare(one, "street", [Found("person", 0.5, BOX)], [Found("person", 0.95, (0.7, 0.7, 0.2, 0.2))])
    assert "libedgetpu" in one.wrong[0].remedy


def test_a_slow_machine_is_no_fault_and_an_engine_that_falls_behind_is() -> None:
    table = known.published()
    models = {"yolox-nano": "litert", "ssd-mobilenet-v1": "litert", "fastestdet": "onnxruntime"}
    models["yunet"] = "onnxruntime"
    rows = [row(name, engine, milliseconds=9 * table[name].milliseconds) for name, engine in models.items()]
    judge_speed(rows)
    assert not any(each.wrong for each in rows)
    assert rows[0].published == table["yolox-nano"].milliseconds
    assert rows[1].milliseconds is not None
    rows[1].milliseconds *= 4.1
    judge_speed(rows)
    assert [bool(each.wrong) for each in rows] == [False, True, False, False]
    assert "lacks fast kernels" in rows[1].wrong[0].remedy
    second = row("fastestdet", "opencv", milliseconds=9 * 5 * table["fastestdet"].milliseconds)
    judge_speed([*rows, second])
    assert (second.slow, second.wrong) == (True, []), "an engine that is known to be slower is no fault"


def test_a_gpu_must_beat_the_processor_and_a_coral_come_near_googles_figure() -> None:
    rows = [
        row("fastestdet", "onnxruntime", "cpu", 10.0),
        row("fastestdet", "onnxruntime", "cuda", 10.1),
        row("fastestdet", "onnxruntime", "tensorrt", 9.9),
        row("fastestdet", "opencv", "cpu", 90.0),
        row("ssdlite-mobiledet", "litert", "usb:0", 36.3),
        row("ssdlite-mobiledet", "litert", "usb:1", 36.5),
    ]
    judge_speed(rows)
    assert [bool(each.wrong) for each in rows] == [False, True, False, False, False, True]
    assert "USB 3" in rows[5].wrong[0].remedy


def test_what_did_not_run_where_it_was_asked_to_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", str(shared("models")))
    case = Case(catalogue.get("fastestdet"), "onnxruntime", "cuda")
    pictures = {each.name: each.load() for each in known.PICTURES}
    result, founds = verify.run(case, pictures, verify.reference_of(case))
    if result.ran_on == "cuda":
        pytest.skip("there is a GPU here")
    assert result.agreed == result.expected > 0
    assert founds["person"]
    assert [each.what for each in result.wrong] == ["fastestdet on onnxruntime, cuda: it ran on cpu"]


@pytest.mark.shared
def test_every_engine_here_finds_what_is_published(run_verify: Verify) -> None:
    done = run_verify("--json", models=shared("models"))
    report = json.loads(done.output)
    assert {line["model"] for line in report["rows"]} >= set(known.published()) - {"dlib-resnet"}
    for line in report["rows"]:
        assert line["agreed"] == line["expected"] > 0, line
        assert line["ran_on"] == "cpu"
    assert not [each for each in report["wrong"] if "models here let expect" not in each["what"]]


@pytest.mark.shared
def test_pictures_of_the_owners_own_are_compared_between_engines(run_verify: Verify, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    assert "no JPEG is there" in str(run_verify("--pictures", str(own)).exception)
    (own / "mine.jpg").write_bytes((Path(known.__file__).parent / "person.jpg").read_bytes())
    models = tmp_path / "models"
    models.mkdir()
    (models / "FastestDet.onnx").symlink_to(shared("models/FastestDet.onnx"))
    report = json.loads(run_verify("--json", "--pictures", str(own), models=models).output)
    first, second = (line for line in report["rows"] if line["model"] == "fastestdet")
    assert (first["engine"], second["engine"]) == ("onnxruntime", "opencv")
    assert second["expected"] > first["expected"]
    assert second["agreed"] == second["expected"]


def test_without_a_model_it_says_so_and_ends_with_1(run_verify: Verify) -> None:
    done = run_verify()
    assert done.exit_code == 1
    assert "no model that finds objects is here" in done.output
    assert "meerkat models pull" in done.output


def test_a_coral_that_is_absent_crashes_or_sees_wrongly_is_told(run_verify: Verify, tmp_path: Path) -> None:
    stub = str(build_stub(tmp_path))
    write_compiled_model(tmp_path / CORAL.model.name)
    done = run_verify("--json", models=tmp_path, coral="[usb:0, usb:5, usb:9]", library=stub)
    assert done.exit_code == 1
    report = json.loads(done.output)
    (line,) = (line for line in report["rows"] if line["model"] == CORAL.name)
    assert (line["asked"], line["ran_on"], line["ok"]) == ("usb:0", "edgetpu usb:0", False)
    told = "\n".join(each["what"] for each in report["wrong"])
    assert "usb:5" in told
    assert "No such device" in told
    assert "SIGSEGV" in told
    assert "in person there is no person" in told or "the person overlaps" in told
    assert all(each["remedy"] for each in report["wrong"])


def test_a_coral_without_a_model_for_it_is_told(run_verify: Verify, tmp_path: Path) -> None:
    done = run_verify(coral="[usb:0]", library=str(build_stub(tmp_path)))
    assert done.exit_code == 1
    assert "no model for it is here" in done.output
    assert "ssdlite-mobiledet" in done.output


def test_the_table_is_for_people(run_verify: Verify, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "kz_person.tflite").symlink_to(shared("models/kz_person.tflite"))
    done = run_verify(models=models)
    assert done.exit_code == 0, done.output
    assert "yolox-person" in done.output
    assert "All is as it should be." in done.output


@pytest.mark.shared
def test_models_of_a_folder_are_verified_and_their_number_is_told(run_verify: Verify, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    before = run_verify("--json").output
    (folder / "slim320.tflite").symlink_to(shared("models/slim320.tflite"))
    rows = json.loads(run_verify("--models-folder", str(folder), "--json").output)["rows"]
    assert "slim-face" in {each["model"] for each in rows} - {r["model"] for r in json.loads(before)["rows"]}


def test_what_is_looked_at_is_told_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    with verify_command._progress(2) as (tell, advance):
        tell("yolox-nano on litert, cpu")
        advance()
    said = capsys.readouterr()
    assert "yolox-nano on litert, cpu" in said.err
    assert "1/2" in said.err
    assert not said.out


@pytest.mark.parametrize(
    ("hardware", "device", "providers", "wrong"),
    [
        ("NVIDIA Jetson Nano Developer Kit", "auto", ["CPUExecutionProvider"], True),
        ("NVIDIA Jetson Nano Developer Kit", "auto", ["CUDAExecutionProvider"], False),
        ("x86_64, 8 cores", "auto", ["CPUExecutionProvider"], False),
        ("x86_64, 8 cores", "cuda", ["CPUExecutionProvider"], True),
    ],
)
def test_a_gpu_that_nothing_here_can_use_is_told(
    hardware: str, device: str, providers: list[str], wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "hardware", lambda: hardware)
    rows = [row("fastestdet", "onnxruntime"), *[row("fastestdet", "onnxruntime", "cuda")] * (not wrong)]
    told = missing(WorkerSettings.model_validate({"device": device}), rows, [], providers)
    assert [("JetPack" in each.remedy) for each in told] == ([True] if wrong else [])


def test_a_gpu_without_a_model_for_it_is_told() -> None:
    rows = [row("yolox-nano", "litert")]
    (wrong,) = missing(WorkerSettings(), rows, [], ["CUDAExecutionProvider"])
    assert "pull fastestdet" in wrong.remedy


def test_an_embedder_must_describe_the_known_face_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dlib", reason="needs the extra faces")
    case = Case(catalogue.get("dlib-resnet"), "dlib", "cpu")
    sound, founds = verify.run(case, {}, {})
    assert (sound.agreed, sound.expected, sound.wrong, founds) == (1, 1, [], {})
    assert sound.apart < 0.01
    assert sound.milliseconds
    table = dict(known.published())
    entry = table["dlib-resnet"]
    table["dlib-resnet"] = replace(entry, embedding=entry.embedding[::-1])
    monkeypatch.setattr(known, "published", lambda: table)
    other, _ = verify.run(case, {}, {})
    assert (other.agreed, len(other.wrong)) == (0, 1)
    del table["dlib-resnet"]
    unknown, _ = verify.run(case, {}, {})
    assert (unknown.agreed, unknown.wrong) == (1, []), "its mirror image is the same person"


def test_a_broken_picture_of_the_owner_is_named(run_verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "torn.jpg").write_bytes(b"nothing")
    result = run_verify("--pictures", str(tmp_path / "mine"))
    assert isinstance(result.exception, MediaError)
    assert "torn.jpg: 7 bytes that do not begin like a JPEG" in str(result.exception)


def test_a_model_that_lags_is_measured_again_before_it_is_blamed(
    run_verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = shared("models/yunet_n_320_320.onnx").parent
    spans: dict[str, list[float]] = {}

    def run(case: Case, *given: object, **options: object) -> tuple[Row, dict[str, list[Found]]]:
        """The third model is slow when it is first looked at; the fourth always."""
        table = known.published().get(case.entry.name)
        times = spans.setdefault(str(case), [])
        factor = 10.0 if case.entry.name == "slim-face" or (case.entry.name == "yunet" and not times) else 1.0
        times.append(factor)
        return replace(row(case.entry.name, case.engine), milliseconds=factor * table.milliseconds), {}

    monkeypatch.setattr(verify, "run", run)
    result = run_verify("--json", models=models)
    told = json.loads(result.stdout)
    assert [("slim-face" in each["what"]) for each in told["wrong"]] == [True], told["wrong"]
    assert [len(times) for name, times in spans.items() if name.startswith(("slim", "yolox"))] == [1, 1, 2]
    assert spans["yunet on onnxruntime, cpu"] == [10.0, 1.0]
