"""Signals told on a thread of their own, so that whoever waits on the main thread is never in their way."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from meerkat_contract.signals import told
from support.wait import wait_for

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_one_that_comes_while_the_main_thread_holds_a_lock_waits_for_it() -> None:
    lock, heard = threading.Lock(), threading.Event()

    def hear(_number: int) -> None:
        with lock:
            heard.set()

    with told(SIGNALS, hear):
        with lock:
            signal.raise_signal(signal.SIGUSR1)
            assert not heard.wait(0.01)
        assert heard.wait(10)


def test_each_is_told_by_its_number_and_others_are_not() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        with told(SIGNALS, heard.append):
            for number in (signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1):
                signal.raise_signal(number)
            wait_for(lambda: len(heard) == 2, what="both")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGUSR2, signal.SIGUSR1]


def test_one_in_the_last_instant_is_told_and_nothing_stays_behind() -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    files, threads = open_files(), set(threading.enumerate())
    heard: list[int] = []
    for _ in range(20):
        with told(SIGNALS, heard.append):
            signal.raise_signal(signal.SIGUSR1)
    assert heard == [signal.SIGUSR1] * 20
    assert [signal.getsignal(number) for number in SIGNALS] == handlers
    assert open_files() <= files
    assert set(threading.enumerate()) <= threads, "what an earlier test left may have ended"
    assert signal.set_wakeup_fd(-1) == -1, "whoever had it before has it again: nobody"
