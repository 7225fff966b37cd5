"""Section `worker` of meerkat.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from meerkat_contract.ids import Name


class WorkerSettings(BaseModel):
    """What this machine offers to a hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name | None = Field(
        None, description="name on the bus; made of the host's name once and kept in the data folder"
    )
    model: str | None = Field(
        None, description="a name from `meerkat models list`; the best that is there when not given"
    )
    models_folder: Path | None = Field(
        None, description="searched for models after $MEERKAT_MODELS and the cache"
    )
    fetch: bool = Field(True, description="fetch the default model on the first start")
    window: int = Field(
        2,
        ge=1,
        le=64,
        description="jobs taken at a time: one runs, the others wait here",
    )
    threads: int = Field(
        1, ge=1, le=16, description="for decoding; a second process gains more than a second thread"
    )
    drain_seconds: float = Field(
        3.0, ge=0, le=600, description="at the end the running job may take this long before it is given back"
    )
