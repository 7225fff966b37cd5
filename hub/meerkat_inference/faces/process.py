"""One job of the task recognise_faces, from its bytes to its answer.

    result = process_faces(job, payload, embedder, detector, incarnation=…, now=time.monotonic)

The faces are those that the level before found (`job.found`); where it found none, or sent a plain
picture, `detector` looks for them.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meerkat_contract.errors import MediaError, MeerkatError
from meerkat_contract.messages import Face, Found, Job, Result
from meerkat_inference.detector import Detector
from meerkat_inference.process import CalledOff, failure

from .embedder import Box, Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABEL = "face"
MOST = 16
"""Faces described in one picture, the best first: each costs as much as the picture's detection does."""
PICTURE_SIDE = 160
PICTURE_BYTES = 20_000
"""The small picture of a face, for people to see."""

_logger = logging.getLogger(__name__)


def process_faces(
    job: Job,
    payload: bytes,
    embedder: Embedder,
    detector: Detector | None,
    *,
    incarnation: str,
    now: Callable[[], float],
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Describe the faces of one JPEG; never raises for what it was given.

    `Result.faces` holds box, embedding (little-endian float32), quality and a small JPEG of each; no
    face at all is `done` with none, and with more than MOST `reason` says so. A picture that cannot be
    read is `failed` for good. Without boxes and without a detector, or when the network breaks, it is
    `failed` with `retry`: another worker may do it. `now` is a monotonic clock, for `Result.seconds`.
    `cancelled` is asked before each face.
    """
    begin = now()
    state: Literal["done", "failed"] = "done"
    reason, retry = "", False
    faces: tuple[Face, ...] = ()
    width = height = frames = 0
    try:
        picture = _picture(job, payload)
        height, width = picture.shape[:2]
        frames = 1
        founds = [found for found in _boxes(job, picture, detector) if found.label == LABEL]
        faces = describe_faces(picture, founds, embedder, cancelled=cancelled)
        if len(founds) > MOST:
            reason = f"{len(founds)} faces are there: the {MOST} surest were described"
    except Exception as error:  # noqa: BLE001 - whatever it is, `failure` tells it and logs it
        state, (reason, retry) = "failed", failure(error, job, f"the embedder {embedder.info.name}")
    return Result(
        job=job.job,
        token=job.token,
        incarnation=incarnation,
        state=state,
        reason=reason[:500],
        retry=retry,
        model=embedder.info,
        frames=frames,
        seconds=round(max(0.0, now() - begin), 4),
        width=width,
        height=height,
        faces=faces,
    )


def describe_faces(
    picture: NDArray[np.uint8],
    founds: Sequence[Found],
    embedder: Embedder,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Face, ...]:
    """The faces `founds` in a BGR picture (H, W, 3), the surest first, at most MOST of them.

    A box too small to hold a face is left out. Raises ModelError when the network fails, CalledOff when
    `cancelled` says so.
    """
    described: list[Face] = []
    height, width = picture.shape[:2]
    for found in sorted(founds, key=lambda found: -found.score)[:MOST]:
        if found.box[2] * width < 2 or found.box[3] * height < 2:
            continue
        if cancelled():
            raise CalledOff("called off by the hub", remedy="Nothing is to be done: the hub has its reasons")
        sample = sampled(picture, found.box, embedder)
        described.append(
            Face(
                box=found.box,
                score=found.score,
                quality=sample.quality,
                # The message takes both encoded.
                embedding=b64encode(sample.embedding),
                picture=b64encode(sample.picture),
            )
        )
    return tuple(described)


@dataclass(frozen=True, slots=True)
class Sampled:
    """One face as it travels."""

    embedding: bytes
    """Little-endian float32."""
    quality: float
    reason: str
    """What is wrong with it, when the quality is below GOOD."""
    picture: bytes
    """JPEG of at most PICTURE_BYTES."""


def sampled(picture: NDArray[np.uint8], box: Box, embedder: Embedder) -> Sampled:
    """Describe one face of a BGR picture, with a small picture of it. Raises MediaError, ModelError."""
    from meerkat_inference.picture import encode_jpeg

    from .alignment import cut_out

    seen = embedder.describe(picture, box)
    close = _shrunk(cut_out(picture, box, rim=0.25))
    return Sampled(
        seen.embedding.astype("<f4").tobytes(),
        seen.quality,
        seen.reason,
        encode_jpeg(close, max_bytes=PICTURE_BYTES),
    )


def _picture(job: Job, payload: bytes) -> NDArray[np.uint8]:
    from meerkat_inference.picture import decode_jpeg

    kind = job.content_type.partition(";")[0].strip().lower()
    if kind != "image/jpeg":
        raise MediaError(
            f"faces are recognised in pictures, not in {job.content_type!r}",
            where="recognise_faces",
            remedy="Send image/jpeg",
        )
    return decode_jpeg(payload)


def _boxes(job: Job, picture: NDArray[np.uint8], detector: Detector | None) -> Sequence[Found]:
    if any(found.label == LABEL for found in job.found):
        return job.found
    if detector is None:
        raise MeerkatError(
            "the job says nothing of where the faces are, and this worker has no model to find them",
            where="recognise_faces",
            remedy="`meerkat models pull yunet` fetches one",
        )
    return [Found(label=f.label, score=f.score, box=f.box) for f in detector.detect(picture)]


def _shrunk(close: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    if close.shape[0] <= PICTURE_SIDE:
        return close
    size = (PICTURE_SIDE, PICTURE_SIDE)
    return np.asarray(cv2.resize(close, size, interpolation=cv2.INTER_AREA), np.uint8)
