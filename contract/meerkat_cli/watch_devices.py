"""What devices say, in words for people: a part of `meerkat watch`."""

from __future__ import annotations

from meerkat_contract import messages
from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.session import Incoming
from meerkat_contract.topics import DeviceTopic, SettingTopic, ThingTopic

Sensors = dict[tuple[str, str], str]
"""(device, sensor) → its kind."""


def device_in_words(
    topic: DeviceTopic | ThingTopic | SettingTopic, message: Incoming, text: str, sensors: Sensors
) -> str:
    """One line; empty for what is nothing new. Raises BadMessage. `sensors` is learnt from infos."""
    match topic:
        case DeviceTopic(device, "availability"):
            return f"{device} is {text}"
        case DeviceTopic(device, "error"):
            report = messages.read(messages.ErrorReport, message.payload, topic=message.topic)
            return f"{device}: {_sentence(report)}"
        case ThingTopic(device, thing, "motion"):
            return f"{device}/{thing}: {_motion(text, message)}"
        case DeviceTopic(device, "info"):
            return _info(device, message, sensors)
        case ThingTopic(device, thing, "state"):
            return f"{device}/{thing}: {_sensor(sensors.get((device, thing), ''), text, message)}"
        case ThingTopic(device, thing, "press"):
            return f"{device}/{thing}: is pressed"
        case ThingTopic(device, thing, "condition"):
            condition = messages.read(PictureCondition, message.payload, topic=message.topic)
            return f"{device}/{thing}: the picture is {condition.verdict.replace('_', ' ')}"
        case SettingTopic(device, thing, setting, "state"):
            return _setting(f"{device}/{thing}", setting, message)
    return f"{message.topic}: {text}"


def _info(device: str, message: Incoming, sensors: Sensors) -> str:
    """What changes of it: the battery, and how long it sleeps."""
    if not message.payload:
        return f"{device} is removed"
    info = messages.read(messages.DeviceInfo, message.payload, topic=message.topic)
    sensors.update({(device, sensor.name): sensor.kind for sensor in info.sensors})
    said = []
    if info.battery:
        said.append(f"battery {info.battery.level:.0f}%{', charging' if info.battery.charging else ''}")
    if info.next_wake:
        said.append(f"sleeps until {info.next_wake.astimezone():%H:%M}")
    return f"{device}: {', '.join(said)}" if said else ""


def _motion(text: str, message: Incoming) -> str:
    """What was kept tells how it is: nothing begins or ends at the moment of looking."""
    if message.retain:
        return "motion" if text == "ON" else "no motion"
    return "motion begins" if text == "ON" else "motion ends"


def _sensor(kind: str, text: str, message: Incoming) -> str:
    words = {
        ("motion", "ON"): _motion(text, message),
        ("motion", "OFF"): _motion(text, message),
        ("door", "ON"): "is open",
        ("door", "OFF"): "is shut",
    }
    return words.get((kind, text), f"is {text or 'not known any more'}")


def _setting(thing: str, setting: str, message: Incoming) -> str:
    """What changes; how everything is set already is nothing new."""
    if setting == "light" and message.payload:
        light = messages.read(messages.LightState, message.payload, topic=message.topic)
        level = f" at {light.brightness:.0f}%" if light.brightness and light.state == "ON" else ""
        return f"{thing}: the light is {light.state.lower()}{level}"
    if message.retain or not message.payload:
        return ""
    return f"{thing}: {setting.replace('_', ' ')} is {message.payload.decode(errors='replace')}"


def _sentence(report: messages.ErrorReport) -> str:
    what = report.what or "all is well again"
    text = f"{report.where}: {what}" if report.where else what
    return f"{text}. {report.remedy}" if report.remedy else text
