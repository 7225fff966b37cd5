"""What the hub says of meters, in words for people: a part of `meerkat watch`."""

from __future__ import annotations

import json

from meerkat_contract.messages import MeterReading, MeterVerdict, read
from meerkat_contract.session import Incoming
from meerkat_contract.topics import MeterTopic


def meter_in_words(topic: MeterTopic, message: Incoming, text: str) -> str:
    """One line; empty for what another line has said. Raises BadMessage."""
    meter = f"{topic.device}/{topic.meter}"
    match topic.kind:
        case "reading" if not message.payload:
            return f"{meter}: its reading is taken back"
        case "reading":
            return f"{meter}: {_reading(message, text)}"
        case "verdict" if message.payload:
            words = _verdict(read(MeterVerdict, message.payload, topic=message.topic))
            return f"{meter}: {words}" if words else ""
    return ""


def _reading(message: Incoming, text: str) -> str:
    """Also of who publishes on this topic beside the hub, and says less."""
    try:
        values = json.loads(text)
    except ValueError:
        return f"reads {text}"
    if not isinstance(values, dict) or "value" not in values:
        return f"reads {text}"
    if "meter" not in values:
        return f"reads {values['value']} {values.get('unit', '')}".rstrip()
    reading = read(MeterReading, message.payload, topic=message.topic)
    flow = f", {reading.flow:.3g} {reading.unit}/h" if reading.flow else ""
    who = ", says its owner" if reading.source == "owner" else ""
    return f"reads {reading.value:.10g} {reading.unit}{flow}{who}"


def _verdict(verdict: MeterVerdict) -> str:
    """Of an accepted picture the reading says enough, unless something is wrong with the flow."""
    if verdict.verdict == "accepted":
        return verdict.leak
    value = f", {verdict.value:.10g} {verdict.unit}" if verdict.value is not None else ""
    why = f": {verdict.reason}" if verdict.reason else ""
    leak = f". {verdict.leak}" if verdict.leak else ""
    return f"the picture is {verdict.verdict}{value}{why}{leak}"
