"""The task read_meter: what a meter shows in one picture, and where its wheels are when nobody knows yet.

The networks come with the program and are small, so that every worker does this beside whatever else it
is told to serve.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from meerkat_contract.errors import MediaError, ModelError, UsageError
from meerkat_contract.messages import Job, MeterOrder, MeterSeen, ModelInfo, Result

from .engine import EDGE_TPU_LIBRARY
from .process import CalledOff, failure

if TYPE_CHECKING:
    from meerkat_contract.meter_layout import MeterLayout

    from .meter.networks import Networks
    from .picture import Picture
    from .tasks import Circumstances, Opener

TASK = "read_meter"
MODEL = "meter"

_WHEELS, _NEEDLES = 5, 4
"""Of a usual meter."""


def _usual() -> MeterLayout:
    """It fits any picture that is measured with."""
    from meerkat_contract.meter_layout import MeterLayout

    return MeterLayout(
        digits=tuple((100.0 + 50 * i, 80.0, 40.0, 64.0) for i in range(_WHEELS)),
        pointers=tuple((100.0 + 90 * i, 180.0, 80.0, 80.0) for i in range(_NEEDLES)),
    )


class Metering:
    """The networks for wheels and needles, and what makes a number of them."""

    def __init__(self, networks: Networks, info: ModelInfo, *, device: str = "cpu") -> None:
        self._networks = networks
        self._info = info
        self._device = device

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def device(self) -> str:
        return self._device

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        """The reading of one JPEG; never raises for what it was given.

        Without a layout in the job one is proposed, and then read. What cannot be read whoever tries (it
        is no picture, or of another shape than the layout's) is `failed` for good.
        """
        now = circumstances.now
        begin = now()
        state: Literal["done", "failed"] = "done"
        reason, retry = "", False
        seen: MeterSeen | None = None
        width = height = 0
        try:
            if circumstances.cancelled():
                raise CalledOff("called off by the hub", remedy="The hub has its reasons")
            picture = _picture(job, payload)
            height, width = picture.shape[:2]
            seen = self.read(picture, job.meter or MeterOrder())
        except UsageError as error:  # of the layout: no other worker has a better one
            state, reason = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, `failure` tells it and logs it
            state, (reason, retry) = "failed", failure(error, job, f"the reader {MODEL}")
        return Result(
            job=job.job,
            token=job.token,
            incarnation=circumstances.incarnation,
            state=state,
            reason=reason[:500],
            retry=retry,
            model=self._info,
            frames=1 if width else 0,
            seconds=round(max(0.0, now() - begin), 4),
            width=width,
            height=height,
            meter=seen,
        )

    def read(self, picture: Picture, order: MeterOrder) -> MeterSeen:
        """What a (height, width, 3) BGR picture shows. Raises MediaError, UsageError, ModelError.

        `layout` of the answer is the proposal, or the order's with the landmarks that it asked for.
        """
        from .meter.reader import read

        made, doubts = self._layout(picture, order)
        if order.landmarks:
            made, doubt = _with_landmarks(picture, made)
            doubts += doubt
        seen = read(picture, made, self._networks)
        if made is order.layout:
            return seen
        return seen.model_copy(update={"layout": made, "doubts": doubts})

    def _layout(self, picture: Picture, order: MeterOrder) -> tuple[MeterLayout, tuple[str, ...]]:
        """The order's, or one that is proposed, with what is in doubt about it."""
        if order.layout is not None:
            return order.layout, ()
        from .meter.propose import propose

        proposal = propose(picture, self._networks)
        return proposal.layout, tuple(proposal.doubts)

    def look(self, picture: Picture) -> object:
        """A reading of a usual meter's five wheels and four dials, of which there are none: each box is
        looked at from all sides, as in a poor picture."""
        from .meter.reader import read

        return read(picture, _usual(), self._networks)

    def close(self) -> None:
        self._networks.close()


def _picture(job: Job, payload: bytes) -> Picture:
    from .picture import decode_jpeg

    kind = job.content_type.partition(";")[0].strip().lower()
    if kind != "image/jpeg":
        raise MediaError(
            f"meters are read in pictures, not in {job.content_type!r}", where=TASK, remedy="Send image/jpeg"
        )
    return decode_jpeg(payload)


def _with_landmarks(picture: Picture, layout: MeterLayout) -> tuple[MeterLayout, tuple[str, ...]]:
    """The layout for this very picture, to align later ones with; without them, and why, if it shows none."""
    from .meter.align import features

    height, width = picture.shape[:2]
    sized = layout.model_copy(
        update={"landmarks": None, "width": layout.width or width, "height": layout.height or height}
    )
    try:
        return sized.model_copy(update={"landmarks": features(picture, sized)}), ()
    except MediaError as error:
        return sized, (f"later pictures cannot be aligned with this one: {error}",)


def meters(*, device: str = "cpu", library: str = EDGE_TPU_LIBRARY) -> Opener:
    """How to load the task. The networks are those of the program; there is no other to be named."""

    def load(name: str) -> Metering:
        from .meter.networks import FOLDER, Networks
        from .opening import choose

        if name not in ("", MODEL):
            raise ModelError(f"no model {name!r} reads meters", where=TASK, remedy=f"There is {MODEL} alone")
        files = [FOLDER / f"{part}.tflite" for part in ("wheel", "needle")]
        files += sorted(FOLDER.glob("segment.tflite"))
        info = ModelInfo(name=MODEL, sha256=_hash(files), engine=choose(files[0]))
        return Metering(Networks(device=device, library=library), info, device=device)

    return load


def _hash(files: list[Path]) -> str:
    """Of all files together. Raises ModelError when one is not there."""
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            raise ModelError(
                f"the model's file cannot be read ({error.strerror})",
                where=str(file),
                remedy="Install Meerkat again: pip install --force-reinstall meerkat-home",
            ) from error
    return digest.hexdigest()
