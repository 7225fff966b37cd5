"""The command: options, variables, logs, and what it does not import."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.worker import command, starting
from meerkat_cloud_burst.worker.command import cloud_worker
from meerkat_cloud_burst.worker.logs import JsonLines
from meerkat_cloud_burst.worker.plan import Plan
from meerkat_contract.errors import UsageError

QUEUES = {
    "MEERKAT_BURST_BUCKET": "clips",
    "MEERKAT_BURST_JOBS": "https://sqs.eu-central-1.amazonaws.com/1/jobs",
    "MEERKAT_BURST_RESULTS": "https://sqs.eu-central-1.amazonaws.com/1/results",
}


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What was to be served; nothing is."""
    seen: list[Plan] = []
    monkeypatch.setattr(starting, "serve", lambda plan: seen.append(plan) or 0)
    return seen


def run(*options: str, **environment: str) -> int:
    return CliRunner().invoke(cloud_worker, options, env=environment, catch_exceptions=False).exit_code


def test_the_variables_of_the_template_are_understood(plans: list[Plan]) -> None:
    """Those that the user data writes into /etc/meerkat/burst.env."""
    variables = {
        **QUEUES,
        "MEERKAT_BURST_REGION": "eu-central-1",
        "MEERKAT_BURST_GROUP": "meerkat-burst-workers",
        "MEERKAT_BURST_MODEL": "yolo-fastest",
        "MEERKAT_BURST_IDLE_GRACE": "0",
        "MEERKAT_BURST_ENGINE": "libdarknet",
    }
    assert run(**variables) == 0
    (plan,) = plans
    assert plan.named
    assert (plan.bucket, plan.region, plan.group) == ("clips", "eu-central-1", "meerkat-burst-workers")
    assert (plan.model, plan.idle_grace, plan.engine) == ("yolo-fastest", 0.0, "libdarknet")


def test_the_template_sets_no_variable_that_is_not_known() -> None:
    root = Path(__file__).resolve().parents[3]
    template = (root / "cloud_burst" / "template.yaml").read_text()
    known = {parameter.envvar for parameter in cloud_worker.params}
    lines = [line.strip() for line in template.splitlines()]
    written = {line.partition("=")[0] for line in lines if line.startswith("MEERKAT_BURST_")}
    assert len(written) >= 7
    assert written <= known


def test_empty_variables_are_not_set(plans: list[Plan]) -> None:
    assert run(MEERKAT_BURST_MODEL="", MEERKAT_BURST_IDLE_GRACE="") == 0
    assert (plans[0].model, plans[0].idle_grace, plans[0].named) == ("", 60.0, False)


def test_one_that_stays_has_no_grace(plans: list[Plan]) -> None:
    assert run("--stay", MEERKAT_BURST_IDLE_GRACE="5") == 0
    assert run(MEERKAT_BURST_STAY="1") == 0
    assert run(MEERKAT_BURST_STAY="0") == 0
    assert [plan.idle_grace for plan in plans] == [None, None, 60.0]


def test_a_name_that_is_not_given_tells_nothing_of_the_machine(plans: list[Plan]) -> None:
    run()
    run()
    assert plans[0].name != plans[1].name
    assert plans[0].name.startswith("pc-")


def test_bucket_and_queues_belong_together() -> None:
    with pytest.raises(UsageError, match="MEERKAT_BURST_JOBS and MEERKAT_BURST_RESULTS"):
        _ = Plan(bucket="clips").named
    with pytest.raises(UsageError, match="no address of a queue"):
        _ = Plan(bucket="clips", jobs="jobs", results="https://sqs/results").named


def test_the_help_names_the_variables() -> None:
    text = CliRunner().invoke(cloud_worker, ["--help"]).output
    for option in cloud_worker.params:
        if isinstance(option.envvar, str) and not getattr(option, "hidden", False):
            assert option.envvar.removeprefix("MEERKAT_BURST") in text


# --- logs -------------------------------------------------------------------------------------------


def line(record: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_a_line_is_one_json_object() -> None:
    record = logging.LogRecord("meerkat", logging.WARNING, "x.py", 1, "A clip\nfailed: %s", ("ü",), None)
    record.created = 1_795_161_600.25
    record.job, record.seconds = "0191", 1.5
    assert "\n" not in JsonLines().format(record)
    assert line(record) == {
        "timestamp": "2026-11-20T08:00:00.250Z",
        "level": "warning",
        "message": "A clip\nfailed: ü",
        "job": "0191",
        "seconds": 1.5,
    }


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("meerkat", logging.ERROR, "x.py", 1, "Oh", (), sys.exc_info())
    assert "ValueError: broken" in str(line(record)["exception"])
    assert "job" not in line(record)


def test_with_json_an_error_at_the_start_is_a_line_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(plan: Plan) -> int:
        raise CloudError("the stack is not there", cause="missing", remedy="meerkat burst deploy makes it")

    monkeypatch.setattr(starting, "serve", fails)
    monkeypatch.setattr("meerkat_cloud_burst.worker.logs.use_json", lambda: None)
    assert run("--log", "json") == 1
    assert "the stack is not there. meerkat burst deploy makes it" in caplog.text


# --- what a start costs -----------------------------------------------------------------------------


def test_it_imports_no_engine_but_its_own_and_no_server() -> None:
    code = """
import sys
import meerkat_cloud_burst.worker.command
assert not {"boto3", "numpy", "cv2", "av"} & sys.modules.keys(), "for --help"
import meerkat_cloud_burst.worker.starting, meerkat_inference.loading, meerkat_inference.families.darknet
import meerkat_inference.engines.opencv, meerkat_cloud_burst.worker.annotate
heavy = "onnxruntime ai_edge_litert tflite_runtime fastapi sqlalchemy httpx meerkat_hub meerkat_devices"
found = set(heavy.split()) & sys.modules.keys()
sys.exit(", ".join(found) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_engines_are_those_of_darknet() -> None:
    from meerkat_inference.opening import kinds_for

    assert set(kinds_for(Path("x.weights"))) == set(command.ENGINES)
