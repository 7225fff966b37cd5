"""What people write to name a source."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from meerkat_contract.errors import UsageError
from meerkat_devices.settings.address import check_exists, parse_source


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("porch.mp4", "file", "porch.mp4"),
        ("file:///media/a.mp4", "file", "/media/a.mp4"),
        ("rtsp://u:p@cam:554/s?x=1", "rtsp", "rtsp://cam:554/s"),
        ("https://cam/s.m3u8", "http", "https://cam/s.m3u8"),
        ("0", "usb", "/dev/video0"),
        ("/dev/video2", "usb", "/dev/video2"),
        ("scene:porch", "scene", "scene:porch"),
    ],
)
def test_the_kind_of_a_source(text: str, kind: str, shown: str) -> None:
    address = parse_source(text)
    assert (address.kind, str(address)) == (kind, shown)
    assert "u:p" not in repr(address)


@pytest.mark.parametrize("text", ["RTSP://Joe:Pw@Cam/Live", "Http://Cam:81/Stream", "HTTPS://Cam/A.m3u8"])
def test_a_scheme_may_be_written_large(text: str) -> None:
    """FFmpeg knows it only when it is small; what follows stays as it is."""
    scheme, _, rest = text.partition(":")
    assert parse_source(text).target == f"{scheme.lower()}:{rest}"


@pytest.mark.parametrize("text", ["", "scene:attic", "ftp://cam/x", "rtsp://"])
def test_what_is_no_source_is_said_with_the_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("rtsp:/10.0.0.5/x", "Write rtsp://10.0.0.5/x"),
        ("RTSP:10.0.0.5/x?key=hunter2", "Write rtsp://10.0.0.5/x"),
        ("http//cam:8080/s", "Write http://cam:8080/s"),
        ("rtsp:/joe:hunt/er2@cam/x", "Write rtsp://user:password@camera/path"),
    ],
)
def test_an_address_that_wants_a_slash_is_no_missing_file(text: str, remedy: str) -> None:
    with pytest.raises(UsageError, match="is not how the address of a camera begins") as caught:
        parse_source(text, where="cameras.front.source")
    assert caught.value.remedy == remedy
    assert "hunt" not in str(caught.value)
    assert parse_source("./rtsp:/10.0.0.5/x").kind == "file"


def test_a_missing_file_or_camera_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="camera yard: there is no such file"):
        check_exists(parse_source(str(tmp_path / "no.mp4")), where="camera yard")
    with pytest.raises(UsageError, match="is a folder"):
        check_exists(parse_source(str(tmp_path)), where="camera yard")
    with pytest.raises(UsageError, match="/dev/video97: is not there"):
        check_exists(parse_source("97"))


@pytest.mark.parametrize(
    ("text", "target"), [("picamera", "0"), ("picamera:0", "0"), ("picamera:1", "1"), (" PiCamera ", "0")]
)
def test_a_camera_on_the_ribbon_cable(text: str, target: str) -> None:
    address = parse_source(text)
    assert (address.kind, address.target, address.live) == ("picamera", target, True)
    assert str(address) == f"picamera:{target}"


@pytest.mark.parametrize("text", ["picamera:front", "picamera:12", "picamera://0"])
def test_a_camera_that_no_pi_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Write picamera, picamera:0 or picamera:1"):
        parse_source(text)


@pytest.mark.parametrize(
    "password", ["s#cret", "s?cret", "s/cret", "s[cret", "s]cret", "s/cr@t", "12#cret", "12?cret"]
)
@pytest.mark.parametrize("scheme", ["rtsp", "http", "snapshot:http"])
def test_a_password_with_special_characters_is_told_how_to_write_them(scheme: str, password: str) -> None:
    with pytest.raises(UsageError, match="%23 for #") as caught:
        parse_source(f"{scheme}://joe:{password}@cam/x", where="camera yard")
    assert not any(part in str(caught.value) for part in ("joe", "cret", "12"))
    written = quote(password, safe="")
    assert (
        str(parse_source(f"{scheme}://joe:{written}@cam/x")) == f"{scheme.removeprefix('snapshot:')}://cam/x"
    )


@pytest.mark.parametrize(
    "text", ["http://cam/x@y", "rtsp://cam:554/x@y", "http://[fe80::1]:80/a@b", "rtsp://joe:p@ss@cam/x?a=b@c"]
)
def test_an_address_may_hold_such_characters_behind_the_camera_s_name(text: str) -> None:
    assert parse_source(text).target == text
