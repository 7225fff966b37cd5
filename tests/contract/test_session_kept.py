"""Retained state that does not get through."""

from __future__ import annotations

import logging

import pytest

from meerkat_contract.errors import BrokerError
from meerkat_contract.session_kept import Kept, State
from meerkat_contract.session_reasons import Stopped
from meerkat_contract.session_values import Delivery


def test_the_same_refusal_is_said_once_until_it_has_got_through(caplog: pytest.LogCaptureFixture) -> None:
    refusal = BrokerError("not authorised")
    answers = [Delivery.failed(refusal), Delivery.failed(refusal), Delivery(), Delivery.failed(refusal)]
    answers[2].finish()
    kept = Kept(lambda topic, state: answers.pop(0), logging.getLogger("test"))
    said = []
    for number in range(4):
        kept.change("meerkat/device/porch/front/picture", State(b"%d" % number, 1, "image/jpeg"))
        said.append(len(caplog.records))
    assert said == [1, 1, 1, 2]


def test_what_came_while_the_session_was_leaving_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    answers = [Delivery.failed(Stopped("the session was stopped")), Delivery.failed(BrokerError("lost"))]
    kept = Kept(lambda topic, state: answers.pop(0), logging.getLogger("test"))
    said = []
    for word in (b"a", b"b"):
        kept.change("meerkat/hub/state", State(word, 1, ""))
        said.append(len(caplog.records))
    assert said == [0, 1]


class Line:
    """Takes every state and says later what became of it."""

    def __init__(self) -> None:
        self.up = True
        self.offered: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self.kept = Kept(self.offer, logging.getLogger("test"))

    def offer(self, topic: str, state: State) -> Delivery | None:
        if not self.up:
            return None
        self.offered.append(state.payload[:1])
        self.deliveries.append(Delivery())
        return self.deliveries[-1]

    def change(self, letter: bytes, size: int = 100_000) -> None:
        self.kept.change("meerkat/device/porch/front/picture", State(letter * size, 1, ""))


def test_on_a_slow_line_one_picture_is_under_way_and_the_latest_follows() -> None:
    line = Line()
    for letter in (b"a", b"b", b"c", b"d"):
        line.change(letter)
    assert line.offered == [b"a"]
    line.deliveries[0].finish()
    assert line.offered == [b"a", b"d"]
    line.deliveries[1].finish()
    assert line.offered == [b"a", b"d"]
    line.change(b"e")
    assert line.offered == [b"a", b"d", b"e"]


def test_every_word_is_said_even_while_one_is_under_way() -> None:
    line = Line()
    for letter in (b"a", b"b", b"a"):
        line.change(letter, size=3)
    assert line.offered == [b"a", b"b", b"a"]


def test_after_a_lost_connection_the_latest_goes_out_and_nothing_waits_for_the_lost_one() -> None:
    line = Line()
    line.change(b"a")
    line.change(b"b")
    line.up = False
    line.deliveries[0].finish(BrokerError("lost"))
    line.change(b"c")
    assert line.offered == [b"a"]
    line.up = True
    line.kept.connected()
    assert line.offered == [b"a", b"c"]
    line.change(b"d")
    line.deliveries[1].finish()
    assert line.offered == [b"a", b"c", b"d"]


def test_a_picture_that_fails_at_once_holds_up_nothing() -> None:
    refusal = BrokerError("64 MB wait already")
    answers = [Delivery.failed(refusal), Delivery()]
    kept = Kept(lambda topic, state: answers.pop(0), logging.getLogger("test"))
    for letter in (b"a", b"b"):
        kept.change("picture", State(letter * 100_000, 1, ""))
    assert answers == []
