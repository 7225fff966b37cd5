"""Entities of a worker: a machine that looks at what comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meerkat_contract.messages import WorkerState
from meerkat_contract.topics import HubTopic, Topic, WorkerTopic

from .entity import Entity, Source, attributes_told, when_told


@dataclass(frozen=True)
class Worker:
    """What of a worker's state discovery depends on: nothing that changes while it works."""

    name: str
    hardware: str = ""
    software: str = ""
    measures_heat: bool = False

    @classmethod
    def of(cls, state: WorkerState, before: Worker | None = None) -> Worker:
        """One that goes away tells less than before, and is the same worker still."""
        heat = state.temperature is not None or (before is not None and before.measures_heat)
        return cls(state.worker, state.hardware, state.software, heat)


def _state(worker: str, _: str) -> Topic:
    return WorkerTopic(worker, "state")


_SERVED = (
    "{% set tasks = told.get('tasks', []) %}"
    "{% set serving = tasks | selectattr('task', 'eq', told.get('serving')) | list %}"
    "{% set now = (serving or tasks) | first | default({}) %}"
)
"""The task that is loaded, else the first: what the worker is at."""


def _sensor(
    key: str,
    name: str,
    template: str,
    *,
    source: Source = "worker",
    attributes: str = "",
    **options: Any,
) -> Entity:
    about = {"name": name, "ent_cat": "diagnostic", **options, "val_tpl": when_told(template, "None")}
    topics = {"stat_t": _state}
    if attributes:
        about["json_attr_tpl"] = attributes_told(attributes)
        topics["json_attr_t"] = _state
    return Entity(key, "sensor", key, source, topics, about)


WORKER: tuple[Entity, ...] = (
    Entity(
        "connectivity",
        "binary_sensor",
        "connectivity",
        "always",
        {"stat_t": _state},
        {
            "dev_cla": "connectivity",
            "ent_cat": "diagnostic",
            "val_tpl": when_told("{{ 'ON' if told.online else 'OFF' }}"),
        },
    ),
    _sensor(
        "state",
        "State",
        "{{ 'working' if (told.get('load') or 0) >= 0.02 else 'idle' }}",
        dev_cla="enum",
        ops=["idle", "working"],
        ic="mdi:cog",
    ),
    _sensor(
        "tasks",
        "Tasks",
        "{% set names = told.get('tasks', []) | map(attribute='task') | join(', ') %}"
        "{{ (names | replace('_', ' '))[:255] or None }}",
        attributes="{{ {'serving': told.get('serving'), 'tasks': told.get('tasks', [])} | to_json }}",
        ic="mdi:format-list-checks",
    ),
    _sensor(
        "frames_per_second",
        "Frames per second",
        _SERVED + "{{ now.get('frames_per_second') }}",
        ic="mdi:speedometer",
        stat_cla="measurement",
        unit_of_meas="frames/s",
        sug_dsp_prc=1,
    ),
    _sensor(
        "model",
        "Model",
        _SERVED + "{{ now.get('model', {}).get('name', '')[:255] or None }}",
        attributes=_SERVED + "{{ {'engine': now.get('model', {}).get('engine')} | to_json }}",
        ic="mdi:brain",
    ),
    _sensor(
        "load",
        "Load",
        "{{ None if told.get('load') is none else (told.load * 100) | round }}",
        ic="mdi:gauge",
        stat_cla="measurement",
        unit_of_meas="%",
        en=False,
    ),
)

TEMPERATURE = _sensor(
    "temperature",
    "Temperature",
    "{{ told.get('temperature') }}",
    dev_cla="temperature",
    stat_cla="measurement",
    unit_of_meas="°C",
    sug_dsp_prc=0,
)


def _jobs(name: str) -> Entity:
    """How many it holds, as the hub counts them."""
    return Entity(
        "jobs",
        "sensor",
        "jobs",
        "hub",
        {"stat_t": lambda _, __: HubTopic("state")},
        {
            "name": "Jobs",
            "ic": "mdi:tray-full",
            "stat_cla": "measurement",
            "ent_cat": "diagnostic",
            "val_tpl": when_told(f"{{{{ told.get('jobs', {{}}).get({name!r}, 0) }}}}"),
        },
    )


def worker(known: Worker) -> tuple[Entity, ...]:
    """Of a worker; its temperature where it has told one."""
    return (*WORKER, _jobs(known.name), *((TEMPERATURE,) if known.measures_heat else ()))
