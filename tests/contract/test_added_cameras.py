"""The file of the cameras that were added on the page."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from meerkat_contract import configfile
from meerkat_contract.added_cameras import (
    AddedCameras,
    check_cameras,
    check_source,
    read_cameras,
    without_secrets,
    write_cameras,
)
from meerkat_contract.errors import StorageError, UsageError
from meerkat_devices.settings.device import DevicesSettings

SECRET = "rtsp://joe:s3cret@10.0.0.5/live?token=s3cret"


def test_what_is_written_is_read_again_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    assert read_cameras(file) == AddedCameras("home", {})
    label = 'Straße "hinten": it\'s {a} # b\\ 🦦'
    cameras = {"yard": {"source": SECRET, "label": label}, "0": {"source": "0", "label": "no"}}
    write_cameras(file, AddedCameras("home", cameras))
    assert read_cameras(file) == AddedCameras("home", cameras)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cameras.yaml"]
    assert "s3cret" not in repr(read_cameras(file))
    write_cameras(file, AddedCameras("home-2"))
    assert read_cameras(file) == AddedCameras("home-2", {})


def test_it_is_a_configuration_as_any_other(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    write_cameras(file, AddedCameras("home", {"yard": {"source": SECRET, "label": "Yard"}}))
    assert set(configfile.load(file)) >= {"devices"}
    camera = configfile.section(file, "devices", DevicesSettings).root["home"].cameras["yard"]
    assert (camera.source, camera.label) == (SECRET, "Yard")


@pytest.mark.parametrize(
    "text",
    [
        "devices: {home: {cameras: {yard: {source: 1}}}}",
        "devices: {home: {cameras: {yard: rtsp}}}",
        "devices: {home: {cameras: {yard: {source: '0', label: 5}}}}",
        "devices: {home: {cameras: {yard: {source: '0', label: null}}}}",
        "devices: {home: {}, porch: {}}",
        "devices: {Home!: {cameras: {}}}",
        "devices: {home: {cameras: {yard: {label: Yard}}}}",
        "devices: [",
        "[]",
        "",
    ],
)
def test_a_file_that_is_no_such_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"cameras\.yaml: the cameras .* cannot be read"):
        read_cameras(file)


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the cameras cannot be kept"):
        write_cameras(tmp_path / "absent" / "cameras.yaml", AddedCameras())


@pytest.mark.parametrize(
    "source",
    [
        SECRET,
        "RTSPS://camera/1",
        "http://10.0.0.5:81/stream",
        "https://camera/a.jpg?x=1",
        "snapshot:http://joe:a%40b@camera/image",
        "0",
        "12",
        " 0 ",
    ],
)
def test_cameras_of_the_network_and_usb_may_be_added(source: str) -> None:
    assert check_source(source) == source.strip()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "porch.mp4",
        "~/porch.mp4",
        "/dev/video0",
        "scene:porch",
        "picamera",
        "udp://0.0.0.0:1234",
        "tcp://camera/1",
        "concat:/etc/passwd",
        "snapshot:file:///etc/passwd",
        "snapshot:/etc/passwd",
        "rtsp://",
        "rtsp://camera/a b",
        "rtsp://camera/\u0007",
        "-f",
        "123",
        "١",
        "rtsp://camera/" + 1000 * "x",
    ],
)
def test_nothing_of_this_machine_and_nothing_else_may_be(source: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_source(source)
    assert "Write rtsp://" in refused.value.remedy


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://joe:s3@cret/word@camera/1",
        "rtsp://joe:1234/cret@camera/1",
        "rtsp://joe:1234#cret@camera/1",
        "rtsp://joe:1234?cret@camera/1",
        "snapshot:http://joe:1234#@camera/image",
    ],
)
def test_a_password_that_would_be_taken_for_a_name_or_a_port_is_refused(source: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_source(source)
    assert "%40" in refused.value.remedy
    assert "cret" not in str(refused.value)
    assert "1234" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("devices: {home: {cameras: {}, meters: {gas: {source: '0'}}, label: Home}}", "label, meters"),
        ("devices: {home: {cameras: {}}}\nhub: {}", "hub"),
    ],
)
def test_what_the_page_would_lose_is_named_and_not_lost(tmp_path: Path, text: str, lost: str) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=f"the page would lose what else there is: {lost}") as refused:
        read_cameras(file)
    assert "meerkat.yaml" in refused.value.remedy


def test_an_address_may_have_an_at_sign_behind_a_machine_alone() -> None:
    assert check_source("http://camera/shot?user=joe@home") == "http://camera/shot?user=joe@home"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (SECRET, "rtsp://10.0.0.5/live"),
        ("snapshot:http://joe:s3cret@camera:81/a?pwd=s3cret", "snapshot:http://camera:81/a"),
        ("rtsp://joe:s3@cret@camera/1", "rtsp://camera/1"),
        ("rtsp://joe:s3cret@[camera/1", "rtsp://…"),
        ("0", "0"),
        ("s3cret", "…"),
    ],
)
def test_no_password_is_shown(source: str, shown: str) -> None:
    assert without_secrets(source) == shown


def test_the_devices_own_rules_hold() -> None:
    check_cameras(AddedCameras("home", {"yard": {"source": SECRET, "label": "Yard"}}))
    with pytest.raises(UsageError, match="'device' names both the device itself and a camera"):
        check_cameras(AddedCameras("home", {"device": {"source": SECRET}}))
    with pytest.raises(UsageError) as refused:
        check_cameras(AddedCameras("home", {"yard": {"source": "rtsp:/joe:s3cret@camera/1"}}))
    assert "s3cret" not in str(refused.value)
    assert refused.value.where == "source"
