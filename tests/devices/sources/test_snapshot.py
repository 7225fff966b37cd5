"""Cameras that give one picture at a time over HTTP: what comes, and what is said when it does not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import pytest

from meerkat_devices.clock import SystemClock
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.sources import SourceOptions
from meerkat_devices.sources import snapshot_client
from meerkat_devices.sources.opening import open_source
from meerkat_devices.sources.snapshot import SnapshotSource
from meerkat_devices.sources.snapshot_client import SnapshotClient
from meerkat_devices.sources.snapshot_stills import decode, open_stills
from meerkat_devices.sources.source import Sample, SourceError
from support.http_camera import HttpCamera, picture, send
from support.media import make_clip

QUICK = SourceOptions(snapshot_seconds=0.1)


def fetch(text: str, options: SourceOptions = QUICK) -> snapshot_client.Fetched:
    return SnapshotClient(parse_source(text), clock=SystemClock(), options=options).fetch()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, as cameras make them."""
    certificate, key = folder / "camera.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", "/CN=camera", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def refusal(text: str, options: SourceOptions = QUICK) -> SourceError:
    """What is said when the picture does not come; never with what the address keeps secret."""
    with pytest.raises(SourceError) as caught:
        fetch(text, options)
    assert caught.value.remedy
    assert not any(secret in str(caught.value) for secret in ("joe", "s:cret", "s%3Acret", "hush"))
    return caught.value


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_are_pulled_by_schedule_and_encoded(suffix: str) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        send(handler, picture(camera.gets / 10, suffix=suffix), "image/x")

    camera = HttpCamera(respond)
    samples: list[Sample] = []
    stop = threading.Event()
    with (
        camera.serving() as port,
        open_source(parse_source(f"http://127.0.0.1:{port}/now.jpg"), options=QUICK) as source,
    ):
        assert isinstance(source, SnapshotSource)
        assert (source.info.kind, source.info.width, source.info.height) == ("snapshot", 320, 180)
        assert source.info.fps == 10
        for sample in source.samples(stop):
            samples.append(sample)
            if len(samples) == 5:
                stop.set()
        assert source.template.codec_context.name == "libx264"
    chunks = [chunk for sample in samples for chunk in sample.chunks]
    assert len(chunks) == 5
    assert chunks[0].key
    assert all(b.pts > a.pts for a, b in pairwise(chunks))
    assert chunks[-1].pts >= 0.35 * TICKS
    frame = samples[0].shots[0].frame
    assert (frame.width, frame.height, frame.format.name) == (320, 180, "yuv420p")
    assert camera.gets == 6, "one to see what it is, then one for each picture"


def test_a_stream_is_told_from_a_picture_by_its_answer(tmp_path: Path) -> None:
    content = make_clip(tmp_path / "in.ts", seconds=2).read_bytes()
    camera = HttpCamera(lambda handler: send(handler, content, "video/mp2t"))
    with camera.serving() as port, open_source(parse_source(f"http://127.0.0.1:{port}/live")) as source:
        assert source.info.kind == "http"


def test_a_picture_that_is_called_a_file_is_one(tmp_path: Path) -> None:
    camera = HttpCamera(lambda handler: send(handler, picture(), "application/octet-stream"))
    with camera.serving() as port, open_source(parse_source(f"http://127.0.0.1:{port}/x")) as source:
        assert source.info.kind == "snapshot"


@pytest.mark.parametrize("login", ["basic", "digest"])
def test_user_and_password_of_the_address_are_used(login: str) -> None:
    camera = HttpCamera(login=login)
    with camera.serving() as port:
        for _ in range(2):
            assert fetch(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/now.jpg?size=big").data == picture()
    assert camera.gets == 2
    kinds = {given.split()[0].lower() for given in camera.seen}
    assert kinds == {login}, "where digest is offered the password itself does not travel"


def test_digest_with_sha_256_is_known_and_what_is_not_is_said() -> None:
    with HttpCamera(login="digest", algorithm="SHA-256").serving() as port:
        assert fetch(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/now.jpg").data == picture()
    with HttpCamera(login="digest", algorithm="MD5-sess").serving() as port:
        assert "login that is not known" in refusal(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/x").what


@pytest.mark.parametrize("login", ["basic", "digest"])
def test_a_wrong_password_is_said_once_to_the_camera_and_to_the_person(login: str) -> None:
    camera = HttpCamera(login=login)
    with camera.serving() as port:
        error = refusal(f"snapshot:http://joe:hush@127.0.0.1:{port}/now.jpg")
    assert error.what == "the camera refuses the user or password"
    assert len(camera.seen) == 1, "more attempts lock the user out of many cameras"


def test_a_missing_password_is_asked_for() -> None:
    camera = HttpCamera(login="basic")
    with camera.serving() as port:
        assert "wants a user" in refusal(f"snapshot:http://127.0.0.1:{port}/now.jpg").what


def test_a_redirect_is_followed_but_the_password_stays() -> None:
    inner = HttpCamera()
    with inner.serving() as inner_port:

        def away(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"http://127.0.0.1:{inner_port}/there.jpg")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        outer = HttpCamera(away, login="basic")
        with outer.serving() as port:
            assert fetch(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/").data == picture()
            assert inner.seen == []
            inner.login = "basic"
            error = refusal(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/")
            assert f"It sends on to http://127.0.0.1:{inner_port}/there.jpg" in error.remedy
            assert inner.seen == []


def test_a_redirect_to_a_file_or_in_circles_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture())
    targets = {"/file": f"file://{secret}", "/round": "/round"}

    def away(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", targets[handler.path])
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with HttpCamera(away).serving() as port:
        for path in targets:
            assert "sends on and on" in refusal(f"snapshot:http://127.0.0.1:{port}{path}").what


JPEG = picture()


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (lambda h: send(h, b"<!DOCTYPE html><form>", "text/html"), "web page"),
        (lambda h: send(h, b"\n <html>", "image/jpeg"), "web page"),
        (lambda h: send(h, b"{}", "application/json"), "application/json, which is neither JPEG nor PNG"),
        (lambda h: send(h, b""), "answers with nothing"),
        (lambda h: send(h, b"--x", "multipart/x-mixed-replace; boundary=x"), "is a stream"),
        (lambda h: send(h, JPEG[: len(JPEG) // 2]), "cut off"),
        (lambda h: send(h, b"", status=404), "no such stream or picture"),
        (lambda h: send(h, b"", status=403), "forbids access"),
        (lambda h: h.send_error(500, "lens cap on"), "an error: 500 lens cap on"),
        (lambda h: h.wfile.write(b"HELO\r\n\r\n"), "does not answer like a web server"),
        (lambda h: h.connection.close(), "broke off"),
    ],
)
def test_what_is_no_picture_is_said_in_words(
    respond: Callable[[BaseHTTPRequestHandler], None], words: str
) -> None:
    with HttpCamera(respond).serving() as port:
        assert words in refusal(f"snapshot:http://joe:s%3Acret@127.0.0.1:{port}/now.jpg?token=hush").what


def test_a_login_page_is_said_before_anything_is_opened() -> None:
    camera = HttpCamera(lambda handler: send(handler, b"<html>", "text/html; charset=utf-8"))
    with camera.serving() as port, pytest.raises(SourceError, match="login page"):
        open_source(parse_source(f"http://127.0.0.1:{port}/"))


def test_a_picture_shorter_than_announced_is_cut_off() -> None:
    def short(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(JPEG) + 10))
        handler.end_headers()
        handler.wfile.write(JPEG)
        handler.close_connection = True

    with HttpCamera(short).serving() as port:
        assert "cut off" in refusal(f"snapshot:http://127.0.0.1:{port}/").what


def test_nothing_larger_than_the_limit_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_client, "MAX_BYTES", 100_000)
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent < 500_000_000:
                sent += handler.wfile.write(b"\xff\xd8\xff" + bytes(65_533))
        except OSError:
            handler.close_connection = True

    with HttpCamera(endless).serving() as port:
        assert "more than 0.1 MB" in refusal(f"snapshot:http://127.0.0.1:{port}/").what
    assert sent < 100_000_000


def dripping(camera: HttpCamera, head: bytes, drop: bytes) -> None:
    """Answer with `head`, and then with a drop now and then."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while not camera.stop.wait(0.05):
            handler.wfile.write(drop)

    camera.respond = drip


@pytest.mark.parametrize(
    ("head", "drop", "what"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"\xff", "takes longer than 0.3 s"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0", "takes longer than 0.3 s"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a", "no answer"),
        (b"", b"H", "no answer"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b"a", "no answer"),
    ],
)
def test_a_byte_at_a_time_does_not_hold_it_for_ever(
    head: bytes, drop: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_client, "TIMEOUT", 0.3)
    camera = HttpCamera()
    dripping(camera, head, drop)
    with camera.serving() as port:
        mercy = threading.Timer(20, camera.stop.set)  # so that a failure fails, and does not hang
        mercy.start()
        try:
            assert what in refusal(f"snapshot:http://127.0.0.1:{port}/").what
            assert not camera.stop.is_set(), "it was let go"
        finally:
            mercy.cancel()


def test_what_comes_with_a_redirect_is_not_read_without_end() -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        if handler.path != "/":
            send(handler, picture())
            return
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /now.jpg\r\n\r\n")
        with suppress(OSError):
            while sent < 100_000_000:
                sent += handler.wfile.write(bytes(65_536))

    with HttpCamera(endless).serving() as port:
        assert fetch(f"snapshot:http://127.0.0.1:{port}/").data == picture()
    assert sent < 50_000_000


def test_a_camera_that_is_off_or_not_there_is_said() -> None:
    assert refusal("snapshot:http://joe:s%3Acret@127.0.0.1:9/x").what == "connection refused"
    for name in ("nobody.invalid", "two..dots", "a" * 80 + ".net"):
        assert "no machine of this name" in refusal(f"snapshot:http://{name}/x").what


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_certificate_of_its_own_is_believed_only_when_told_so(tmp_path: Path) -> None:
    camera = HttpCamera()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))

    with camera.serving(context) as port:
        error = refusal(f"snapshot:https://127.0.0.1:{port}/x")
        assert "certificate is not to be trusted" in error.what
        assert "verify_certificate" in error.remedy
        trusting = SourceOptions(verify_certificate=False)
        assert fetch(f"snapshot:https://127.0.0.1:{port}/x", trusting).data == JPEG
    with camera.serving() as port:
        assert "no secure connection" in refusal(f"snapshot:https://127.0.0.1:{port}/x").what


def test_a_picture_that_would_unpack_to_gigabytes_is_refused() -> None:
    at = JPEG.index(b"\xff\xc0")
    bomb = JPEG[: at + 5] + b"\xff\x00\xff\x00" + JPEG[at + 9 :]
    with (
        HttpCamera(lambda handler: send(handler, bomb)).serving() as port,
        pytest.raises(SourceError, match="larger than 50 megapixels"),
    ):
        open_source(parse_source(f"snapshot:http://127.0.0.1:{port}/x"))


@pytest.mark.parametrize("size", [(1, 1), (320, 15), (15, 320)])
def test_a_picture_that_stands_for_none_is_said(size: tuple[int, int]) -> None:
    with HttpCamera(lambda handler: send(handler, picture(None, size=size))).serving() as port:
        address = parse_source(f"snapshot:http://127.0.0.1:{port}/")
        with pytest.raises(SourceError, match="{}×{} pixels".format(*size)):
            open_source(address)


def test_one_failed_picture_is_passed_over_and_many_are_told() -> None:
    good = threading.Event()
    good.set()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        if good.is_set() and camera.gets not in (3, 4):
            send(handler, JPEG)
        else:
            handler.send_error(503)

    camera = HttpCamera(respond)
    options = SourceOptions.model_construct(**{**QUICK.model_dump(), "stall_seconds": 2.0, "usb": QUICK.usb})
    came = 0
    with (  # noqa: PT012 - it is the loop that raises
        camera.serving() as port,
        open_source(parse_source(f"snapshot:http://127.0.0.1:{port}/x"), options=options) as source,
        pytest.raises(SourceError, match="503"),
    ):
        for came, _ in enumerate(source.samples(threading.Event()), 1):
            if came == 5:
                good.clear()
    assert came == 5


def test_another_size_opens_the_camera_anew() -> None:
    camera = HttpCamera(
        lambda handler: send(handler, picture(size=(640, 360) if camera.gets > 2 else (320, 180)))
    )
    with (
        camera.serving() as port,
        open_source(parse_source(f"snapshot:http://127.0.0.1:{port}/x"), options=QUICK) as source,
        pytest.raises(SourceError, match="is 640×360 now, it was 320×180"),
    ):
        list(source.samples(threading.Event()))


# --- stills of a meter ---------------------------------------------------------------------------------


def test_each_still_is_a_get() -> None:
    camera = HttpCamera(lambda handler: send(handler, picture(camera.gets / 10)))
    with camera.serving() as port:
        stills = open_stills(parse_source(f"http://127.0.0.1:{port}/x"), clock=SystemClock(), options=QUICK)
        assert stills is not None
        with stills as opened:
            taken = list(opened.stills(3, threading.Event()))
    assert [still.picture.shape for still in taken] == [(180, 320, 3)] * 3
    assert camera.gets == 4
    assert taken[0].captured_at < taken[2].captured_at
    assert taken[0].locked is None
    assert (taken[0].picture != taken[1].picture).any()


def test_a_camera_that_keeps_one_picture_gives_one_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_devices.sources.snapshot_stills.SAME_SECONDS", 0.0)
    with HttpCamera().serving() as port:
        stills = open_stills(parse_source(f"snapshot:http://127.0.0.1:{port}/x"), clock=SystemClock())
        assert stills is not None
        assert len(list(stills.stills(3, threading.Event()))) == 1


def test_colours_are_those_of_the_picture() -> None:
    import cv2
    import numpy as np

    pixels = np.full((64, 64, 3), (200, 60, 20), np.uint8)
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    with HttpCamera(lambda handler: send(handler, data)).serving() as port:
        stills = open_stills(parse_source(f"snapshot:http://127.0.0.1:{port}/x"), clock=SystemClock())
        assert stills is not None
        (still,) = stills.stills(1, threading.Event())
    assert np.abs(still.picture.astype(int) - pixels).max() <= 4


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_still_that_would_unpack_to_gigabytes_is_refused(suffix: str) -> None:
    data = picture(0, suffix=suffix)
    address = parse_source("http://192.168.1.20/x")
    assert decode(data, address).shape == (180, 320, 3)
    at = 16 if suffix == ".png" else data.index(b"\xff\xc0") + 5
    large = b"\x00\x00\xff\x00\x00\x00\xff\x00" if suffix == ".png" else b"\xff\x00\xff\x00"
    for bad in (data[:at] + large + data[at + len(large) :], data[:20], data[: at - 2], b"\xff\xd8" * 20):
        with pytest.raises(SourceError, match="damaged, or larger than 50 megapixels"):
            decode(bad, address)


def test_a_still_is_not_turned_by_what_its_camera_notes() -> None:
    """A meter's digits are where they were marked."""
    note = (
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
        + bytes(4)
    )
    turned = JPEG[:2] + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + JPEG[2:]
    address = parse_source("http://192.168.1.20/x")
    assert decode(turned, address).shape == decode(JPEG, address).shape


def test_what_is_no_address_of_pictures_has_no_such_stills() -> None:
    assert open_stills(parse_source("0"), clock=SystemClock()) is None
