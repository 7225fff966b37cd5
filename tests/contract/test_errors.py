"""How an error reads."""

from __future__ import annotations

import pytest

from meerkat_contract.errors import MeerkatError


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("it is full", "disk: it is full. Free some room"),
        ("whose is it?", "disk: whose is it? Free some room"),
        ("It said: no.", "disk: It said: no. Free some room"),
    ],
)
def test_what_and_remedy_are_two_sentences(what: str, said: str) -> None:
    assert str(MeerkatError(what, where="disk", remedy="Free some room")) == said
    assert str(MeerkatError("it is full", where="disk")) == "disk: it is full"
