"""`meerkat ha`: its options and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from meerkat_contract.errors import UsageError
from meerkat_homeassistant.command import ha
from meerkat_homeassistant.settings import HomeAssistantSettings


def run(*arguments: str) -> None:
    CliRunner().invoke(ha, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bridge", "--broker", "mqtt://127.0.0.1", "--prefix", "a/+"), "cannot begin a topic"),
        (("bridge", "--broker", "http://x"), "not the address of an MQTT broker"),
        (("restore", "--broker", "mqtt://127.0.0.1"), "or say --worker or --hub"),
        (("restore", "x", "--hub", "--broker", "mqtt://127.0.0.1"), "or say --worker or --hub"),
        (("restore", "No Name", "--broker", "mqtt://127.0.0.1"), "is not a device's name"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        run(*arguments)


@pytest.mark.parametrize("prefix", ["", "/x", "a/#", "a/+/b", "a b", "a\0b"])
def test_a_prefix_that_is_no_topic_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError):
        HomeAssistantSettings(prefix=prefix)


def test_the_birth_topic_follows_the_prefix() -> None:
    assert HomeAssistantSettings().birth_topic == "homeassistant/status"
    assert HomeAssistantSettings(prefix="ha/main").birth_topic == "ha/main/status"
    assert HomeAssistantSettings(status_topic="hello").birth_topic == "hello"


def test_every_setting_is_described_and_nothing_else_is_taken() -> None:
    assert all(field.description for field in HomeAssistantSettings.model_fields.values())
    with pytest.raises(ValidationError):
        HomeAssistantSettings.model_validate({"prefixx": "x"})
