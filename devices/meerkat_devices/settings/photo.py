"""How a meter's picture is taken, and what is kept of it on the device."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from meerkat_contract.ids import Name


class ArchiveSettings(BaseModel):
    """Pictures kept on the device's own disk, the oldest going first; `archive: {}` will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(
        "", description="one for each meter; archive/METER in the device's data folder when empty"
    )
    keep_days: int = Field(365, ge=1, le=36_500, description="by the time in their names")
    max_files: int = Field(10_000, ge=1, le=1_000_000, description="pictures")
    max_bytes: int = Field(1_000_000_000, ge=1_000_000, description="of all of them")


class PhotoSettings(BaseModel):
    """Fields of a meter: its light, its exposures, and what is done with the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    light: Name | None = Field(None, description="the lamp of this device that is on while the camera looks")
    brightness: float | None = Field(None, gt=0, le=1, description="of the lamp; as it is set up when absent")
    settle: float = Field(
        1.0, ge=0, le=30, description="seconds that a live camera looks before a frame counts"
    )
    exposures: int = Field(
        3, ge=1, le=16, description="taken one after another, for one picture; of 5 megapixels 4 at most"
    )
    combine: Literal["fuse", "sharpest"] = Field(
        "fuse", description="fuse: all in one, with less noise; sharpest: only the best one"
    )
    caption: bool = Field(False, description="write date and time into a bar below the picture")
    archive: ArchiveSettings | None = Field(None, description="keep the pictures on the device, too")
