"""Entities of the hub, and of its cloud burst where one is set up."""

from __future__ import annotations

from typing import Any

from meerkat_contract.topics import HubSettingTopic, HubTopic, Topic

from .entity import Entity, Source, attributes_told, when_told

BURST_STATES = (
    "idle waiting burst hold no-gain forbidden ceiling reconcile take-back trouble off stop".split()
)
"""Of `BurstState.state`. Home Assistant logs an error for one that it was not told of."""


def _state(_device: str, _thing: str) -> Topic:
    return HubTopic("state")


def _sensor(
    key: str, name: str, value: str, *, ending: str = "", source: Source = "hub", **options: Any
) -> Entity:
    """A diagnostic sensor of the hub's state; `value` is an expression of `told`."""
    about = {
        "name": name,
        "ent_cat": "diagnostic",
        **options,
        "val_tpl": when_told(f"{{{{ {value} }}}}", "None"),
    }
    topics = {"stat_t": _state, **({"json_attr_t": _state} if "json_attr_tpl" in options else {})}
    return Entity(key, "sensor", ending or key, source, topics, about)


HUB: tuple[Entity, ...] = (
    Entity(
        "connectivity",
        "binary_sensor",
        "connectivity",
        "always",
        {"stat_t": lambda _, __: HubTopic("availability")},
        {
            "dev_cla": "connectivity",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ 'OFF' if value == 'offline' else 'ON' }}",
        },
    ),
    _sensor(
        "backlog",
        "Waiting clips",
        "told.backlog",
        ic="mdi:tray-full",
        stat_cla="measurement",
        unit_of_meas="clips",
    ),
    _sensor(
        "oldest_wait",
        "Oldest wait",
        "told.oldest_wait",
        dev_cla="duration",
        stat_cla="measurement",
        unit_of_meas="s",
        sug_dsp_prc=0,
    ),
    _sensor(
        "per_minute",
        "Clips per minute",
        "told.per_minute",
        ic="mdi:speedometer",
        stat_cla="measurement",
        unit_of_meas="clips/min",
        sug_dsp_prc=0,
    ),
    _sensor("workers", "Workers", "told.workers", ic="mdi:server-network", stat_cla="measurement"),
    Entity(
        "no_worker",
        "binary_sensor",
        "no_worker",
        "hub",
        {"stat_t": _state},
        {
            "name": "No worker",
            "dev_cla": "problem",
            "ent_cat": "diagnostic",
            "val_tpl": when_told("{{ 'OFF' if told.workers > 0 else 'ON' }}"),
        },
    ),
)

_BURST = "(told.get('burst') or {})"
"""A hub that was told to do without the cloud keeps silent of it before its entities are taken away."""

_MONEY: dict[str, Any] = {"dev_cla": "monetary", "unit_of_meas": "USD", "sug_dsp_prc": 2}


def _burst_switch() -> tuple[Entity, ...]:
    command = {"cmd_t": lambda _, __: HubSettingTopic("burst", "set")}
    on = when_told(f"{{% if {_BURST} %}}{{{{ 'ON' if {_BURST}.on else 'OFF' }}}}{{% endif %}}")
    return (
        Entity(
            "burst",
            "switch",
            "burst",
            "hub",
            {"stat_t": _state, **command},
            {"name": "Cloud burst", "ic": "mdi:cloud-upload", "ret": False, "val_tpl": on},
        ),
        Entity(
            "burst_stop",
            "button",
            "burst_stop",
            "hub",
            command,
            {"name": "Stop cloud burst", "ic": "mdi:cloud-cancel", "ret": False, "pl_prs": "STOP"},
        ),
    )


BURST: tuple[Entity, ...] = (
    *_burst_switch(),
    _sensor(
        "burst_state",
        "Cloud burst state",
        f"{_BURST}.get('state') if {_BURST}.get('state') in {BURST_STATES!r} else None",
        dev_cla="enum",
        ops=BURST_STATES,
        ic="mdi:cloud-question",
        json_attr_tpl=attributes_told(
            f"{{{{ {{'reason': {_BURST}.get('reason', ''), 'trouble': {_BURST}.get('trouble', '')}}"
            " | to_json }}"
        ),
    ),
    _sensor(
        "spent_today",
        "Cloud spend today",
        f"{_BURST}.get('spent_today')",
        **_MONEY,
        stat_cla="total",
        lrst_val_tpl="{{ utcnow().replace(hour=0, minute=0, second=0, microsecond=0).isoformat() }}",
    ),
    _sensor("ceiling_day", "Cloud ceiling a day", f"{_BURST}.get('ceiling_day')", ending="ceiling", **_MONEY),
    _sensor(
        "in_cloud",
        "Clips in the cloud",
        f"{_BURST}.get('in_cloud')",
        ic="mdi:cloud-sync",
        stat_cla="measurement",
        unit_of_meas="clips",
    ),
    _sensor(
        "machines",
        "Cloud machines",
        f"{_BURST}.get('instances')",
        ic="mdi:server",
        stat_cla="measurement",
        en=False,
    ),
)
"""Only where the hub speaks of a burst at all. Money's days are those of UTC."""


def hub(*, burst: bool) -> tuple[Entity, ...]:
    return (*HUB, *BURST) if burst else HUB
