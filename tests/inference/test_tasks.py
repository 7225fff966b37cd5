from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import Deploy, Job, ModelInfo, Result
from meerkat_inference.tasks import MOST_FAILED, RESERVE_BYTES, Circumstances, Tasks


@dataclass
class Bench:
    """A machine with a clock that runs while tasks are opened, and memory that they take."""

    at: float = 0.0
    drag: float = 1.0
    """How many times longer a look takes."""
    free: int = 1_000_000_000
    least: int = 1_000_000_000
    open: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def opener(self, task: str, *, seconds: float, look: float, memory: int = 100_000_000) -> object:
        bench = self

        class Skill:
            def __init__(self, model: str) -> None:
                self.info = ModelInfo(name=model or f"{task}-usual", engine="litert")
                self.device = "cpu"
                self.runs = 0

            def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
                raise AssertionError("no job here")

            def look(self, picture: object) -> None:
                bench.at += bench.drag * look * (3 if self.runs == 0 else 1)
                self.runs += 1
                if self.info.name in bench.broken:
                    raise ModelError(f"{self.info.name} breaks")

            def close(self) -> None:
                bench.open.remove(task)
                bench.free += memory

        def load(model: str) -> Skill:
            bench.at += seconds
            if model == "absent":
                raise ModelError("no such model")
            skill = Skill(model)
            bench.open.append(task)
            bench.opened.append(skill.info.name)
            bench.free -= memory
            bench.least = min(bench.least, bench.free)
            return skill

        return load

    def tasks(self, **options: object) -> Tasks:
        openers = {
            "objects": self.opener("objects", seconds=0.5, look=0.02),
            "faces": self.opener("faces", seconds=0.1, look=0.005),
            "names": self.opener("names", seconds=2.0, look=0.5, memory=500_000_000),
        }
        return Tasks(openers, now=lambda: self.at, free=lambda: self.free, **options)  # type: ignore[arg-type]


def test_each_task_is_measured_and_all_are_kept_where_the_memory_allows() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare()
    assert [(info.task, info.frames_per_second, info.switch_seconds) for info in tasks.infos] == [
        ("objects", pytest.approx(50), pytest.approx(0.5 + 3 * 0.02)),
        ("faces", pytest.approx(200), pytest.approx(0.1 + 3 * 0.005)),
        ("names", pytest.approx(2), pytest.approx(2.0 + 3 * 0.5)),
    ]
    assert tasks.serving is None
    assert bench.open == ["objects", "faces", "names"]
    assert tasks.ready("faces") is not None


def test_with_little_memory_the_first_alone_is_kept_and_all_are_offered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(free=700_000_000 + RESERVE_BYTES - 1)
    tasks = bench.tasks()
    tasks.prepare()
    assert tasks.serving == "objects"
    assert bench.open == ["objects"]
    assert [info.task for info in tasks.infos] == ["objects", "faces", "names"]
    assert tasks.ready("names") is None
    assert "one task is loaded at a time" in caplog.text
    roomy = Bench(free=700_000_000 + RESERVE_BYTES)
    enough = roomy.tasks()
    enough.prepare()
    assert enough.serving is None


def test_what_is_told_is_loaded_alone_and_the_release_loads_all() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare()
    tasks.switch(Deploy(task="faces"))
    assert (tasks.serving, bench.open) == ("faces", ["faces"])
    tasks.switch(Deploy(task="names"))
    assert (tasks.serving, bench.open) == ("names", ["names"])
    before = bench.at
    tasks.switch(Deploy(task="names"))
    tasks.switch(Deploy(task="names", model="names-usual"))
    assert bench.at == before, "what is loaded is not loaded again"
    tasks.switch(Deploy(task=""))
    assert tasks.serving is None
    assert sorted(bench.open) == ["faces", "names", "objects"]


def test_what_is_small_stays_beside_whatever_is_served() -> None:
    bench = Bench()
    tasks = bench.tasks(beside=["names"])
    tasks.prepare()
    tasks.switch(Deploy(task="faces"))
    assert (tasks.serving, bench.open) == ("faces", ["faces", "names"])
    assert [info.task for info in tasks.infos if info.beside] == ["names"]
    tasks.switch(Deploy(task=""))
    assert (tasks.serving, sorted(bench.open)) == (None, ["faces", "names", "objects"])
    tasks.switch(Deploy(task="names"))
    assert (tasks.serving, bench.open) == ("names", ["names"])


def test_another_model_of_a_task_takes_its_place_and_is_measured_once() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare()
    tasks.switch(Deploy(task="faces", model="better"))
    info = tasks.info("faces")
    assert info is not None
    assert info.model.name == "better"
    tasks.switch(Deploy(task="objects"))
    before = bench.at
    tasks.switch(Deploy(task="faces", model="better"))
    assert bench.at - before == pytest.approx(info.switch_seconds), "it was not measured again"


def test_the_others_are_let_go_before_the_new_one_is_loaded() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare()
    lowest = [bench.free]
    bring = bench.opener("names", seconds=1, look=0.1, memory=500_000_000)
    tasks._openers["names"] = lambda model: (lowest.append(bench.free), bring(model))[1]  # type: ignore
    tasks.switch(Deploy(task="faces"))
    tasks.switch(Deploy(task="names"))
    assert lowest[-1] == 1_000_000_000


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Deploy(task="faces", model="absent"), "no such model"),
        (Deploy(task="faces", model="bad"), "bad breaks"),
        (Deploy(task="meters"), "knows no task 'meters'"),
    ],
)
def test_an_order_that_fails_leaves_what_was_there(order: Deploy, words: str) -> None:
    bench = Bench(broken={"bad"})
    tasks = bench.tasks()
    tasks.prepare()
    tasks.switch(Deploy(task="objects"))
    with pytest.raises(ModelError, match=words):
        tasks.switch(order)
    assert tasks.serving == "objects"
    assert bench.open == ["objects"]
    tasks.switch(Deploy(task=""))
    with pytest.raises(ModelError, match=words):
        tasks.switch(order)
    assert tasks.serving is None
    assert sorted(bench.open) == ["faces", "names", "objects"]


def test_the_first_task_must_open_and_another_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(broken={"faces-usual"})
    tasks = bench.tasks()
    with caplog.at_level(logging.WARNING):
        tasks.prepare()
    assert [info.task for info in tasks.infos] == ["objects", "names"]
    assert "Task faces is not offered: faces-usual breaks" in caplog.text
    assert "faces" not in bench.open
    with pytest.raises(ModelError, match="breaks"):
        Bench(broken={"objects-usual"}).tasks().prepare()


def test_where_the_memory_is_short_no_release_and_no_start_loads_more_than_one_task_at_a_time() -> None:
    bench = Bench(free=300_000_000 + RESERVE_BYTES)
    tasks = bench.tasks()
    tasks._openers["faces"] = bench.opener("faces", seconds=0.1, look=0.005, memory=200_000_001)  # type: ignore
    tasks._openers["names"] = bench.opener("names", seconds=2.0, look=0.5, memory=280_000_000)  # type: ignore
    tasks.prepare()
    assert (tasks.serving, bench.open) == ("objects", ["objects"])
    assert [info.task for info in tasks.infos] == ["objects", "faces", "names"]
    assert bench.least >= RESERVE_BYTES - 1, "names came when the others had gone"
    bench.least = bench.free
    tasks.switch(Deploy(task="names"))
    tasks.switch(Deploy(task=""))
    assert (tasks.serving, bench.open) == ("objects", ["objects"])
    assert bench.least >= RESERVE_BYTES


def test_what_does_not_load_again_after_a_failure_is_offered_no_longer() -> None:
    bench = Bench(broken={"bad"})
    tasks = bench.tasks()
    tasks.prepare()
    bench.broken.add("objects-usual")
    with pytest.raises(ModelError, match="bad breaks"):
        tasks.switch(Deploy(task="faces", model="bad"))
    assert sorted(bench.open) == ["faces", "names"]
    assert [info.task for info in tasks.infos] == ["faces", "names"]
    assert tasks.serving is None


def test_a_failed_order_is_kept_with_its_reason_until_the_task_is_loaded() -> None:
    bench = Bench(broken={"bad"})
    tasks = bench.tasks()
    tasks.prepare()
    with pytest.raises(ModelError):
        tasks.switch(Deploy(task="faces", model="bad"))
    assert tasks.failed == {"faces": "bad breaks"}
    tasks.switch(Deploy(task="objects"))
    assert tasks.failed == {"faces": "bad breaks"}
    tasks.switch(Deploy(task="faces"))
    assert tasks.failed == {}
    for number in range(20):
        with pytest.raises(ModelError, match="knows no task"):
            tasks.switch(Deploy(task=f"task-{number}"))
    assert len(tasks.failed) == MOST_FAILED
    assert "task-19" in tasks.failed


def test_whatever_a_library_throws_while_loading_is_a_failed_order() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare()

    def throw(model: str) -> object:
        raise RuntimeError("libsomething: bad magic")

    tasks._openers["names"] = throw  # type: ignore[assignment]
    tasks.switch(Deploy(task="objects"))
    with pytest.raises(ModelError, match=r"does not load \(RuntimeError: libsomething: bad magic\)"):
        tasks.switch(Deploy(task="names"))
    assert (tasks.serving, bench.open) == ("objects", ["objects"])


def test_what_is_clearly_faster_when_measured_again_is_believed_and_nothing_else() -> None:
    bench = Bench()
    tasks = bench.tasks()
    bench.drag = 3.0  # a busy neighbour
    tasks.prepare()
    bench.drag = 1.0
    assert tasks.measure_again(lambda: True)
    assert [info.frames_per_second for info in tasks.infos] == [
        pytest.approx(50, rel=0.01),
        pytest.approx(200, rel=0.01),
        pytest.approx(2, rel=0.01),
    ]
    bench.drag = 5.0
    assert not tasks.measure_again(lambda: True)
    bench.drag = 1 / 1.15
    assert not tasks.measure_again(lambda: True)
    assert tasks.infos[0].frames_per_second == pytest.approx(50, rel=0.01)
    bench.drag = 1 / 1.3
    before = bench.at
    assert not tasks.measure_again(lambda: bench.at < before + 0.03), "a job that comes ends it"
    assert bench.at < before + 0.06


def test_who_is_asked_to_end_measures_and_opens_no_more() -> None:
    bench = Bench()
    tasks = bench.tasks()
    tasks.prepare(go_on=lambda: bench.at < 0.6)
    assert bench.opened == ["objects-usual"]
    assert bench.at < 0.65, "measuring has ended, too"
    tasks.close()
    assert bench.open == []
    before = bench.opened.copy()
    bench.tasks().prepare(go_on=lambda: False)
    assert bench.opened == before


def test_what_the_hub_names_is_brought_before_anything_is_let_go() -> None:
    bench = Bench()
    seen: list[tuple[str, list[str]]] = []

    def bring(order: Deploy) -> None:
        seen.append((order.model, list(bench.open)))
        if order.model == "gone":
            raise ModelError("the hub has it no more")

    tasks = bench.tasks(bring=bring, offered=("objects",))
    tasks.prepare()
    assert [info.task for info in tasks.infos] == ["objects"]
    with pytest.raises(ModelError, match="no more"):
        tasks.switch(Deploy(task="faces", model="gone"))
    assert bench.opened == ["objects-usual"]
    tasks.switch(Deploy(task="faces", model="fetched"))
    assert seen == [("gone", ["objects"]), ("fetched", ["objects"])]
    assert [info.task for info in tasks.infos] == ["objects", "faces"]
