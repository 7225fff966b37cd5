"""Clips over HTTP as video players ask for them (RFC 9110, section 14), on a real server."""

from __future__ import annotations

import pytest

from hub_support.web_house import Served, WebHouse

BYTES = bytes(range(256)) * 1000
SIZE = len(BYTES)


@pytest.fixture
def path(house: WebHouse) -> str:
    return f"/api/clips/{house.clip(payload=BYTES)}/media"


def test_the_whole_clip(web: Served, path: str) -> None:
    response = web.get(path)
    assert response.content == BYTES
    assert response.headers["content-type"] == "video/mp4"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-disposition"] == 'inline; filename="front-2026-11-20T08-00-00Z.mp4"'
    assert "immutable" in response.headers["cache-control"]


def test_head_has_the_size_and_no_body(web: Served, path: str) -> None:
    response = web.http.head(path)
    assert response.status_code == 200
    assert response.headers["content-length"] == str(SIZE)
    assert response.content == b""


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=-500", SIZE - 500, SIZE - 1),
        (f"bytes=-{SIZE * 2}", 0, SIZE - 1),
        (f"bytes=1000-{SIZE * 2}", 1000, SIZE - 1),
    ],
)
def test_one_range(web: Served, path: str, asked: str, first: int, last: int) -> None:
    response = web.get(path, status=206, Range=asked)
    assert response.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.headers["content-length"] == str(last - first + 1)
    assert response.content == BYTES[first : last + 1]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
def test_a_range_outside_the_file(web: Served, path: str, asked: str) -> None:
    response = web.get(path, status=416, Range=asked)
    assert response.headers["content-range"] == f"bytes */{SIZE}"


def test_several_ranges_come_as_parts(web: Served, path: str) -> None:
    response = web.get(path, status=206, Range="bytes=0-9,1000-1009")
    assert response.headers["content-type"].startswith("multipart/byteranges")
    assert BYTES[:10] in response.content
    assert f"Content-Range: bytes 1000-1009/{SIZE}".encode() in response.content


def test_if_range_gives_the_range_only_of_the_same_file(web: Served, path: str) -> None:
    tag = web.http.head(path).headers["etag"]
    assert len(web.get(path, status=206, Range="bytes=0-9", If_Range=tag).content) == 10
    assert len(web.get(path, status=200, Range="bytes=0-9", If_Range='"other"').content) == SIZE


def test_a_browser_that_has_it_is_not_sent_it_again(web: Served, path: str) -> None:
    tag = web.http.head(path).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert web.get(path, status=304, If_None_Match=known).content == b""
    assert web.get(path, If_None_Match='"other"').content == BYTES


def test_a_clip_whose_file_has_gone_by_the_rule_says_so(house: WebHouse, web: Served, path: str) -> None:
    clip_id = path.split("/")[3]
    with house.hub.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE clips SET file = 0")
    problem = web.json(path, status=410)
    assert "hub.retention" in problem["remedy"]
    assert web.json(f"/api/clips/{clip_id}")["available"] is False


def test_a_file_that_is_missing_on_the_disk_is_said_too(house: WebHouse, web: Served, path: str) -> None:
    house.hub.media.path("clips", path.split("/")[3]).unlink()
    assert web.json(path, status=410)["where"] == path
