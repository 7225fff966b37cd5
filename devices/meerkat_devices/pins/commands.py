"""What a light is told over the bus, and why it sometimes does not do it."""

from __future__ import annotations

from meerkat_contract.errors import BadMessage, DeviceError
from meerkat_contract.messages import LightState, read
from meerkat_contract.session import Incoming


def wanted(message: Incoming, configured: float) -> float:
    """Brightness, 0 to 1, of a `set` message. Raises BadMessage."""
    words = {b"ON": configured, b"OFF": 0.0}
    if message.payload in words:
        return words[message.payload]
    try:
        told = read(LightState, message.payload, topic=message.topic)
    except BadMessage as error:
        shown = message.payload[:40].decode(errors="replace")
        raise BadMessage(
            f"{shown!r} says nothing of a light ({error.what})",
            where=message.topic,
            remedy='Send ON, OFF or {"state": "ON", "brightness": 40}',
        ) from None
    if told.state == "OFF":
        return 0.0
    return configured if told.brightness is None else told.brightness / 100


def retained(topic: str) -> BadMessage:
    """Why a command that the broker had kept is not obeyed."""
    return BadMessage(
        "a retained command is ignored: nobody is to be surprised by what was wanted long ago",
        where=topic,
        remedy="Send it without the retain flag; an empty retained message clears this one",
    )


def left_alone(light: str) -> DeviceError:
    """Why a lamp of a device without pins gives no light."""
    return DeviceError(
        "is left alone: this device's pins are `none`",
        where=f"light {light}",
        remedy="Write `pins: auto` on the Pi, or `pins: mock` to try without hardware",
    )
