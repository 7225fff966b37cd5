"""`meerkat password`, and what `meerkat up` says of it."""

from __future__ import annotations

import logging
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from meerkat_cli import up
from meerkat_cli.password import password
from meerkat_cli.plan import Options
from meerkat_contract.errors import UsageError
from meerkat_contract.page_password import change_page_password, keep_page_password, password_file

FORM = r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEERKAT_CONFIG", "MEERKAT_DATA", "MEERKAT__HUB__PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def run(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(password, [*arguments, "--data", str(data)], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def test_it_is_made_once_shown_and_changed(tmp_path: Path) -> None:
    first = run(tmp_path).strip()
    assert re.fullmatch(FORM, first)
    assert run(tmp_path).strip() == first == keep_page_password(tmp_path).word
    assert "for: my own word" in run(tmp_path, "my own word")
    assert run(tmp_path).strip() == "my own word"
    another = run(tmp_path, "--random").split(": ")[1].strip()
    assert re.fullmatch(FORM, another)
    assert run(tmp_path).strip() == another
    assert stat.S_IMODE(password_file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in password_file(tmp_path).parent.iterdir()] == ["page.json"]


def test_changing_it_makes_another_key_for_logins(tmp_path: Path) -> None:
    first = change_page_password(tmp_path, "the same word")
    assert change_page_password(tmp_path, "the same word").key != first.key
    assert first.key not in repr(first)
    assert first.word not in repr(first)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("1234567",), "the password has 7 characters"),
        (("",), "the password has 0 characters"),
        (("long enough", "--random"), "both NEW and --random are given"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(tmp_path, *arguments)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data folder"):
        run(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("own", ["of-the-settings", "''", "false"])
def test_the_settings_go_before_it(tmp_path: Path, own: str) -> None:
    (tmp_path / "meerkat.yaml").write_text(f"hub: {{password: {own}}}\n")
    with pytest.raises(UsageError, match=r"hub\.password is set"):
        run(tmp_path)


def test_a_file_that_is_broken_is_named(tmp_path: Path) -> None:
    run(tmp_path)
    password_file(tmp_path).write_text("[]")
    with pytest.raises(UsageError, match=r"page\.json.*cannot be read"):
        run(tmp_path)


@dataclass
class _Heard:
    lines: list[str] = field(default_factory=list)

    def say(self, _name: str, text: str, _level: int = logging.INFO) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(
    ("host", "hub", "words"),
    [
        ("127.0.0.1", {}, None),
        ("localhost", {}, None),
        ("::1", {}, None),
        ("0.0.0.0", {"ingress_from": "172.30.32.2"}, None),
        ("0.0.0.0", {}, rf"for the password: {FORM}; change it: `meerkat password`"),
        ("192.168.1.5", {}, rf"for the password: {FORM};"),
        ("0.0.0.0", {"password": "of-the-settings"}, r"hub\.password$"),
        ("0.0.0.0", {"password": False}, "asks nobody for a password"),
        ("0.0.0.0", {"password": ""}, "asks nobody for a password"),
    ],
)
def test_up_tells_it_where_other_machines_are_let_in(
    tmp_path: Path, host: str, hub: dict[str, Any], words: str | None
) -> None:
    heard, options = _Heard(), Options(data=tmp_path, http_port=8480, http_host=host)
    up._tell_password(heard, options, up._Hub.model_validate(hub))  # type: ignore[arg-type]
    assert len(heard.lines) == (words is not None)
    if words is not None:
        assert re.search(words, heard.lines[0])
        assert "of-the-settings" not in heard.lines[0]
    assert password_file(tmp_path).exists() is (words is not None and FORM in words)
