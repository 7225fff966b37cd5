"""Forty clips, more than the house can do in time, and everything goes wrong: each has its one result."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from cloud_support.frail_worker import HOLD, POISON, marked
from cloud_support.site import Site, Times
from support.media import make_clip
from support.wait import wait_for

CLIPS = 40
SLACK = 30.0
"""Seconds that a busy machine may add to what is promised."""


@pytest.mark.timeout(400)
def test_forty_clips_each_have_one_result_whatever_goes_wrong(tmp_path: Path) -> None:
    run(tmp_path, Times())


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_forty_clips_at_the_pace_of_earnest(tmp_path: Path) -> None:
    times = Times(
        clip=8,
        tick=20,
        grace=60,
        boot=10,
        deadline=120,
        gain=30,
        visibility=60,
        notice=120,
        outage=10,
        timeout=900,
    )
    run(tmp_path, times)


def run(folder: Path, times: Times) -> None:
    content = make_clip(folder / "clip.mp4", seconds=times.media, fps=10, size=(320, 180)).read_bytes()
    with Site(folder, times) as site:
        patience = 60 + 40 * times.clip
        begin = time.monotonic()
        try:
            site.worker.may = lambda: len(site.worker.done) < CLIPS // 2 or _has_its_share(site)
            sent = _send(site, content)
            for fault in (
                _deliver_twice,
                _kill_a_worker_in_mid_clip,
                _kill_the_hub,
                _interrupt,
                _take_the_cloud_away,
            ):
                fault(site, patience)
                print(f"{time.monotonic() - begin:5.1f} s {fault.__name__}, {_ended(site)} clips have ended")
            wait_for(lambda: _ended(site) == CLIPS, seconds=3 * patience, what="all 40 outcomes")
            print(f"{time.monotonic() - begin:5.1f} s all 40 have ended")
            _the_fleet_returns_to_zero(site)
            _no_clip_stays_there(site)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{site.story()}") from error
        _check(site, sent)


def _has_its_share(site: Site) -> bool:
    """Whether the cloud has begun more than a quarter of the clips."""
    return len({line.split()[-1] for _, line in site.told("INFO begins")}) > CLIPS // 4


def _ended(site: Site) -> int:
    return len(site.listener.outcomes)


def _send(site: Site, content: bytes) -> dict[str, str]:
    """Those that are to meet their fate in the cloud come last: the tail of the backlog goes out. By name."""
    device, seconds = site.device, site.times.media
    named = {f"clip {number}": device.send(content, duration=seconds) for number in range(CLIPS - 2)}
    named["poison"] = device.send(marked(content, POISON), thing="cellar", duration=seconds)
    named["held"] = device.send(marked(content, HOLD), thing="cellar", duration=seconds)
    return named


def _kill_a_worker_in_mid_clip(site: Site, patience: float) -> None:
    wait_for(lambda: site.told("INFO holds"), seconds=patience, what="a worker in mid-clip")
    ((victim, _),) = site.told("INFO holds")
    site.machines.kill(victim)
    wait_for(lambda: victim not in site.machines.ids(), what="the machine to be lost")


def _deliver_twice(site: Site, patience: float) -> None:
    """SQS delivers at least once: one order is queued a second time."""
    queue, jobs = site.cloud("sqs"), site.emulator.stack.outputs["Jobs"]

    def waiting() -> str:
        answer = queue.receive_message(QueueUrl=jobs, VisibilityTimeout=0, WaitTimeSeconds=0)
        return str(answer["Messages"][0]["Body"]) if answer.get("Messages") else ""

    body = wait_for(waiting, seconds=patience, what="an order that waits in the queue")
    queue.send_message(QueueUrl=jobs, MessageBody=body)


def _interrupt(site: Site, patience: float) -> None:
    def at_work() -> list[str]:
        begun = {instance for instance, _ in site.told("INFO begins")}
        return [instance for instance in site.machines.ids() if instance in begun]

    victim = wait_for(at_work, seconds=patience, what="an instance at work")[0]
    site.machines.interrupt(victim)
    wait_for(
        lambda: victim not in site.machines.ids(),
        seconds=patience + site.times.notice,
        what="the instance to be taken away",
    )


def _kill_the_hub(site: Site, patience: float) -> None:
    wait_for(lambda: _ended(site) >= 5, seconds=patience, what="some outcomes")
    assert _ended(site) < CLIPS - 5, "the hub is to die in the middle"
    site.hub.kill()
    site.hub.start()


def _take_the_cloud_away(site: Site, patience: float) -> None:
    """First it refuses every connection, later it takes them and says nothing."""
    heard = len(site.listener.states)
    wait_for(lambda: len(site.listener.states) > heard, seconds=patience, what="the hub to be back")
    for gone, back in (
        (site.emulator.hang_up, site.emulator.listen),
        (site.emulator.freeze, site.emulator.thaw),
    ):
        gone()
        _pass_time(site.times.outage)
        back()


def _pass_time(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() >= until, seconds=seconds + 5, what="the end of the outage")


def _the_fleet_returns_to_zero(site: Site) -> None:
    times = site.times
    begin = time.monotonic()
    promised = times.grace + 2 * times.tick
    wait_for(lambda: not site.machines.ids(), seconds=promised + SLACK, what="the fleet's return to zero")
    print(f"fleet at zero {time.monotonic() - begin:.1f} s after the last outcome ({promised:g} s promised)")
    groups = site.cloud("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [group["DesiredCapacity"] for group in groups] == [0]


def _no_clip_stays_there(site: Site) -> None:
    s3, bucket = site.cloud("s3"), site.emulator.stack.outputs["Bucket"]
    # The last one is deleted after its outcome is told.
    wait_for(
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="clips/")["KeyCount"] == 0,
        seconds=site.times.outage + 20,
        what="the last clip to be deleted from the cloud",
    )


def _check(site: Site, sent: dict[str, str]) -> None:
    outcomes = {clip: {outcome.state for outcome in heard} for clip, heard in site.listener.outcomes.items()}
    expected = {clip: {"failed"} if name == "poison" else {"done"} for name, clip in sent.items()}
    assert outcomes == expected, site.story()
    reason = site.listener.outcomes[sent["poison"]][0].reason
    assert "dead-letter queue" in reason
    with sqlite3.connect(f"file:{site.data}/hub/hub.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT id, state FROM clips").fetchall()
    assert len(rows) == len(dict(rows)) == CLIPS
    assert Counter(state for _, state in rows) == {"done": CLIPS - 1, "failed": 1}
    assert _has_its_share(site)
    assert max(site.listener.ever("instances")) <= 2
