"""Trouble is told once per cause, rests grow, and all wake when something works again."""

from __future__ import annotations

import threading

import pytest

from meerkat_cloud_burst.agent.reach import LONGEST_REST, PROBATION, Reach
from meerkat_cloud_burst.errors import Cause, CloudError
from meerkat_cloud_burst.news import Reached, Trouble
from support.wait import wait_for


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[Trouble | Reached]:
    return []


@pytest.fixture
def reach(clock: Clock, told: list[Trouble | Reached]) -> Reach:
    return Reach(told.append, clock=clock)


def error(cause: Cause) -> CloudError:
    return CloudError("no", cause=cause, where="there")


def causes(told: list[Trouble | Reached]) -> list[str]:
    return [news.cause if isinstance(news, Trouble) else "reached" for news in told]


def test_each_cause_is_told_once_until_it_is_over(
    reach: Reach, told: list[Trouble | Reached], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        for part in ("looking", "uploads", "looking"):
            reach.failed(part, error("network"))
    assert len(caplog.records) == 1
    assert told == [Trouble("network", "there: no")]
    reach.works("looking")  # and with it the uploads are believed to
    assert causes(told) == ["network", "reached"]
    reach.works("looking")
    assert causes(told) == ["network", "reached"]


def test_a_change_of_cause_is_told_and_the_one_that_is_left(
    reach: Reach, told: list[Trouble | Reached]
) -> None:
    reach.failed("looking", error("network"))
    reach.failed("looking", error("credentials"))
    assert causes(told) == ["network", "credentials"]
    reach.failed("uploads", error("permission"))  # another one beside it says nothing new of the first
    assert causes(told) == ["network", "credentials"]
    reach.works("looking")
    assert causes(told) == ["network", "credentials", "permission"]
    reach.works("uploads")
    assert causes(told)[-1] == "reached"


def test_what_one_has_not_recovered_from_stays_with_the_other(
    reach: Reach, told: list[Trouble | Reached]
) -> None:
    reach.failed("uploads", error("permission"))
    reach.failed("looking", error("network"))
    reach.works("looking")
    assert reach.trouble("uploads") is not None
    assert causes(told) == ["permission"]


@pytest.mark.parametrize(
    ("cause", "seconds"), [("network", LONGEST_REST), ("permission", PROBATION), ("missing", PROBATION)]
)
def test_who_has_nothing_to_do_is_believed_again_after_a_while(
    clock: Clock, told: list[Trouble | Reached], cause: Cause, seconds: float
) -> None:
    reach = Reach(told.append, clock=clock)
    reach.failed("uploads", error(cause))
    clock.now += seconds - 0.01
    reach.forgive("uploads")
    assert causes(told) == [cause]
    clock.now += 0.01
    reach.forgive("uploads")
    assert causes(told) == [cause, "reached"]


def test_rests_double_from_a_second_to_a_minute(reach: Reach) -> None:
    rests = []
    for _ in range(8):
        reach.failed("looking", error("network"))
        rests.append(reach._failed["looking"].rest)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    reach.works("looking")
    reach.failed("looking", error("network"))
    assert reach._failed["looking"].rest == 1


@pytest.mark.parametrize("what", ["works", "stop"])
def test_who_rests_is_woken(reach: Reach, what: str) -> None:
    for _ in range(8):
        reach.failed("uploads", error("network"))
    reach.failed("looking", error("network"))
    resting = threading.Thread(target=reach.rest, args=("uploads",), daemon=True)
    resting.start()
    wait_for(lambda: reach._changed._waiters, what="it to rest")  # type: ignore[attr-defined]
    reach.works("looking") if what == "works" else reach.stop()
    resting.join(10)
    assert not resting.is_alive()


def test_who_did_not_fail_does_not_rest(told: list[Trouble | Reached], clock: Clock) -> None:
    reach = Reach(told.append, clock=clock, first_rest=3600)
    reach.failed("uploads", error("network"))
    thread = threading.Thread(target=reach.rest, args=["looking"], daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_trouble_that_lasts_is_told_again_to_a_hub_that_began_anew(
    reach: Reach, told: list[Trouble | Reached], caplog: pytest.LogCaptureFixture
) -> None:
    """Its core may have been loaded from the database meanwhile, which knows of no trouble."""
    reach.tell_again()
    assert told == []
    reach.failed("uploads", error("permission"))
    caplog.clear()
    with caplog.at_level("INFO"):
        reach.tell_again()
    assert told == [Trouble("permission", "there: no")] * 2
    assert not caplog.records  # people have read it
    reach.works("uploads")
    reach.tell_again()
    assert causes(told) == ["permission", "permission", "reached"]
