"""Videos with the boxes drawn in, from the cloud's bucket to a player."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.web_house import Served, WebHouse
from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_hub.adapters.annotated import AnnotatedVideos
from support.media import make_clip

LINK = "document.getElementById('drawn')"
VIDEO = bytes(range(256)) * 100


class Bucket:
    def __init__(self) -> None:
        self.videos: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.trouble: CloudError | None = None

    def fetch(self, clip: str, path: Path) -> None:
        self.fetched.append(clip)
        if self.trouble is not None:
            raise self.trouble
        if clip not in self.videos:
            raise Gone("it is not there", where=f"annotated/{clip}.mp4")
        path.write_bytes(self.videos[clip])


@pytest.fixture
def bucket(house: WebHouse, tmp_path: Path) -> Bucket:
    bucket = Bucket()
    house.hub.annotated = AnnotatedVideos(tmp_path / "annotated", bucket.fetch, kept=2)
    return bucket


def test_a_player_seeks_in_it_and_it_is_fetched_once(house: WebHouse, web: Served, bucket: Bucket) -> None:
    clip = house.clip(worker="cloud:i-1")
    bucket.videos[clip] = VIDEO
    path = f"/api/clips/{clip}/annotated"
    whole = web.get(path)
    assert whole.content == VIDEO
    assert whole.headers["content-type"] == "video/mp4"
    assert 'filename="front-2026-11-20T08-00-00Z-annotated.mp4"' in whole.headers["content-disposition"]
    assert web.get(path, status=206, Range="bytes=100-199").content == VIDEO[100:200]
    assert web.http.head(path).headers["content-length"] == str(len(VIDEO))
    assert web.http.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert bucket.fetched == [clip]


def test_only_the_last_ones_stay_at_home(
    house: WebHouse, web: Served, bucket: Bucket, tmp_path: Path
) -> None:
    clips = [house.clip(worker="cloud:i-1") for _ in range(3)]
    for clip in clips:
        bucket.videos[clip] = VIDEO
        web.get(f"/api/clips/{clip}/annotated")
    assert {path.stem for path in (tmp_path / "annotated").iterdir()} == set(clips[1:])
    web.get(f"/api/clips/{clips[0]}/annotated")
    assert bucket.fetched == [*clips, clips[0]]


def test_where_nothing_was_drawn_that_is_said(house: WebHouse, web: Served, bucket: Bucket) -> None:
    at_home, not_asked_for = house.clip(worker="cpu"), house.clip(worker="cloud:i-1")
    for clip in (at_home, not_asked_for):
        told = web.json(f"/api/clips/{clip}/annotated", status=404)
        assert told["what"] == "there is no video of this clip with the boxes drawn in"
        assert "burst.annotated" in told["remedy"]
    assert bucket.fetched == [not_asked_for]
    house.hub.annotated = None
    web.json(f"/api/clips/{not_asked_for}/annotated", status=404)


def test_a_cloud_that_cannot_be_reached_is_no_missing_video(
    house: WebHouse, web: Served, bucket: Bucket
) -> None:
    clip = house.clip(worker="cloud:i-1")
    bucket.trouble = CloudError("AWS does not answer", cause="network", where="s3", remedy="Look at the line")
    told = web.json(f"/api/clips/{clip}/annotated", status=503)
    assert (told["what"], told["remedy"]) == ("AWS does not answer", "Look at the line")
    bucket.trouble, bucket.videos[clip] = None, VIDEO
    assert web.get(f"/api/clips/{clip}/annotated").content == VIDEO


def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "annotated"
    folder.mkdir()
    (folder / "left.mp4").write_bytes(VIDEO)
    AnnotatedVideos(folder, Bucket().fetch).clear()
    assert not folder.exists()


def test_the_page_offers_it_beside_a_clip_that_has_one(
    house: WebHouse, web: Served, bucket: Bucket, tmp_path: Path
) -> None:
    events = []
    for worker in ("cloud:i-1", "cloud:i-1", "cpu"):
        clip = house.clip(worker=worker, payload=make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes())
        events.append((house.event(clip), clip))
    (drawn_event, drawn), (plain_event, plain), (home_event, home) = events
    bucket.videos[drawn] = VIDEO
    browser = Browser(tmp_path)
    try:
        browser.open(f"{web.base}/#event={drawn_event}")
        browser.wait(f"!{LINK}.hidden && {LINK}.getClientRects().length > 0")
        assert browser.js(f"{LINK}.href") == f"{web.base}/api/clips/{drawn}/annotated"
        assert browser.js(f"fetch({LINK}.href).then((one) => one.headers.get('content-type'))") == "video/mp4"
        fetched = "performance.getEntriesByType('resource').some((one) => one.name.endsWith('{}'))"
        for event, asked in ((plain_event, f"/api/clips/{plain}/annotated"), (home_event, f"/{home}")):
            browser.js(f"location.hash = '#event={event}'")
            browser.wait(fetched.format(asked))
            assert browser.js(f"new Promise(requestAnimationFrame).then(() => {LINK}.hidden)")
        assert bucket.fetched.count(plain) == 1
        assert home not in bucket.fetched
        bucket.trouble = CloudError("AWS does not answer", cause="network", where="s3")
        browser.js(f"location.hash = '#event={plain_event}'")
        browser.wait(f"!{LINK}.hidden && !{LINK}.href.includes('{drawn}')", what="a link that says why")
    finally:
        browser.close()
