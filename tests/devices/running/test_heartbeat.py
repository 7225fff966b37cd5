"""Which threads get on with their work, as the clock that they use sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from meerkat_devices.running.heartbeat import Heartbeats
from support.pins import HandClock


class Turned(HandClock):
    """A hand clock on which a wait lasts until somebody ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.waiting = threading.Event()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waiting.set()
        return self.go.wait(10)


def on_a_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_thread_is_silent_from_the_very_end_of_its_patience() -> None:
    clock = HandClock()
    beats = Heartbeats(clock, patience=60)
    with beats.watched("camera porch"):
        clock.seconds += 60
        assert beats.silent() == ()  # nobody's look from outside is a sign of life
        clock.seconds += 0.001
        assert beats.silent() == ("camera porch",)


def test_every_use_of_the_clock_is_a_sign_of_life() -> None:
    clock = HandClock()
    beats = Heartbeats(clock, patience=60)
    uses: list[Callable[[], object]] = [
        beats.now,
        beats.monotonic,
        lambda: beats.wait(threading.Event(), 0),
    ]
    with beats.watched("camera porch"):
        for use in uses:
            clock.seconds += 59
            use()
            clock.seconds += 59
            assert beats.silent() == ()


def test_another_thread_gives_no_sign_for_it() -> None:
    clock = HandClock()
    beats = Heartbeats(clock, patience=60)
    with beats.watched("camera porch"):
        clock.seconds += 61
        on_a_thread(beats.monotonic).join(10)
        assert beats.silent() == ("camera porch",)


def test_who_waits_is_well_until_the_wait_should_be_over() -> None:
    clock = Turned()
    beats = Heartbeats(clock, patience=60)

    def back_off() -> None:
        with beats.watched("camera porch"):
            beats.wait(threading.Event(), 300)

    thread = on_a_thread(back_off)
    assert clock.waiting.wait(10)
    clock.seconds += 360
    assert beats.silent() == ()
    clock.seconds += 0.001
    assert beats.silent() == ("camera porch",)  # it did not come back from its wait
    clock.go.set()
    thread.join(10)
    assert beats.silent() == ()  # it has ended, as the replay of a file does


def test_who_was_ended_by_an_exception_stays_silent() -> None:
    beats = Heartbeats(HandClock(), patience=60)

    def killed() -> None:
        with suppress(SystemExit), beats.watched("meter water"):
            raise SystemExit

    on_a_thread(killed).join(10)
    assert beats.silent() == ("meter water",)
