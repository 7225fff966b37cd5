"""What frames a camera sends when it is asked for some."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from meerkat_contract.messages import Label
from meerkat_contract.vocabulary import LABELS
from meerkat_devices.regions import Region

CoralDevice = Annotated[str, StringConstraints(pattern=r"^(usb|pci):[0-9]{1,2}$")]
"""As libedgetpu names them."""


class FrameSettings(BaseModel):
    """Frames of interest: what a camera sends when the hub asks it for frames, for a workflow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Literal["motion", "always"] = Field("motion", description="only while something moves, or always")
    width: int = Field(1280, ge=160, le=3840, description="pixels; wider pictures are scaled down")
    quality: int = Field(80, ge=10, le=95, description="of the JPEG; lower where it would be above 1 MB")
    detect: Literal["detect_faces", "detect_objects"] | None = Field(
        None,
        description="look on the device, and send only frames with something in them; needs the extra "
        "`worker`",
    )
    coral: Literal["auto", "off"] | CoralDevice = Field(
        "auto", description="where `detect` looks: on the Coral that is plugged in, on none, or on usb:0"
    )
    coral_library: str = Field("libedgetpu.so.1", description="the Edge TPU runtime, a name or a path")
    region: Region | None = Field(
        None,
        description="[x, y, width, height] in fractions of the picture: only this part is looked at and sent",
    )
    labels: tuple[Label, ...] = Field(
        (), description="what `detect` looks for; people, faces, vehicles and animals when empty"
    )

    @model_validator(mode="after")
    def _labels_can_be_found(self) -> FrameSettings:
        known = ("face",) if self.detect == "detect_faces" else LABELS
        if unknown := [label for label in self.labels if label not in known]:
            such = "face" if len(known) == 1 else "words of COCO, such as person or car"
            raise ValueError(f"labels: {self.detect or 'detect'} finds no {unknown[0]!r}; write {such}")
        return self
