"""Which settings can change while the device runs: a row each. Names, bounds and kinds come from the models.

A row names a field of the thing's settings, such as `motion.sensitivity`. Its last part is the setting's
name on the bus unless the row gives another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from meerkat_contract.errors import BadMessage
from meerkat_contract.messages import SettingInfo
from meerkat_contract.setting_values import Value

from .tuning import DEVICE, Tuning

if TYPE_CHECKING:
    from meerkat_devices.camera import Camera
    from meerkat_devices.meter import Meter
    from meerkat_devices.settings.device import DeviceSettings


@dataclass(frozen=True, slots=True)
class Row:
    field: str
    label: str
    name: str = ""
    unit: str = ""
    step: float | None = None
    maximum: float | None = None
    """Where the field itself has none: a slider needs an end."""
    common: bool = False


OF_CAMERA = (
    Row("enabled", "Camera", common=True),
    Row("motion.enabled", "Motion detection", name="motion_detection", common=True),
    Row("motion.sensitivity", "Sensitivity", step=0.05, common=True),
    Row("motion.minimum_area", "Smallest motion", step=0.0001),
    Row("clips", "Clips of motion"),
    Row("pre_roll", "Recorded before the motion", unit="s", step=0.5),
    Row("post_roll", "Recorded after the motion", unit="s", step=0.5),
    Row("clip_seconds", "Length of a clip", unit="s", step=1),
    Row("max_recording", "Longest recording", unit="s", step=10),
    Row("record_seconds", "Length of a recording by hand", unit="s", step=5),
    Row("picture_seconds", "Between pictures", unit="s", step=1),
    Row("picture_seconds_motion", "Between pictures during motion", unit="s", step=0.2),
    Row("cloud", "Clips in the cloud"),
    Row("frames.when", "Frames for workflows", name="frames_when"),
    Row("frames.width", "Width of frames", name="frames_width", unit="px", step=16),
    Row("frames.quality", "Quality of frames", name="frames_quality", unit="%", step=1),
)

OF_METER = (
    Row("brightness", "Brightness of the lamp", step=0.05),
    Row("exposures", "Exposures of a picture", step=1),
    Row("combine", "Exposures are put together"),
    Row("settle", "Wait before the picture", unit="s", step=0.5),
    Row("caption", "Date and time in the picture"),
)

OF_DEVICE = (
    Row("log_level", "Log"),
    Row(
        "outbox.spooled_bytes_per_second",
        "Speed of the backlog",
        name="outbox_rate",
        unit="B/s",
        step=1000,
        maximum=100_000_000,
    ),
)

RECORD = SettingInfo(name="record", label="Record now", kind="switch", common=True)

S = TypeVar("S", bound=BaseModel)


def offer_camera(tuning: Tuning, camera: Camera) -> None:
    """All that can be set of a camera."""
    offer_fields(tuning, camera.name, OF_CAMERA, get=lambda: camera.settings, set_=camera.retune)
    tuning.offer(
        camera.name,
        RECORD,
        get=lambda: camera.by_hand.on,
        set_=lambda value: camera.record(bool(value)),
        lasting=False,
    )
    tuning.leave(camera.name, camera.frames.topic.setting)
    camera.by_hand.ended = lambda: tuning.tell(camera.name, RECORD.name)


def offer_meter(tuning: Tuning, meter: Meter) -> None:
    """All that can be set of a meter."""
    offer_fields(tuning, meter.name, OF_METER, get=lambda: meter.settings, set_=meter.retune)
    tuning.leave(meter.name, meter.topic.setting)


def offer_device(
    tuning: Tuning, get: Callable[[], DeviceSettings], set_: Callable[[DeviceSettings], None]
) -> None:
    """All that can be set of the device itself."""
    offer_fields(tuning, DEVICE, OF_DEVICE, get=get, set_=set_)


def offer_fields(
    tuning: Tuning,
    thing: str,
    rows: tuple[Row, ...],
    *,
    get: Callable[[], S],
    set_: Callable[[S], None],
) -> None:
    """Offer each row. `get` gives the thing's settings; `set_` gets them changed, validated as a whole.

    What is not set up at all (the brightness of no lamp) is not offered.
    """
    for row in rows:
        value = _getter(row, get)
        if value() is not None:
            tuning.offer(thing, setting_info(type(get()), row), get=value, set_=_setter(row, get, set_))


def _getter(row: Row, get: Callable[[], Any]) -> Callable[[], Value]:
    def value() -> Value:
        found: Any = get()
        for part in row.field.split("."):
            found = getattr(found, part)
        return found if found is None or isinstance(found, bool | str) else float(found)

    return value


def _setter(row: Row, get: Callable[[], S], set_: Callable[[S], None]) -> Callable[[Value], None]:
    return lambda value: set_(changed(get(), row.field, value))


def changed(settings: S, field: str, value: object) -> S:
    """The settings with one field of another value. Raises BadMessage when they do not go together."""
    name, _, rest = field.partition(".")
    if rest:
        value = changed(getattr(settings, name), rest, value)
    said = {known: getattr(settings, known) for known in settings.model_fields_set}
    try:
        return type(settings).model_validate({**said, name: value})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadMessage(reason, remedy="It stays as it was") from None


def setting_info(model: type[BaseModel], row: Row) -> SettingInfo:
    """What the row's field takes, from the model's own bounds."""
    *outer, last = row.field.split(".")
    for part in outer:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    found = model.model_fields[last]
    name = row.name or last
    if found.annotation is bool:
        return SettingInfo(name=name, label=row.label, kind="switch", common=row.common)
    if get_origin(found.annotation) is Literal:
        options = get_args(found.annotation)
        return SettingInfo(name=name, label=row.label, kind="select", options=options, common=row.common)
    minimum, maximum = _bounds(found, row.step or 0.0)
    return SettingInfo(
        name=name,
        label=row.label,
        kind="number",
        minimum=minimum,
        maximum=maximum if maximum is not None else row.maximum,
        step=row.step,
        unit=row.unit,
        common=row.common,
    )


def _bounds(found: FieldInfo, step: float) -> tuple[float | None, float | None]:
    """Inclusive; a bound that is itself excluded is moved by a step."""
    low = high = None
    for bound in found.metadata:
        low = getattr(bound, "ge", low)
        high = getattr(bound, "le", high)
        if (above := getattr(bound, "gt", None)) is not None:
            low = above + step
        if (below := getattr(bound, "lt", None)) is not None:
            high = below - step
    return low, high
