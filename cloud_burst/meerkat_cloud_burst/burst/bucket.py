"""The bucket from the owner's side: release and model go up, and in the end all of it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import model_key

from .release import sha256

if TYPE_CHECKING:
    from .release import Release
    from .wanted import ModelFiles

Say = Callable[[str], None]
DIGEST = "sha256"
"""Name of the objects' own note."""
AT_A_TIME = 1000
"""Objects that S3 deletes with one request."""


class Bucket:
    """Raises CloudError."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self.name = name

    def fill(self, release: Release, model: ModelFiles, say: Say) -> None:
        """Upload what is not there yet, or is another file. Other models stay: an order may name one."""
        self._put(release.wheel, release.wheel_key, say)
        self._put(release.lock, release.lock_key, say)
        for name, path in model.files.items():
            self._put(path, model_key(name), say)

    def forget_releases(self, keep: set[str]) -> int:
        """Delete the releases outside of these folders of the bucket; how many files went."""
        old = [key for key in self._keys("wheels/") if not any(key.startswith(f"{f}/") for f in keep)]
        self._delete(old)
        return len(old)

    def empty(self, say: Say) -> int:
        """Delete everything, uploads that were broken off too; how many objects went."""
        gone = 0
        batch: list[str] = []
        for key in self._keys(""):
            batch.append(key)
            if len(batch) == AT_A_TIME:
                gone += self._delete(batch)
                say(f"{gone} objects deleted")
                batch = []
        gone += self._delete(batch)
        with self._asking("breaking off uploads") as client:
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
                for upload in page.get("Uploads", ()):
                    client.abort_multipart_upload(
                        Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
        return gone

    def _put(self, path: Path, key: str, say: Say) -> None:
        digest = sha256(path)
        with self._asking(f"uploading {path.name}") as client:
            if self._digest(client, key) == digest:
                say(f"{key} is there")
                return
            say(f"uploading {key}, {path.stat().st_size / 1e6:.1f} MB")
            client.upload_file(str(path), self.name, key, ExtraArgs={"Metadata": {DIGEST: digest}})

    def _digest(self, client: Any, key: str) -> str:
        """SHA-256 of what lies there, as it was uploaded; empty where nothing does."""
        try:
            return str(client.head_object(Bucket=self.name, Key=key)["Metadata"].get(DIGEST, ""))
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return ""
            raise

    def _keys(self, prefix: str) -> Iterator[str]:
        with self._asking("listing the bucket") as client:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for each in page.get("Contents", ()):
                    yield str(each["Key"])

    def _delete(self, keys: list[str]) -> int:
        if keys:
            with self._asking("deleting objects") as client:
                answer = client.delete_objects(
                    Bucket=self.name, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
            if refused := answer.get("Errors"):
                first = refused[0]
                raise CloudError(
                    f"{len(refused)} objects stay, {first['Key']} first: {first['Code']}",
                    cause="permission" if first["Code"] == "AccessDenied" else "other",
                    where=f"bucket {self.name}",
                    remedy="Delete them in the S3 console, and type the same command again",
                )
        return len(keys)

    def _asking(self, doing: str) -> Any:
        return self._clients.asking("s3", doing, f"bucket {self.name}")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
