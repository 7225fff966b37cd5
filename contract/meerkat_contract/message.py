"""What every JSON message of the bus is: frozen, versioned, validated on both sides.

Boxes are `(x, y, width, height)` in fractions of the picture, origin at the top left, so that they
hold for every resolution. Scores are calibrated to 0..1 with 0.5 as each model's working point.
Times inside a clip (`at`) are seconds of media time from the clip's first frame.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self, TypeVar

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

    @classmethod
    def trusted(cls, **fields: Any) -> Self:
        """One of values that were validated before, whole and of the right types: nothing is looked at here.

        As model_construct, in an eighth of its time: what is not given has its default, or is None.
        """
        made = cls.__new__(cls)
        _set(made, "__dict__", _defaults(cls) | fields)
        _set(made, "__pydantic_fields_set__", set(fields))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


_set = object.__setattr__  # a frozen model has no other way


@cache
def _defaults(kind: type[Message]) -> dict[str, Any]:
    """All fields in their order, so that JSON has them in it too. Raises TypeError where messages would
    share something that can be changed."""
    if made := [name for name, field in kind.model_fields.items() if field.default_factory is not None]:
        raise TypeError(f"{kind.__name__} makes a default of its own for {', '.join(made)}")
    return {name: None if field.is_required() else field.default for name, field in kind.model_fields.items()}


M = TypeVar("M", bound=Message)


def read(kind: type[M], payload: bytes | bytearray | memoryview, *, topic: str = "") -> M:
    """Validate a JSON payload; raises BadMessage that names the topic and the first wrong field."""
    try:
        # As model_validate_json does it, which first looks at five options.
        whole: M = kind.__pydantic_validator__.validate_json(bytes(payload))
        return whole
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadMessage(
            f"{kind.__name__} field {field!r}: {first['msg'].removeprefix('Value error, ')}",
            where=topic,
            remedy="docs/reference/topics.md shows this message",
        ) from None
