"""What every JSON message of the bus is: frozen, versioned, validated on both sides.

Boxes are `(x, y, width, height)` in fractions of the picture, origin at the top left, so that they
hold for every resolution. Scores are calibrated to 0..1 with 0.5 as each model's working point.
Times inside a clip (`at`) are seconds of media time from the clip's first frame.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import BadMessage

Fraction = Annotated[float, Field(ge=0, le=1)]
Box = tuple[Fraction, Fraction, Fraction, Fraction]
Count = Annotated[int, Field(ge=0, le=10**9)]
At = Annotated[float, Field(ge=0, le=10**6)]
"""Media time: eleven days, so that it can be added to any time."""
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_]*$")]


class Message(BaseModel):
    """Base of all JSON messages. Fields of a newer minor revision are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    schema_version: Literal[1] = Field(1, alias="schema")

    def to_json(self) -> bytes:
        # As model_dump_json does it, without making a string of the bytes in between.
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)


M = TypeVar("M", bound=Message)


def read(kind: type[M], payload: bytes | bytearray | memoryview, *, topic: str = "") -> M:
    """Validate a JSON payload; raises BadMessage that names the topic and the first wrong field."""
    try:
        return kind.model_validate_json(bytes(payload))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadMessage(
            f"{kind.__name__} field {field!r}: {first['msg'].removeprefix('Value error, ')}",
            where=topic,
            remedy="docs/reference/topics.md shows this message",
        ) from None
