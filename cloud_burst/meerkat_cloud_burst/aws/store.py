"""Clips, results and annotated videos in S3.

Everything is encrypted at rest (AES-256, keys of S3). What is written once is written with
`If-None-Match: *`; 412 then means that it was there already. boto3's own transfer does not know that
header, therefore the parts are sent here, one after the other: two uploads run side by side anyway, and
none of its threads outlives the hub.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import Finished
from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.message import read

from .clients import Clients

log = logging.getLogger("meerkat.cloud")

PART = 8 << 20
"""Bytes; above that an object goes up in parts of this size (S3 wants at least 5 MB)."""

LARGEST_RESULT = 16 << 20
"""Bytes of a result; a longer one is not read."""

_CHUNK = 1 << 20
_SEALED = {"ServerSideEncryption": "AES256"}
_ONCE = {"IfNoneMatch": "*"}
_AT_A_TIME = 1000
"""Keys that one request deletes at most."""

_TRIES = 3
"""For the rare answer that somebody else is writing the same key in this moment."""


class S3Store:
    """The port ClipStore. May be used by several threads."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients = clients
        self._bucket = bucket

    def put_clip(self, key: str, path: Path, content_type: str) -> None:
        """Raises StorageError when the file cannot be read."""
        self._put_file(key, path, content_type, once=True)

    def put_annotated(self, key: str, path: Path) -> None:
        self._put_file(key, path, "video/mp4", once=False)

    def put_result(self, key: str, finished: Finished) -> bool:
        return self._put(key, finished.to_json(), "application/json", _ONCE, "uploading a result")

    def fetch_clip(self, key: str, path: Path) -> None:
        """Raises StorageError when the file cannot be written; a broken download leaves nothing."""
        part = path.with_name(f"{path.name}.{new_id()}")
        try:
            self._download(key, part)
            part.replace(path)
        except OSError as error:
            raise _disk(path, error) from error
        finally:
            with suppress(OSError):  # it was moved, or the error above is the one to tell
                part.unlink(missing_ok=True)

    def result(self, key: str) -> Finished:
        """Raises Gone when it is not there, BadMessage when it is no result."""
        where = self._where(key)
        with self._clients.asking("s3", "fetching a result", where) as client:
            answer = client.get_object(Bucket=self._bucket, Key=key)
            with closing(answer["Body"]) as body:
                payload: bytes = body.read(LARGEST_RESULT)
        return read(Finished, payload, topic=where)

    def delete(self, keys: Sequence[str]) -> None:
        for begin in range(0, len(keys), _AT_A_TIME):
            some = keys[begin : begin + _AT_A_TIME]
            with self._clients.asking("s3", "deleting clips", f"s3://{self._bucket}") as client:
                answer = client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for problem in answer.get("Errors", ()):
                raise self._left(problem)

    def _left(self, problem: dict[str, str]) -> CloudError:
        code = problem.get("Code", "")
        denied = code == "AccessDenied"
        return CloudError(
            f"an object cannot be deleted: {code}",
            cause="permission" if denied else "other",
            where=self._where(problem.get("Key", "")),
            remedy="Let the policy of this machine allow s3:DeleteObject" if denied else "",
        )

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def _download(self, key: str, part: Path) -> None:
        with self._clients.asking("s3", "fetching a clip", self._where(key)) as client:
            answer = client.get_object(Bucket=self._bucket, Key=key)
            with closing(answer["Body"]) as body, part.open("wb") as file:
                for chunk in body.iter_chunks(_CHUNK):
                    file.write(chunk)

    def _put_file(self, key: str, path: Path, content_type: str, *, once: bool) -> None:
        condition = _ONCE if once else {}
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > PART:
                    self._put_in_parts(key, file, content_type, condition)
                else:
                    self._put(key, file, content_type, condition, "uploading a clip")
        except OSError as error:
            raise _disk(path, error) from error

    def _put(
        self, key: str, body: BinaryIO | bytes, content_type: str, condition: dict[str, str], doing: str
    ) -> bool:
        """False when it was there already and may not be replaced."""
        named = {"Bucket": self._bucket, "Key": key, "ContentType": content_type}
        with self._clients.asking("s3", doing, self._where(key)) as client:
            return _is_new(lambda: client.put_object(**named, Body=body, **_SEALED, **condition))

    def _put_in_parts(self, key: str, file: BinaryIO, content_type: str, condition: dict[str, str]) -> bool:
        named = {"Bucket": self._bucket, "Key": key}
        with self._clients.asking("s3", "uploading a large clip", self._where(key)) as client:
            upload = {
                **named,
                "UploadId": client.create_multipart_upload(**named, ContentType=content_type, **_SEALED)[
                    "UploadId"
                ],
            }
            try:
                parts = _send_parts(client, upload, file)
                whole = {"Parts": parts}
                new = _is_new(
                    lambda: client.complete_multipart_upload(**upload, MultipartUpload=whole, **condition)
                )
            except BaseException:
                _abort(client, upload)
                raise
            if not new:
                _abort(client, upload)
            return new


def _send_parts(client: Any, upload: dict[str, str], file: BinaryIO) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    while body := file.read(PART):
        number = len(parts) + 1
        sent = client.upload_part(**upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    return parts


def _abort(client: Any, upload: dict[str, str]) -> None:
    """Parts that are left over cost money until the bucket's lifecycle removes them."""
    try:
        client.abort_multipart_upload(**upload)
    except (ClientError, BotoCoreError) as error:  # the first error is the one to tell
        log.info("The parts of %s stay until the lifecycle: %s", upload["Key"], type(error).__name__)


def _is_new(put: Callable[[], object]) -> bool:
    """False on 412: it is there. On 409 somebody else is just writing it, and S3 wants to be asked again."""
    for _ in range(_TRIES - 1):
        try:
            put()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == "PreconditionFailed":
                return False
            if code != "ConditionalRequestConflict":
                raise
        else:
            return True
    put()
    return True


def _disk(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"it cannot be read or written: {error.strerror or error}",
        where=str(path),
        remedy="Look at the disk and at the rights of the folder",
    )
