"""What a meter's readings are in Home Assistant: a counter and its flow, a verdict, and what is wrong.

The hub's readings tell the unit; so these appear with the first of them, and never stand there unknown.

The counter is a `total` without `last_reset`, on purpose. The hub's total goes on over rollovers and
exchanges of the meter, and Home Assistant books the difference of two states. With each new `last_reset`
it would begin again at zero and book the whole total once more (`compile_statistics` in its
sensor/recorder.py, 2026.11): one exchange, a thousand cubic metres of water in the Energy dashboard.
`total_increasing` would do so at every correction downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from meerkat_contract.device_messages import MeterInfo
from meerkat_contract.meter_messages import Verdict
from meerkat_contract.topics import MeterTopic

from .catalogue.entity import Entity


@dataclass(frozen=True)
class Counter:
    """What is known of one counter's readings from the bus."""

    unit: str = ""
    """Of the readings; empty while there was none."""
    judged: bool = False
    """A picture of it has been judged."""


@dataclass(frozen=True)
class _Unit:
    name: str
    """As Home Assistant writes it."""
    classes: tuple[str, ...]
    """Device classes that take it."""
    places: int
    flow: str
    """What Home Assistant has for one per hour, and how many of that it is."""
    factor: float = 1.0


_VOLUME = ("water", "gas")
_UNITS = {
    "m³": _Unit("m³", _VOLUME, 3, "m³/h"),
    "m3": _Unit("m³", _VOLUME, 3, "m³/h"),
    "l": _Unit("L", _VOLUME, 0, "L/h"),
    "litre": _Unit("L", _VOLUME, 0, "L/h"),
    "ft³": _Unit("ft³", _VOLUME, 2, "ft³/min", 1 / 60),
    "ft3": _Unit("ft³", _VOLUME, 2, "ft³/min", 1 / 60),
    "ccf": _Unit("CCF", _VOLUME, 3, "ft³/min", 100 / 60),
    "mcf": _Unit("MCF", _VOLUME, 4, "ft³/min", 1000 / 60),
    "gal": _Unit("gal", ("water",), 0, "gal/h"),
    "wh": _Unit("Wh", ("energy",), 0, "W"),
    "kwh": _Unit("kWh", ("energy",), 1, "kW"),
    "mwh": _Unit("MWh", ("energy",), 3, "MW"),
    "mj": _Unit("MJ", ("energy",), 1, "kW", 1 / 3.6),
    "gj": _Unit("GJ", ("energy",), 3, "kW", 1000 / 3.6),
}
"""By their names in lower case, as the hub knows them."""

_CLASSES = {"water": "water", "gas": "gas", "electricity": "energy", "heat": "energy"}


def rows(info: MeterInfo, known: Counter) -> tuple[Entity, ...]:
    """Of a meter, or of a counter that has a name, by what is known of it."""
    reading = (_reading(info, known.unit), *_flow(known.unit)) if known.unit else ()
    return (*reading, *(_judged(info) if known.judged else ()))


def _reading(info: MeterInfo, unit: str) -> Entity:
    known = _UNITS.get(unit.strip().lower())
    measures: dict[str, Any] = {"unit_of_meas": known.name if known else unit}
    if known:
        wanted = _CLASSES[info.kind]
        # Gas may be counted in kWh, and heat in m³ of water that has passed.
        kind = wanted if wanted in known.classes else "energy" if "energy" in known.classes else "volume"
        measures |= {"dev_cla": kind, "sug_dsp_prc": known.places}
    return Entity(
        "reading",
        "sensor",
        "",
        "hub",
        _topics("reading"),
        {
            "name": None,
            "stat_cla": "total",
            **measures,
            "val_tpl": "{{ value_json.total if value_json is defined }}",
            "json_attr_tpl": _attributes("value", "at", "confidence", "source", "id"),
        },
    )


def _flow(unit: str) -> tuple[Entity, ...]:
    """None for a unit that Home Assistant does not know: it would be no flow to it."""
    known = _UNITS.get(unit.strip().lower())
    if known is None:
        return ()
    times = "" if known.factor == 1 else f" * {known.factor:.10g}"
    return (
        Entity(
            "flow",
            "sensor",
            "flow",
            "hub",
            {"stat_t": _topics("reading")["stat_t"]},
            {
                "name": "Flow",
                "dev_cla": "power" if "energy" in known.classes else "volume_flow_rate",
                "stat_cla": "measurement",
                "unit_of_meas": known.flow,
                "sug_dsp_prc": 3,
                # The first reading of all has none: unknown.
                "val_tpl": "{% if value_json is defined %}{% set flow = value_json.get('flow') %}"
                f"{{{{ None if flow is none else (flow{times}) | round(6) }}}}{{% endif %}}",
            },
        ),
    )


def _judged(info: MeterInfo) -> tuple[Entity, ...]:
    """The last picture's verdict, and what the flow tells of the house."""
    return (
        Entity(
            "verdict",
            "sensor",
            "verdict",
            "hub",
            _topics("verdict"),
            {
                "name": "Last picture",
                "dev_cla": "enum",
                "ops": list(get_args(Verdict)),
                "ent_cat": "diagnostic",
                "ic": "mdi:counter",
                "val_tpl": "{{ value_json.verdict if value_json is defined else None }}",
                "json_attr_tpl": _attributes("reason", "value", "expected", "confidence", "unit", "at", "id"),
            },
        ),
        Entity(
            "leak",
            "binary_sensor",
            "leak",
            "hub",
            _topics("verdict"),
            {
                "name": "Leak",
                "dev_cla": "moisture" if info.kind == "water" else "problem",
                "val_tpl": _alarm("leak"),
                "json_attr_tpl": _WHY.format("['leak']"),
            },
        ),
        Entity(
            "problem",
            "binary_sensor",
            "problem",
            "hub",
            _topics("verdict"),
            {
                "dev_cla": "problem",
                "ent_cat": "diagnostic",
                "val_tpl": _alarm("no_flow", "silent"),
                "json_attr_tpl": _WHY.format("['no_flow', 'silent']"),
            },
        ),
    )


def _alarm(*kinds: str) -> str:
    return (
        "{% if value_json is defined %}"
        f"{{{{ 'ON' if value_json.get('alarm') in {list(kinds)!r} else 'OFF' }}}}{{% endif %}}"
    )


_WHY = (
    "{{% set told = value_json if value_json is defined else {{}} %}}"
    "{{{{ {{'reason': told.get('leak', '') if told.get('alarm') in {} else ''}} | to_json }}}}"
)


def _attributes(*names: str) -> str:
    """Those of the message's fields that are there."""
    return (
        "{% set told = value_json if value_json is defined else {} %}"
        f"{{{{ dict(told.items() | selectattr(0, 'in', {list(names)!r})) | to_json }}}}"
    )


def _topics(kind: str) -> dict[str, Any]:
    def topic(device: str, meter: str) -> MeterTopic:
        return MeterTopic(device, meter, kind)

    return {"stat_t": topic, "json_attr_t": topic}
