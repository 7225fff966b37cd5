"""Whatever is given as a picture: read as it looks, or refused in words."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from meerkat_contract.errors import MediaError, StorageError
from meerkat_inference.meter.picture_file import (
    LARGEST,
    decode,
    picture_size,
    read_picture,
    write_picture,
)

RED, GREEN = (200, 30, 10), (0, 220, 40)


def flag() -> Image.Image:
    """60 wide, 40 high: red on the left, green on the right."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = RED, GREEN
    return Image.fromarray(pixels)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    data = BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def sixteen_bits() -> bytes:
    wide = np.array(flag())[:, :, ::-1].astype(np.uint16) * 257
    return cv2.imencode(".png", wide)[1].tobytes()


def transparent() -> Image.Image:
    picture = flag().convert("RGBA")
    picture.putalpha(0)
    return picture


OTHER = [Image.new("RGB", (60, 40), (0, 0, 255))]
KINDS = {
    "jpeg": lambda: encoded(flag(), "JPEG", quality=95),
    "progressive": lambda: encoded(flag(), "JPEG", quality=95, progressive=True),
    "cmyk": lambda: encoded(flag().convert("CMYK"), "JPEG", quality=95),
    "png": lambda: encoded(flag(), "PNG"),
    "png of 16 bits": sixteen_bits,
    "png with alpha": lambda: encoded(transparent(), "PNG"),
    "palette": lambda: encoded(flag().quantize(16), "PNG"),
    "animated png": lambda: encoded(flag(), "PNG", save_all=True, append_images=OTHER),
    "gif": lambda: encoded(flag(), "GIF"),
    "animated gif": lambda: encoded(flag(), "GIF", save_all=True, append_images=OTHER),
    "webp": lambda: encoded(flag(), "WEBP", quality=95),
    "lossless webp": lambda: encoded(flag(), "WEBP", lossless=True),
    "webp with alpha": lambda: encoded(transparent(), "WEBP", lossless=True, exact=True),
    "animated webp": lambda: encoded(flag(), "WEBP", save_all=True, append_images=OTHER, quality=95),
    "bmp": lambda: encoded(flag(), "BMP"),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_picture_shows_what_it_shows(kind: str) -> None:
    data = KINDS[kind]()
    assert picture_size(data) == (60, 40)
    picture = decode(data)
    assert picture.shape == (40, 60, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture[20, 10].astype(int) - RED[::-1]).max() < 30
    assert np.abs(picture[20, 50].astype(int) - GREEN[::-1]).max() < 30


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_camera_held_upright_says_so(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode(encoded(flag(), kind, exif=exif)).shape == (60, 40, 3)


def test_a_grey_picture_gets_three_channels() -> None:
    assert decode(encoded(flag().convert("L"), "PNG")).shape == (40, 60, 3)


def test_one_pixel_is_a_picture() -> None:
    assert decode(encoded(Image.new("RGB", (1, 1), RED), "PNG")).shape == (1, 1, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_cut_off_picture_is_refused(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(MediaError, match="cut off") as caught:
        decode(data[: len(data) // 2])
    assert caught.value.remedy
    if kind != "PNG":  # libpng writes to standard error by itself
        assert not capfd.readouterr().err


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


BOMBS = {
    "png": png_header(10_000, 10_000),
    "gif": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(20),
    "bmp": b"BM" + bytes(16) + struct.pack("<ii", 20_000, -20_000) + bytes(30),
    "webp": b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + (99_999).to_bytes(3, "little") * 2 + bytes(9),
    "lossless webp": b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(4) + b"\x2f" + b"\xff" * 4 + bytes(9),
    "lossy webp": b"RIFF"
    + bytes(4)
    + b"WEBPVP8 "
    + bytes(10)
    + struct.pack("<HH", 16_000, 16_000)
    + bytes(4),
}


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_hundred_megapixels_are_refused_by_the_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(MediaError, match=f"up to {LARGEST:,} are read") as caught:
        decode(BOMBS[kind])
    assert caught.value.remedy


def test_the_limit_is_exact() -> None:
    data = encoded(flag(), "PNG")
    assert decode(data, max_pixels=2400).shape == (40, 60, 3)
    with pytest.raises(MediaError, match="60x40"):
        decode(data, max_pixels=2399)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF",
        b"BM",
        b"\xff\xd8",
        png_header(0, 5),
    ],
)
def test_what_is_no_picture_says_so(data: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        decode(data)
    assert caught.value.remedy


@settings(deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_no_damage_raises_anything_else(kind: str, data: st.DataObject) -> None:
    whole = bytearray(KINDS[kind]())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(whole))
    except MediaError:
        return
    assert picture.ndim == 3


def test_a_file_is_named_in_its_error(tmp_path: Path) -> None:
    file = tmp_path / "meter.jpg"
    with pytest.raises(MediaError, match=r"meter\.jpg: cannot be read: No such file"):
        read_picture(file)
    file.write_text("no picture")
    with pytest.raises(MediaError, match=r"meter\.jpg: 10 bytes that do not begin like a picture"):
        read_picture(file)
    with pytest.raises(MediaError, match="Is a directory"):
        read_picture(tmp_path)


def test_a_written_picture_is_read_again(tmp_path: Path) -> None:
    picture = decode(KINDS["png"]())
    write_picture(tmp_path / "out.png", picture)
    assert np.array_equal(read_picture(tmp_path / "out.png"), picture)


@pytest.mark.parametrize("name", ["out.docx", "out", "nowhere/out.png"])
def test_a_picture_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    if name == "out":  # no type: it becomes a PNG
        write_picture(tmp_path / name, decode(KINDS["png"]()))
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        return
    with pytest.raises(StorageError) as caught:
        write_picture(tmp_path / name, decode(KINDS["png"]()))
    assert caught.value.remedy
