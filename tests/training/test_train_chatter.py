"""What the exporters print is held back, and told when they fail."""

from __future__ import annotations

import os

import pytest

from meerkat_training.chatter import held_back


def test_says_nothing_when_all_is_well(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(1, b"pages\n")
        os.write(2, b"of native chatter\n")
    print("one line")

    assert capfd.readouterr() == ("one line\n", "")


def test_tells_all_of_it_when_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(1, b"what went before\n")
        raise ValueError("no such operator")

    with pytest.raises(ValueError, match="no such operator"), held_back():
        fail()

    assert capfd.readouterr().err == "what went before\n"
