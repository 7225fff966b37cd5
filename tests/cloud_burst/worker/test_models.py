"""Which model is opened, and where its files come from."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from cloud_support.pretend_cloud import PretendOrders, PretendResults, PretendStore, order_of
from cloud_support.tiny_model import MODEL, TinyModel
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import model_key, result_key
from meerkat_cloud_burst.ports import Received
from meerkat_cloud_burst.worker.doing import Cloud, Doing
from meerkat_cloud_burst.worker.heartbeat import Hand
from meerkat_cloud_burst.worker.models import Models
from meerkat_contract.errors import ModelError
from meerkat_inference import catalogue
from meerkat_inference.catalogue import _all
from meerkat_inference.detector import FALLBACK
from meerkat_inference.loading import load_detector
from meerkat_inference.process import process
from support.shared import shared


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """A model in the owner's catalogue; none is on this machine."""
    made = TinyModel(tmp_path)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(made.catalogue))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def bucket(tiny: TinyModel) -> PretendStore:
    return PretendStore(tiny.objects())


def test_a_model_comes_from_the_bucket_once(bucket: PretendStore, tmp_path: Path) -> None:
    detector = Models(bucket.fetch_clip, model=MODEL).open()
    assert (detector.info.name, detector.info.engine) == (MODEL, "opencv")
    kept = sorted(path.name for path in (tmp_path / "cache/meerkat/models").iterdir())
    assert kept == ["tiny.cfg", "tiny.weights"]
    bucket.objects.clear()
    assert Models(bucket.fetch_clip, model=MODEL).open().info == detector.info


def test_a_model_that_is_here_is_not_fetched(tiny: TinyModel) -> None:
    tiny.write(tiny.folder / "mine")
    models = Models(PretendStore().fetch_clip, model=MODEL, folders=[tiny.folder / "mine"])
    assert models.open().info.name == MODEL


def test_without_a_name_the_best_of_the_bucket_is_taken(bucket: PretendStore) -> None:
    models = Models(bucket.fetch_clip)
    assert models.open().info.name == MODEL
    assert models.open() is models.open()


def test_an_order_may_name_another_and_the_next_has_the_first_again(bucket: PretendStore) -> None:
    models = Models(bucket.fetch_clip, model=MODEL)
    first = models.open()
    assert models.open(MODEL) is first
    assert models.open(FALLBACK).info.name == FALLBACK
    assert models.open().info.name == MODEL


def test_another_file_is_not_believed(bucket: PretendStore, tmp_path: Path) -> None:
    bucket.objects[model_key("tiny.weights")] = b"x" * len(bucket.objects[model_key("tiny.weights")])
    with pytest.raises(ModelError, match="the bucket's file is another one") as caught:
        Models(bucket.fetch_clip, model=MODEL).open()
    assert "meerkat burst deploy" in caught.value.remedy
    assert list((tmp_path / "cache/meerkat/models").iterdir()) == []


def test_a_model_that_is_nowhere_says_how_to_get_it() -> None:
    with pytest.raises(ModelError, match="yolo-fastest-body") as caught:
        Models(PretendStore().fetch_clip, model="yolo-fastest-body").open()
    assert "meerkat models pull yolo-fastest-body" in caught.value.remedy


@pytest.mark.usefixtures("tiny")
def test_without_any_model_it_says_so() -> None:
    with pytest.raises(ModelError, match="no Darknet model is on this machine"):
        Models(PretendStore().fetch_clip).open()


@pytest.mark.usefixtures("tiny")
def test_a_model_for_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="does not look for objects"):
        Models(PretendStore().fetch_clip, model="yunet").open()


def test_a_network_that_is_away_is_no_missing_model(bucket: PretendStore) -> None:
    bucket.faults["fetch_clip"] = [CloudError("no answer", cause="network")]
    with pytest.raises(CloudError):
        Models(bucket.fetch_clip, model=MODEL).open()


def test_a_file_that_the_catalogue_does_not_know_is_held_to_its_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: TinyModel
) -> None:
    noted = TinyModel(tmp_path, pinned=False)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(noted.catalogue))
    _all.cache_clear()
    bucket = PretendStore(noted.objects())
    good = bucket.objects[model_key("tiny.weights")]
    bucket.objects[model_key("tiny.weights")] = good[:-1] + b"!"
    with pytest.raises(ModelError, match="the bucket's file is another one"):
        Models(bucket.fetch_clip, model=MODEL).open()
    bucket.objects[model_key("tiny.weights")] = good
    assert Models(bucket.fetch_clip, model=MODEL).open().info.name == MODEL
    bucket.objects.clear()
    assert Models(bucket.fetch_clip, model=MODEL).open().info.name == MODEL  # it is here now


def test_a_clip_gives_the_same_event_as_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real footage, a real model: what the cloud's worker answers is what a worker of the house answers."""
    models = shared("models/yolo-fastest-1.1.weights").parent
    clip = cut(shared("media/one-by-one-person-detection.mp4"), tmp_path / "clip.mp4", 22.0, 3.0)
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket = PretendStore()
    for file in catalogue.get("yolo-fastest").files:
        bucket.objects[model_key(file.name)] = (models / file.name).read_bytes()
    order = order_of(clip.read_bytes())
    bucket.objects[order.key] = clip.read_bytes()
    orders = PretendOrders()
    doing = Doing(Cloud(bucket, orders, PretendResults()), Models(bucket.fetch_clip), "i-0123")
    with Hand(orders, Received(order, "receipt", 1)) as hand:
        doing.do(hand)
    there = bucket.results[result_key(order.job.job)].result

    at_home = load_detector("yolo-fastest", folders=[models])
    here = process(
        order.job,
        clip.read_bytes(),
        at_home,
        incarnation=there.incarnation,
        cancelled=lambda: False,
        now=lambda: 0.0,
    )
    assert [(track.label, track.hits >= 2) for track in here.tracks] == [("person", True)]
    assert there.model_copy(update={"seconds": 0.0}) == here.model_copy(update={"seconds": 0.0})


def cut(source: Path, target: Path, begin: float, seconds: float) -> Path:
    """A piece of a video from the key frame before `begin`, not encoded anew."""
    with av.open(str(source)) as video, av.open(str(target), "w") as out:
        stream = video.streams.video[0]
        copy = out.add_stream_from_template(stream)
        base = stream.time_base or Fraction(1, 1000)
        video.seek(round(begin / base), stream=stream)
        first: int | None = None
        for packet in video.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            first = packet.dts if first is None else first
            if (packet.dts - first) * base > seconds:
                break
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, copy
            out.mux(packet)
    return target
