"""Cameras that are added on the page, as the API says and takes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from meerkat_contract.added_cameras import LONGEST

from .models import View


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that cannot be seen")
    return text


Source = Annotated[
    str,
    Field(
        max_length=LONGEST,
        description="rtsp://…, http://… or a USB camera's number; no file of the machine. Its password is "
        "never told again",
        examples=["rtsp://user:password@192.168.1.20/stream"],
    ),
]
Label = Annotated[
    str,
    Field(max_length=80, description="what people call it", examples=["Front door"]),
    AfterValidator(_printable),
]


class AddedCamera(View):
    """A camera that was added here."""

    name: str
    label: str
    source: str = Field(description="where it is, without user, password and what stands behind the `?`")


class AddedCamerasView(View):
    """Those that were added here, and whether one can be."""

    possible: bool = Field(description="whether this hub was started by `meerkat up`, which runs them")
    device: str = Field("", description="the device that they belong to")
    cameras: list[AddedCamera] = Field(default_factory=list)


class CameraWish(BaseModel):
    """A camera that is to be there."""

    model_config = ConfigDict(extra="forbid")

    source: Source | None = Field(
        None, repr=False, description="null or left out: it keeps the one that it has"
    )
    label: Label = ""


class TryWish(BaseModel):
    """An address to be tried."""

    model_config = ConfigDict(extra="forbid")

    source: Source = Field(repr=False)
