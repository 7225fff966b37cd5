"""Retained state that does not get through."""

from __future__ import annotations

import logging

import pytest

from meerkat_contract.errors import BrokerError
from meerkat_contract.session_kept import Kept, State
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
