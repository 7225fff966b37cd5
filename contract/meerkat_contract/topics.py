"""Every topic of the bus, built and parsed in one place.

A topic is a value: `DeviceTopic("porch-pi", "front", "clip")`; `str()` builds it and `parse()`
reads it back. `ANY` stands for the single-level wildcard in a subscription.

    meerkat/device/<device>/<kind>                    availability info error receipt heard
    meerkat/device/<device>/<thing>/<kind>            motion picture clip frame condition seen
    meerkat/device/<device>/<thing>/<setting>/set     and …/state
    meerkat/hub/<kind>                                availability state
    meerkat/hub/<setting>/set
    meerkat/camera/<device>/<camera>/<kind>           detections event outcome zones today, or a label's count
    meerkat/camera/<device>/<camera>/event/picture
    meerkat/meter/<device>/<meter>/<kind>             reading verdict
    meerkat/worker/<worker>/<kind>                    state jobs cancel deploy results error
    meerkat/workflow/<workflow>/<kind>                state
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .errors import BadMessage
from .ids import is_name

ROOT = "meerkat"
ANY = "+"


class DeviceTopic(NamedTuple):
    """About the device itself. kind: availability | info | error | receipt | heard (by the hub)."""

    device: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/device/{self.device}/{self.kind}"


class ThingTopic(NamedTuple):
    """From one camera or meter of a device. kind: motion | picture | clip | frame | condition | seen;
    from what is wired to it: state | press | triggered."""

    device: str
    thing: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/device/{self.device}/{self.thing}/{self.kind}"


class SettingTopic(NamedTuple):
    """A setting of a camera or meter. kind: set (a command) | state (retained)."""

    device: str
    thing: str
    setting: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/device/{self.device}/{self.thing}/{self.setting}/{self.kind}"


class HubTopic(NamedTuple):
    """About the hub. kind: availability | state."""

    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/hub/{self.kind}"


class HubSettingTopic(NamedTuple):
    """A setting of the hub itself. setting: burst; kind: set (a command: ON | OFF | STOP)."""

    setting: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/hub/{self.setting}/{self.kind}"


class CameraTopic(NamedTuple):
    """What the hub says about a camera.

    kind: detections | event | outcome | zones | today | a label (its count in view).
    """

    device: str
    camera: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/camera/{self.device}/{self.camera}/{self.kind}"


class EventPictureTopic(NamedTuple):
    """The JPEG of a camera's last event, retained."""

    device: str
    camera: str

    def __str__(self) -> str:
        return f"{ROOT}/camera/{self.device}/{self.camera}/event/picture"


class MeterTopic(NamedTuple):
    """What the hub says about a meter. kind: reading | verdict."""

    device: str
    meter: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/meter/{self.device}/{self.meter}/{self.kind}"


class WorkerTopic(NamedTuple):
    """Between the hub and a worker. kind: state | jobs | cancel | deploy | results | error."""

    worker: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/worker/{self.worker}/{self.kind}"


class WorkflowTopic(NamedTuple):
    """What the hub says about a workflow. kind: state (retained)."""

    workflow: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/workflow/{self.workflow}/{self.kind}"


Topic = (
    DeviceTopic
    | ThingTopic
    | SettingTopic
    | HubTopic
    | HubSettingTopic
    | CameraTopic
    | EventPictureTopic
    | MeterTopic
    | WorkerTopic
    | WorkflowTopic
)


@lru_cache(maxsize=1024)  # a house has few topics, and hears them all the time
def parse(topic: str) -> Topic:
    """The value of a topic's name; raises BadMessage for one that is not of this contract."""
    match topic.split("/"):
        case [str(root), "device", device, kind] if root == ROOT and is_name(device):
            return DeviceTopic(device, kind)
        case [str(root), "device", device, thing, kind] if (
            root == ROOT and is_name(device) and is_name(thing)
        ):
            return ThingTopic(device, thing, kind)
        case [str(root), "device", device, thing, setting, ("set" | "state") as kind] if (
            root == ROOT and is_name(device) and is_name(thing) and is_name(setting)
        ):
            return SettingTopic(device, thing, setting, kind)
        case [str(root), "hub", kind] if root == ROOT:
            return HubTopic(kind)
        case [str(root), "hub", setting, "set" as kind] if root == ROOT and is_name(setting):
            return HubSettingTopic(setting, kind)
        case [str(root), "camera", device, camera, "event", "picture"] if root == ROOT:
            return EventPictureTopic(device, camera)
        case [str(root), "camera", device, camera, kind] if root == ROOT:
            return CameraTopic(device, camera, kind)
        case [str(root), "meter", device, meter, kind] if root == ROOT:
            return MeterTopic(device, meter, kind)
        case [str(root), "worker", worker, kind] if root == ROOT and is_name(worker):
            return WorkerTopic(worker, kind)
        case [str(root), "workflow", workflow, kind] if root == ROOT and is_name(workflow):
            return WorkflowTopic(workflow, kind)
    raise BadMessage(
        "not a topic of this system",
        where=topic,
        remedy="Names are a-z, 0-9, '-' and '_', at most 63 characters; see docs/reference/topics.md",
    )
