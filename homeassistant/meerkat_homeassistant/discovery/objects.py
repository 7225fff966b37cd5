"""The names of our discovery topics: `homeassistant/device/<object id>/config`."""

from __future__ import annotations

from meerkat_contract.ids import is_name

HUB_OBJECT = "meerkat_hub"
_DEVICE_OBJECT = "meerkat_device_"
_WORKER_OBJECT = "meerkat_worker_"


def device_object(device: str) -> str:
    """The object id of a Meerkat device: the part of its discovery topic that is its own."""
    return f"{_DEVICE_OBJECT}{device}"


def worker_object(worker: str) -> str:
    """The same of a worker."""
    return f"{_WORKER_OBJECT}{worker}"


def device_of(object_id: str) -> str:
    """The Meerkat device of an object id; empty for the hub's and a worker's."""
    return object_id.removeprefix(_DEVICE_OBJECT) if object_id.startswith(_DEVICE_OBJECT) else ""


def _worker_of(object_id: str) -> str:
    return object_id.removeprefix(_WORKER_OBJECT) if object_id.startswith(_WORKER_OBJECT) else ""


def called(object_id: str) -> str:
    """As the log speaks of it."""
    if worker := _worker_of(object_id):
        return f"worker {worker}"
    return device_of(object_id) or "the hub"


def restore_words(object_id: str) -> str:
    """What to write behind `meerkat ha restore` to have it back."""
    if worker := _worker_of(object_id):
        return f"--worker {worker}"
    return device_of(object_id) or "--hub"


def object_of(topic: str, prefix: str) -> str | None:
    """The object id in a discovery topic that is ours to write, or None."""
    match topic.removeprefix(f"{prefix}/").split("/"):
        case ["device", name, "config"] if topic.startswith(f"{prefix}/") and _is_ours(name):
            return name
    return None


def _is_ours(name: str) -> bool:
    return name == HUB_OBJECT or is_name(device_of(name) or _worker_of(name))


def config_topic(object_id: str, prefix: str) -> str:
    return f"{prefix}/device/{object_id}/config"
