"""Section `worker` of meerkat.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from meerkat_contract.ids import Name

CoralDevice = Annotated[str, StringConstraints(pattern=r"^(usb|pci):\d{1,2}$")]
"""An Edge TPU, by its bus and its number there, as libedgetpu names it."""

EngineName = Literal["litert", "tflite_runtime", "onnxruntime", "opencv", "libdarknet", "darknet"]

TaskName = Literal["detect_objects", "detect_faces", "recognise_faces", "read_meter"]


class WorkerSettings(BaseModel):
    """What this machine offers to a hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name | None = Field(
        None, description="name on the bus; made of the host's name once and kept in the data folder"
    )
    model: str | None = Field(
        None, description="a name from `meerkat models list`; the best that is there when not given"
    )
    engine: EngineName | None = Field(
        None,
        description="the runtime for finding objects and faces; the model's best when not given",
    )
    models_folder: Path | None = Field(
        None, description="searched for models after $MEERKAT_MODELS and the cache"
    )
    fetch: bool = Field(
        True,
        description="fetch the default model on the first start, and others when a workflow of the house "
        "needs them and the hub asks for it",
    )
    tasks: tuple[TaskName, ...] | None = Field(
        None, description="the most important first; when not given, those whose models are here"
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto", description="what ONNX models run on; auto takes the best that truly works"
    )
    coral: Literal["auto", "off"] | tuple[CoralDevice, ...] = Field(
        "auto",
        description="Coral accelerators, each a worker of its own: those that are plugged in, none, or a "
        "list such as [usb:0, usb:1, pci:0]",
    )
    coral_library: str = Field("libedgetpu.so.1", description="the Edge TPU runtime, a name or a path")
    energy: float | None = Field(
        None, ge=0, le=10_000, description="watts of this machine while it works, for choosing nodes"
    )
    window: int = Field(
        16,
        ge=1,
        le=64,
        description="jobs taken at a time at most: one runs, the others wait here; the hub sends no more "
        "than hides the network",
    )
    held_megabytes: float = Field(
        64, gt=0, le=16_384, description="of jobs held at a time; what goes beyond is handed back"
    )
    threads: int = Field(
        1, ge=1, le=16, description="for decoding; a second process gains more than a second thread"
    )
    drain_seconds: float = Field(
        3.0, ge=0, le=600, description="at the end the running job may take this long before it is given back"
    )
