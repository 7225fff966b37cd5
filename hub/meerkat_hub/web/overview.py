"""How the hub is: one answer for the page, /healthz and /metrics."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meerkat_contract.messages import BurstState, WorkerState
from meerkat_hub.adapters.queries import Queries

from .fanout import Fanout
from .metrics import Labels, Metric
from .models import Health, StateView, TotalsView

if TYPE_CHECKING:
    from meerkat_hub.application import Hub


FALLBACK = (
    "Only the built-in fallback detector is looking: it finds people who stand upright, and no vehicles or "
    "animals. `meerkat models pull` fetches a better model."
)
DRAWN = "{} are drawn, so that there is something to see: add a camera of your own, and they end."


def health(hub: Hub) -> Health:
    failure = hub.service.failure or hub.ingest.failure
    if failure is not None:
        return Health(ok=False, reason=str(failure))
    if hub.service.ended or hub.ingest.ended:
        return Health(ok=False, reason="a thread of the hub has ended; restart it and look at its log")
    if not hub.live.connected:
        return Health(ok=False, reason="not connected to the broker")
    return Health(ok=True)


def workers(hub: Hub) -> list[WorkerState]:
    """Every worker that was heard of since the hub began, by name."""
    return [worker for _, worker in sorted(hub.live.workers.copy().items())]


def state(hub: Hub, queries: Queries) -> StateView:
    """Raises StorageError."""
    how, online = health(hub), [worker for worker in workers(hub) if worker.online]
    # Who recognises faces beside it does not look for anything in a clip.
    models = [task.model for one in online for task in one.tasks if task.task == "detect_objects"]
    fallback = bool(models) and all(model.fallback for model in models)
    drawn = hub.cameras.drawn if hub.cameras is not None else ()
    oldest = queries.oldest_waiting()
    return StateView(
        ok=how.ok,
        reason=how.reason,
        connected=hub.live.connected,
        broker="" if hub.live.connected else str(hub.bus.session.failure or ""),
        hub=hub.live.hub,
        totals=TotalsView(**asdict(queries.totals())),
        oldest_wait=_age(oldest),
        announcements=queries.announcements_waiting(),
        fallback=fallback,
        room=list(hub.retention.warnings),
        demo=bool(drawn),
        hints=_hints(drawn, fallback=fallback),
        workers=online,
    )


def _hints(drawn: tuple[str, ...], *, fallback: bool) -> list[str]:
    """What is as it should be, and could be better."""
    hints = [DRAWN.format(" and ".join(drawn).capitalize())] if drawn else []
    return [*hints, FALLBACK] if fallback else hints


def metrics(hub: Hub, queries: Queries, fanout: Fanout, version: str) -> list[Metric]:
    """Raises StorageError."""
    now, counts = state(hub, queries), queries.totals()
    devices: dict[str, int] = {"online": 0, "offline": 0, "asleep": 0}
    for word in hub.live.availability.copy().values():
        devices[word] = devices.get(word, 0) + 1
    frames = hub.live.hub.frames
    ended_frames = {"done": 0, **{fate: n for fate, n in frames.items() if fate != "received"}}
    states = ("done", "failed", "expired")
    ended = [({"state": name}, float(getattr(counts, name))) for name in states]
    read = [({"state": name}, float(getattr(counts, f"pictures_{name}"))) for name in states]
    return [
        Metric("info", "gauge", "Version of the hub.", [({"version": version}, 1)]),
        _one("healthy", "gauge", "1 when the database and the broker can be used.", now.ok),
        _one("broker_connected", "gauge", "1 when connected to the MQTT broker.", now.connected),
        _one("clips_received_total", "counter", "Clips stored; those ended and waiting.", counts.received),
        Metric("clips_ended_total", "counter", "Clips that ended, by how.", ended),
        _one("clips_waiting", "gauge", "Clips not ended: in the queue, or at a worker.", counts.waiting),
        _one("clips_running", "gauge", "Clips that a worker has.", now.hub.running),
        _one("backlog", "gauge", "Clips that no worker has yet.", now.hub.backlog),
        _one("oldest_wait_seconds", "gauge", "How long the oldest waiting clip has waited.", now.oldest_wait),
        _one("frames_received_total", "counter", "Frames that workflows took.", frames.get("received", 0)),
        Metric("frames_ended_total", "counter", "Frames that ended, by fate.", _by("fate", ended_frames)),
        _one("meter_pictures_total", "counter", "Meter pictures stored.", counts.pictures),
        Metric("meter_pictures_ended_total", "counter", "Readings of pictures that ended, by how.", read),
        _one("meter_pictures_waiting", "gauge", "Those that wait to be read.", counts.pictures_waiting),
        _one("refused_total", "counter", "Clips and pictures that were not accepted.", counts.refused),
        _one("announcements_waiting", "gauge", "Messages the broker has not confirmed.", now.announcements),
        _one("workers", "gauge", "Workers online.", len(now.workers)),
        *_cloud(now.hub.burst),
        Metric("worker_frames_per_second", "gauge", "As the worker measured itself.", _speeds(now.workers)),
        Metric("devices", "gauge", "Devices, by availability.", _by("availability", devices)),
        _one("stream_clients", "gauge", "Browsers that listen to /api/stream.", fanout.clients),
        Metric(
            "stream_dropped_total",
            "counter",
            "Streams that the hub refused or ended, by reason.",
            _by("reason", {"slow": 0, "full": 0, **fanout.dropped}),
        ),
    ]


def _cloud(burst: BurstState | None) -> list[Metric]:
    """Nothing where no cloud burst is set up."""
    if burst is None:
        return []
    spent: list[tuple[Labels, float]] = [
        ({"period": "day"}, burst.spent_today),
        ({"period": "month"}, burst.spent_month),
    ]
    return [
        _one("burst_clips", "gauge", "Clips in the cloud.", burst.in_cloud),
        _one("burst_instances", "gauge", "Machines in the cloud.", burst.instances),
        Metric("burst_spent_dollars", "gauge", "Of this day and month (UTC).", spent),
        _one("burst_reserved_dollars", "gauge", "Set apart for machines that run.", burst.reserved),
        _one("burst_usable", "gauge", "1 when the cloud can be used.", not burst.trouble),
    ]


def _one(name: str, kind: str, help: str, value: float) -> Metric:
    return Metric(name, kind, help, [({}, value)])


def _by(label: str, values: dict[str, int]) -> list[tuple[Labels, float]]:
    return [({label: name or "unknown"}, value) for name, value in sorted(values.items())]


def _speeds(online: list[WorkerState]) -> list[tuple[Labels, float]]:
    return [
        (
            {
                "worker": worker.worker,
                "task": task.task,
                "model": task.model.name,
                "engine": task.model.engine,
                "fallback": "true" if task.model.fallback else "false",
            },
            task.frames_per_second,
        )
        for worker in online
        for task in worker.tasks
    ]


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else round(max(0.0, (datetime.now(UTC) - moment).total_seconds()), 1)
