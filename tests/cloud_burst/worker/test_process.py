"""Real worker processes, a real queue protocol (moto), and what happens to machines."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_support.emulator import REGION, Emulator, running_emulator
from cloud_support.tiny_model import MODEL
from cloud_support.worker_process import Stack, WorkerProcess
from meerkat_cloud_burst.emulated.metadata import MetadataService
from meerkat_cloud_burst.messages import Life
from meerkat_cloud_burst.worker import starting
from meerkat_cloud_burst.worker.plan import Plan
from support.wait import wait_for

Start = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def stack(aws: Emulator, tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    """A stack of its own, whose queue hides an order for two seconds."""
    name = request.node.name.replace("_", "-")
    return Stack(aws, name, tmp_path)


@pytest.fixture
def start(stack: Stack) -> Iterator[Start]:
    """Starts workers, and ends what is left of them."""
    running: list[WorkerProcess] = []

    def begin(name: str, *options: str, **more: object) -> WorkerProcess:
        running.append(WorkerProcess(stack, name, *options, **more))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for worker in running:
        worker.kill()
        print(f"--- {worker.log.name}\n{worker.text()}")


@pytest.fixture
def instance(stack: Stack) -> Iterator[MetadataService]:
    """One instance in the stack's group, and what it is told about itself."""
    with MetadataService(stack.launch(), REGION) as metadata:
        yield metadata


def on_ec2(metadata: MetadataService) -> dict[str, str]:
    return {
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.endpoint,
        "MEERKAT_BURST_IDLE_GRACE": "0",
    }


def test_an_instance_does_what_waits_and_takes_itself_out_of_the_group(
    stack: Stack, start: Start, instance: MetadataService
) -> None:
    """The whole command: the model comes from the bucket; one order was delivered twice, one is no video."""
    catalogue = stack.upload_model()
    orders = [stack.send(times=2), stack.send(content=b"no video")]
    environment = {
        **on_ec2(instance),
        "MEERKAT_CATALOGUE": str(catalogue),
        "MEERKAT_BURST_MODEL": MODEL,
        "MEERKAT_BURST_LOG": "json",
    }
    worker = start("worker", scripted=False, environment=environment)
    assert worker.wait() == 0
    group = stack.group()
    assert (group["DesiredCapacity"], group["Instances"]) == (0, [])
    finished = [stack.wait_announced(order) for order in orders]
    assert stack.announced(orders[0]) == 2  # announced twice, written once: the hub drops the second
    assert [each.worker for each in finished] == [instance.instance] * 2
    assert [each.result.state for each in finished] == ["done", "failed"]
    assert "not a video" in finished[1].result.reason
    assert finished[0].result.model is not None
    assert (finished[0].result.model.name, finished[0].result.model.engine) == (MODEL, "opencv")
    assert stack.lives() == ["ready", "ending"]
    assert stack.orders.look().waiting == stack.orders.look().taken == 0
    lines = worker.lines()
    assert all({"timestamp", "level", "message"} <= line.keys() for line in lines)
    done = [line for line in lines if "seconds" in line]
    assert sorted(line["job"] for line in done) == sorted(orders[each].job.job for each in (0, 0, 1))
    assert all(line["seconds"] > 0 for line in done)
    assert "announced once more" in worker.text()


def test_killed_in_mid_clip_another_takes_it(stack: Stack, start: Start) -> None:
    order = stack.send(width=96)
    first = start("first", "--stay", "--visibility", "2")
    wait_for(first.begun.exists)
    first.kill()
    second = start("second", "--stay", "--visibility", "2")
    second.hang.unlink()
    finished = stack.wait_announced(order)
    assert finished.result.state == "done"
    assert stack.announced(order) == 1
    assert "taken before (2 times)" in second.text()


def test_what_kills_the_process_ends_as_a_dead_letter(stack: Stack, start: Start) -> None:
    poison = stack.send(width=64)
    for attempt in range(3):
        worker = start(f"worker-{attempt}", "--stay", "--visibility", "1")
        assert worker.wait() == -signal.SIGKILL
    assert wait_for(lambda: stack.orders.receive(0) is None and stack.orders.look().dead)
    (letter,) = stack.orders.dead_letters()
    assert letter.order.job.job == poison.job.job
    assert stack.announced(poison) == 0


def test_asked_to_end_it_gives_the_clip_back_within_five_seconds(stack: Stack, start: Start) -> None:
    """Though the detector hangs and never comes back."""
    stack.send(width=96)
    worker = start("worker", "--stay")
    wait_for(worker.begun.exists)
    begin = time.monotonic()
    worker.process.terminate()
    assert worker.wait(5) == 0
    received = stack.orders.receive(0)  # it is hidden for a minute no more
    assert received is not None, time.monotonic() - begin
    assert stack.lives() == ["ready", "ending"]


def test_an_interruption_gives_the_clip_back_and_ends(
    stack: Stack, start: Start, instance: MetadataService
) -> None:
    stack.send(width=96)
    worker = start("worker", environment=on_ec2(instance))
    wait_for(worker.begun.exists)
    instance.interrupt(datetime.now(UTC) + timedelta(seconds=120))
    assert worker.wait() == 0
    assert stack.orders.receive(0) is not None
    assert stack.lives() == ["ready", "interrupted", "ending"]
    assert len(stack.group()["Instances"]) == 1  # EC2 takes it, and the group decides


def test_a_model_that_was_tampered_with_takes_no_order(stack: Stack, start: Start) -> None:
    catalogue = stack.upload_model(damaged=True)
    stack.send()
    environment = {"MEERKAT_CATALOGUE": str(catalogue), "MEERKAT_BURST_MODEL": MODEL}
    worker = start("worker", scripted=False, environment=environment)
    assert worker.wait() == 1
    received = stack.orders.receive(0)
    assert received is not None
    assert received.receives == 1
    (life,) = [said for said in stack.hear() if isinstance(said, Life)]
    assert life.what == "ending"
    assert "the bucket's file is another one" in life.reason
    assert "the bucket's file is another one" in worker.text()


def test_the_cloud_goes_away_and_comes_back(stack: Stack, start: Start) -> None:
    start("worker", "--stay")
    wait_for(lambda: stack.lives() == ["ready"])
    stack.aws.stop()
    stack.aws.start()
    stack.wait_announced(stack.send())


def test_without_bucket_and_queues_the_stack_is_asked(stack: Stack) -> None:
    order = stack.send()
    cloud, group = starting._of_stack(Plan(stack=stack.name), stack.aws.clients)
    assert group == stack.outputs["Group"]
    received = cloud.orders.receive(1)
    assert received is not None
    assert received.order == order
    cloud.store.fetch_clip(order.key, stack.folder / "fetched")
