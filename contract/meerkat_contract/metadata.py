"""What rides beside a payload, in MQTT 5 user properties.

The payload is the thing itself (a JPEG, an MP4, a word, a JSON object). Everything else about it
travels as user properties with the names below, so that a subscriber that knows none of this can
still show the picture. Field `captured_at` is the user property `captured-at`, and so on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from .burst_messages import CloudRule
from .device_messages import PictureCondition
from .errors import BadMessage
from .ids import Id, Name, UtcTime, format_time

SCHEMA_VERSION = 1

Trigger = Literal["motion", "schedule", "start", "command", "submit", "frame", "doorbell"]


def _from_text(value: Any) -> Any:
    """A user property is text; from a database it comes as the object."""
    return from_json(value) if isinstance(value, str) else value


class Metadata(BaseModel):
    """User properties of a message that carries media. Unknown properties are ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )

    schema_version: int = Field(SCHEMA_VERSION, alias="schema")
    id: Id
    captured_at: UtcTime = Field(description="UTC; for a clip the time of its first frame")
    clock: Literal["synced", "unsynced"] = "synced"
    trigger: Trigger = "motion"
    content_type: str = Field("", max_length=100, description="a MIME type, such as video/mp4")
    sequence: int = Field(0, ge=0, le=10**6, description="which clip of the recording, from 0")
    recording: Id | None = Field(None, description="one id for all clips of one stretch of motion")
    last: bool = Field(False, description="this clip closes its recording")
    duration: float | None = Field(None, ge=0, le=86_400, description="seconds of media")
    reply_to: Name | None = Field(None, description="who is to hear of the outcome, for `meerkat submit`")
    cloud: CloudRule | None = Field(
        None, description="whether the clip may be looked at in the cloud; absent: as the hub has it"
    )
    condition: Annotated[PictureCondition | None, BeforeValidator(_from_text)] = Field(
        None, description="what a meter's picture is worth, JSON"
    )
    of: Id | None = Field(None, description="of what a device read by itself: its picture, if that comes too")
    part: int = Field(1, ge=1, le=10_000)
    parts: int = Field(1, ge=1, le=10_000)
    size: int | None = Field(None, ge=0, description="bytes of the whole, when it comes in parts")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the whole, when in parts")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema version {self.schema_version} is not known here, only {SCHEMA_VERSION}")
        if self.part > self.parts:
            raise ValueError(f"part {self.part} of {self.parts}")
        if self.parts > 1 and (self.size is None or self.sha256 is None):
            raise ValueError("a message in parts needs size and sha256 of the whole")
        return self

    def to_properties(self) -> list[tuple[str, str]]:
        """User properties, defaults left out (all but the schema version)."""
        pairs = [("schema", str(self.schema_version))]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in ("schema_version", "content_type") or value == field.default:
                continue
            if name == "captured_at":
                value = format_time(value)
            elif isinstance(value, bool):
                value = "true" if value else "false"
            elif isinstance(value, PictureCondition):
                value = value.to_json().decode()
            pairs.append((name.replace("_", "-"), str(value)))
        return pairs

    @classmethod
    def from_properties(
        cls, pairs: list[tuple[str, str]], *, content_type: str = "", topic: str = ""
    ) -> Metadata:
        """Validate what came with a message; raises BadMessage that names the property."""
        values: dict[str, str] = dict(pairs)
        values.pop("content-type", None)
        try:
            return cls.model_validate({**values, "content-type": content_type})
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "user properties"
            raise BadMessage(
                f"user property {name!r}: {first['msg'].removeprefix('Value error, ')}",
                where=topic,
                remedy="docs/reference/topics.md lists the properties of each message",
            ) from None
