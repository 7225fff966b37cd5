"""`meerkat bench dispatch`: what it sends, what it makes of measurements, and one small run of all of it."""

from __future__ import annotations

import json
import os
import signal
from itertools import count

import pytest
from click.testing import CliRunner

from meerkat_contract.errors import UsageError
from meerkat_experiments.bench_command import bench
from meerkat_experiments.real.dispatch_batch import Measured
from meerkat_experiments.real.dispatch_carriers import MOST_WAITING, Frames, jpeg, one_frame_clip
from meerkat_experiments.real.dispatch_run import Limit, Outcome, Plan, Row, as_object, limits
from meerkat_experiments.real.dispatch_site import Running, SiteError, open_site
from meerkat_experiments.real.dispatch_table import table
from meerkat_hub.container import check_video
from meerkat_hub.core.workflows.admission import provision
from meerkat_hub.core.workflows.answers import Admitted
from meerkat_hub.core.workflows.graph import EdgeNode
from meerkat_hub.workflow_settings import OrchestratorSettings, WorkflowsSettings
from meerkat_inference.picture import decode_jpeg, jpeg_size

CAPACITIES = (60, 30, 10)


@pytest.mark.parametrize("size", [1_000, 50_000, 65_872, 65_873, 65_875, 200_000])
def test_pictures_have_the_size_asked_for_and_are_good(size: int) -> None:
    picture = jpeg(size)
    assert len(picture) == size
    assert jpeg_size(picture) == (16, 16)
    assert decode_jpeg(picture).shape == (16, 16, 3)


def test_clips_are_one_frame_long_and_pass_the_hubs_check() -> None:
    clip = one_frame_clip(50_000)
    assert len(clip) == 50_000
    video = check_video(clip, where="test")
    assert (video.content_type, video.duration) == ("video/mp4", 0.2)


def test_the_help_says_how_many_frames_are_out_at_a_time() -> None:
    text = " ".join(CliRunner().invoke(bench, ["dispatch", "--help"]).output.split())
    assert f"at most {MOST_WAITING} are unanswered at a time" in text


def measured(makespan: float, *, cpu: float | None = 0.0005, messages: int = 100) -> Measured:
    share = {"flo-1": 6 * messages // 10, "flo-2": 3 * messages // 10, "flo-3": messages // 10}
    return Measured(messages, makespan, share, cpu, None if cpu is None else cpu / 2, copies=0, failed=0)


def outcome(*rows: Row, round_trip: float = 0.0) -> Outcome:
    plan = Plan((CAPACITIES,), (100,), ("ect",), 3, round_trip)
    return Outcome(plan, "clip", list(rows), {(CAPACITIES, "ect"): 0.004})


def test_the_median_run_counts() -> None:
    row = Row(CAPACITIES, 100, "ect", 1.0, (measured(1.2), measured(1.01), measured(1.02)))
    assert row.ratio == pytest.approx(1.02)
    assert row.spread == pytest.approx((1.01, 1.2))
    assert row.served == (60, 30, 10)
    assert row.balance == pytest.approx(0)
    assert row.throughput == pytest.approx(100 / 1.02)


def test_limits_are_those_of_our_rule_alone() -> None:
    ours = Row(CAPACITIES, 100, "ect", 1.0, (measured(1.04, cpu=0.0009),))
    others = Row(CAPACITIES, 100, "round_robin", 1.0, (measured(3.3, cpu=0.5),))
    found = {limit.what: limit for limit in limits(outcome(ours, others))}
    assert not found["makespan over the optimum, 100 images"].holds
    assert found["the hub's CPU per image"].measured == pytest.approx(0.9)
    assert not found["the hub's CPU per image"].holds
    assert found["the idle hub"].holds
    assert "workload balance (Eq. 12) at 1000 images" not in found


def test_the_cpu_is_not_judged_where_one_tick_of_its_clock_is_above_the_limit() -> None:
    few = Row(CAPACITIES, 20, "ect", 1.0, (measured(1.0, cpu=0.001, messages=20),))
    assert "the hub's CPU per image" not in {limit.what for limit in limits(outcome(few))}


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(((40, 20),), (20,), ("ect",), 1, idle_seconds=0), "1 run, about a minute"),
        (Plan(((40, 20, 10),), (1000,), ("ect",), 20), "20 runs, about 5 minutes"),
    ],
)
def test_how_long_it_takes_is_told(plan: Plan, said: str) -> None:
    assert str(plan) == said


def test_the_table_names_the_size_of_the_images() -> None:
    plan = Plan((CAPACITIES,), (100,), ("ect",), 1, kilobytes=200)
    title = table(Outcome(plan, "frame", [Row(CAPACITIES, 100, "ect", 1.0, (measured(1.0),))])).title
    assert "frames of 200 kB" in str(title)


def test_a_value_at_its_limit_holds() -> None:
    assert Limit("x", 1.03, 1.03).holds
    assert not Limit("x", 1.03, 1.0301).holds
    assert "DOES NOT HOLD" in str(Limit("x", 1.03, 1.0301))


def test_with_a_round_trip_one_of_it_is_allowed() -> None:
    row = Row(CAPACITIES, 100, "ect", 1.012, (measured(1.032),))
    (first, *_) = limits(outcome(row, round_trip=0.012))
    assert first.measured == pytest.approx(1.02)
    assert "round trip" in first.what


def test_without_proc_no_figure_is_made_up() -> None:
    row = Row(CAPACITIES, 100, "ect", 1.0, (measured(1.0, cpu=None),))
    assert row.hub_cpu is None
    assert all("CPU" not in limit.what for limit in limits(outcome(row)))
    content = as_object(outcome(row))
    assert content["rows"][0]["hub_cpu_ms"] is None  # type: ignore[index]
    assert content["rows"][0]["stand_in_cpu_ms"] is None  # type: ignore[index]


def test_the_table_has_a_line_for_each_rule() -> None:
    rows = [Row(CAPACITIES, 100, rule, 1.0, (measured(1.0),)) for rule in ("ect", "pull")]
    shown = table(outcome(*rows))
    assert shown.row_count == 2
    *_, hub, stand_in = shown.columns
    assert [*hub.cells, *stand_in.cells] == ["0.50", "0.50", "0.25", "0.25"]


def test_how_long_it_takes_is_foreseen() -> None:
    short = Plan((CAPACITIES,), (100,), ("ect",), 1, idle_seconds=0)
    assert 1 < short.seconds() < 10
    assert Plan((CAPACITIES,), (100,), ("round_robin",), 1, idle_seconds=0).seconds() > short.seconds()
    assert short.steps() == 1


def test_a_process_that_ends_is_told_with_its_last_words() -> None:
    with open_site() as site:
        failing = site.start("talker", ["sh", "-c", "echo out of cheese; exit 3"])
        failing.process.wait(10)
        with pytest.raises(SiteError, match="status 3: out of cheese"):
            site.check()
    assert not site.folder.exists()
    assert all(running.process.poll() is not None for running in site.processes.values())


def test_sigterm_leaves_neither_processes_nor_files() -> None:
    before, sites = signal.getsignal(signal.SIGTERM), []

    def interrupted() -> None:
        with open_site() as site:
            sites.append(site)
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("it went on")

    with pytest.raises(SystemExit, match="143"):
        interrupted()
    (site,) = sites
    assert not site.folder.exists()
    assert all(running.process.poll() is not None for running in site.processes.values())
    assert signal.getsignal(signal.SIGTERM) is before


def test_wrong_capacities_are_said_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="no set of nodes"):
        CliRunner().invoke(bench, ["dispatch", "--capacities", "fast"], catch_exceptions=False)


def run(*arguments: str) -> dict[str, object]:
    quick = ["--capacities", "60/30/10", "--messages", "20", "--runs", "1", "--idle", "0", "--json"]
    result = CliRunner().invoke(bench, ["dispatch", *quick, *arguments], catch_exceptions=False)
    content = json.loads(result.stdout)
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize(("carrier", "trip"), [("frame", "6"), ("clip", "0")])
def test_a_small_run_over_a_real_broker(carrier: str, trip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {"hub": count(step=0.02)}
    monkeypatch.setattr(
        Running, "cpu_seconds", lambda self: next(clocks.setdefault(self.name, count(step=0.01)))
    )
    content = run("--rule", "ect", "--carrier", carrier, "--round-trip", trip)
    assert (content["carrier"], content["round_trip_ms"]) == (carrier, float(trip))
    (row,) = content["rows"]  # type: ignore[misc]
    assert sum(row["served"]) == 20
    assert row["served"][0] > row["served"][2], "the fastest does more than the slowest"
    assert row["makespan_ms"][0] >= row["optimum_ms"] > 0, "nothing is faster than the optimum"
    assert row["hub_cpu_ms"] == pytest.approx(1.0), "20 ms for 20 images"
    assert row["stand_in_cpu_ms"] == pytest.approx(1.5), "three of 10 ms each"


@pytest.mark.parametrize(
    "capacities", [(60, 30, 10), (40, 20, 10), (50, 50, 50), (100, 1), (60,), (9, 8, 2, 1), (240, 120, 60)]
)
@pytest.mark.parametrize("dip", [1.0, 0.8])
def test_the_workflow_of_the_frames_is_admitted_on_all_workers(
    capacities: tuple[int, ...], dip: float
) -> None:
    sections = Frames(1000).configuration(capacities)
    workflows = WorkflowsSettings.model_validate(sections["workflows"]).root
    policy = OrchestratorSettings.model_validate(sections["orchestrator"]).policy()
    nodes = [EdgeNode(f"w{n}", {"recognise_faces": dip * speed}) for n, speed in enumerate(capacities)]
    admitted = provision(
        workflows["bench"].workflow("bench"),
        [*nodes, EdgeNode("hub", {"decide": 1000})],
        method=policy.method,
        overbooking=policy.overbooking,
    )
    assert isinstance(admitted, Admitted), admitted.reason
    assert {operator.node for operator in admitted.graph.feature} == {node.id for node in nodes}
    rate = sum(use.fps for use in workflows["bench"].cameras.values())
    assert 1.1 * rate >= 250, "or a device that sends so many at once has some of them passed over"
    assert rate >= sum(capacities), "or one that sends as many as are answered has"


def test_workers_faster_than_any_camera_are_refused() -> None:
    with pytest.raises(UsageError, match="cameras send"):
        Frames(1000).configuration((1000, 1000, 1000))
