"""The card: what goes into it, and what a training that went on from another adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from meerkat_contract.errors import UsageError
from meerkat_training import card
from meerkat_training.command import _weights

FIRST = {"samples": 100, "renders": 10, "minutes": 2.5, "examples": 0, "seed": 1}


def test_goes_are_summed() -> None:
    earlier = {"networks": {"wheel": {"training": FIRST}}}
    second = card.summed(earlier, "wheel", {**FIRST, "seed": 2, "examples": 7})
    third = card.summed({"networks": {"wheel": {"training": second}}}, "wheel", FIRST)

    assert second == {
        "samples": 200,
        "renders": 20,
        "minutes": 5.0,
        "examples": 7,
        "seed": 2,
        "goes": 2,
    }
    assert third["goes"] == 3
    assert third["minutes"] == 7.5


def test_without_a_card_only_what_is_known_is_told() -> None:
    assert card.summed({"networks": {}}, "wheel", FIRST) == FIRST


def test_one_networks_entry_leaves_the_others(tmp_path: Path) -> None:
    for kind in ("wheel", "needle"):
        (tmp_path / f"{kind}.tflite").write_bytes(kind.encode())
        card.write(tmp_path, kind, {"training": FIRST})

    networks = card.read(tmp_path)["networks"]

    assert set(networks) == {"wheel", "needle"}
    assert networks["wheel"]["files"]["wheel.tflite"]["bytes"] == 5
    assert networks["wheel"]["files"]["wheel.tflite"]["sha256"] == card.fingerprint(tmp_path / "wheel.tflite")


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"wheel\.pt: there are no weights to go on from"):
        _weights(tmp_path, "wheel", tmp_path)
