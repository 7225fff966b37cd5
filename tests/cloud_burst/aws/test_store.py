from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud_support.emulator import Emulator
from cloud_support.orders import clip, finished, order
from meerkat_cloud_burst.aws.store import PART, S3Store
from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.messages import result_key
from meerkat_contract.errors import BadMessage, StorageError


@pytest.fixture
def store(aws: Emulator, stack: Mapping[str, str]) -> S3Store:
    return S3Store(aws.clients, stack["Bucket"])


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 7], ids=str)
def test_a_clip_comes_back_as_it_went_and_lies_there_encrypted(
    store: S3Store, aws: Emulator, stack: Mapping[str, str], tmp_path: Path, size: int
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    path = clip(tmp_path, content[:size])
    store.put_clip("clips/a", path, "video/mp4")
    store.fetch_clip("clips/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content[:size]
    head = aws.client("s3").head_object(Bucket=stack["Bucket"], Key="clips/a")
    assert (head["ServerSideEncryption"], head["ContentType"]) == ("AES256", "video/mp4")


@pytest.mark.parametrize("size", [1, PART + 1], ids=str)
def test_a_clip_that_is_there_already_is_good_and_stays(
    store: S3Store, aws: Emulator, stack: Mapping[str, str], tmp_path: Path, size: int
) -> None:
    store.put_clip("clips/a", clip(tmp_path, b"first"), "video/mp4")
    store.put_clip("clips/a", clip(tmp_path, b"x" * size), "video/mp4")
    store.fetch_clip("clips/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"
    left = aws.client("s3").list_multipart_uploads(Bucket=stack["Bucket"])
    assert "Uploads" not in left


def test_the_first_result_counts(store: S3Store) -> None:
    wanted = order()
    key = result_key(wanted.job.job)
    assert store.put_result(key, finished(wanted, worker="one"))
    assert not store.put_result(key, finished(wanted, worker="two"))
    assert store.result(key).worker == "one"


def test_an_annotated_video_may_be_made_again(store: S3Store, tmp_path: Path) -> None:
    store.put_annotated("annotated/a.mp4", clip(tmp_path, b"one"))
    store.put_annotated("annotated/a.mp4", clip(tmp_path, b"two"))
    store.fetch_clip("annotated/a.mp4", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"two"


def test_what_is_not_there_is_gone_and_leaves_nothing_behind(store: S3Store, tmp_path: Path) -> None:
    with pytest.raises(Gone, match="clips/none"):
        store.fetch_clip("clips/none", tmp_path / "back")
    with pytest.raises(Gone):
        store.result("results/none.json")
    assert not list(tmp_path.iterdir())


def test_delete_takes_what_is_there_and_what_is_not(store: S3Store, tmp_path: Path) -> None:
    store.put_clip("clips/a", clip(tmp_path), "video/mp4")
    store.delete(["clips/a", "clips/b"])
    store.delete([])
    with pytest.raises(Gone):
        store.fetch_clip("clips/a", tmp_path / "back")


def test_a_result_that_is_none_names_itself(store: S3Store, aws: Emulator, stack: Mapping[str, str]) -> None:
    aws.client("s3").put_object(Bucket=stack["Bucket"], Key="results/x.json", Body=b"{}")
    with pytest.raises(BadMessage, match=r"results/x\.json"):
        store.result("results/x.json")


def test_a_file_that_cannot_be_read_or_written_is_the_disk_s_fault(store: S3Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing\.mp4"):
        store.put_clip("clips/a", tmp_path / "nothing.mp4", "video/mp4")
    store.put_clip("clips/a", clip(tmp_path), "video/mp4")
    with pytest.raises(StorageError, match="no/where"):
        store.fetch_clip("clips/a", tmp_path / "no" / "where")
