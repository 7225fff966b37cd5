"""The app's options, as the form in Home Assistant fills them, and what they mean to Meerkat.

The form's own rules are in homeassistant/app/config.yaml; a test keeps both the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meerkat_contract.connection import Connection, parse_broker_url
from meerkat_contract.errors import UsageError
from meerkat_contract.ids import Name
from meerkat_homeassistant.settings import EventType

INGRESS = "172.30.32.2"
"""Whence Home Assistant's ingress connects, in every installation: its documentation of apps says so."""

DEVICE = "house"
"""The device that the form's cameras belong to; Home Assistant calls one camera.house_<name>."""


class Camera(BaseModel):
    """A network camera that this machine watches."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    source: str = Field(min_length=1)
    label: str | None = None


class Options(BaseModel):
    """`/data/options.json`. What is not given is as meerkat.yaml or Meerkat's defaults have it.

    An option that a later release no longer knows stays in the file: it is no error.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    cameras: tuple[Camera, ...] = ()
    demo: bool = False
    log: Literal["debug", "info", "warning", "error"] = "info"
    keep_days: float | None = Field(None, ge=0.1, le=3650)
    keep_gigabytes: float | None = Field(None, ge=0.1, le=100_000)
    events: tuple[EventType, ...] = ()
    model: str | None = None
    broker: str | None = None
    broker_username: str | None = None
    broker_password: str | None = Field(None, repr=False)

    @property
    def own_broker(self) -> Connection | None:
        """The broker that the form names. Raises UsageError."""
        if not self.broker:
            return None
        found = parse_broker_url(self.broker, where="option broker")
        return Connection(
            host=found.host,
            port=found.port,
            tls=found.tls,
            username=self.broker_username or found.username,
            password=self.broker_password or found.password,
        )


def read(path: Path) -> Options:
    """The options that the Supervisor wrote. Raises UsageError that names the option."""
    try:
        return Options.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})",
            where=str(path),
            remedy="Home Assistant's Supervisor writes it; elsewhere use `meerkat up`",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"]) or str(path)
        raise UsageError(
            first["msg"][:1].lower() + first["msg"][1:],
            where=f"option {option}",
            remedy="Correct it under Configuration in the app",
        ) from None


def environment(options: Options, *, port: int, page: str) -> dict[str, str]:
    """The variables that lay the options over meerkat.yaml, with what is so in every app.

    port: where the ingress finds the page. page: its address for people, or an empty string.
    """
    values: dict[str, Any] = {
        "HUB__HTTP_HOST": "0.0.0.0",
        "HUB__HTTP_PORT": port,
        "HUB__INGRESS_FROM": INGRESS,
        "HUB__PAGE": page,
        "HUB__ANNOUNCE": False,  # what nobody outside of Home Assistant's network reaches
        "HUB__RETENTION__DAYS": options.keep_days,
        "HUB__RETENTION__GIGABYTES": options.keep_gigabytes,
        "HOMEASSISTANT__EVENTS": options.events,
        "WORKER__MODEL": options.model,
    }
    if options.cameras:
        values[f"DEVICES__{DEVICE.upper()}__CAMERAS"] = cameras(options)
    return {f"MEERKAT__{name}": text(value) for name, value in values.items() if value not in (None, "", ())}


def cameras(options: Options) -> dict[str, dict[str, str]]:
    """As in devices.house.cameras. Raises UsageError for a name that is there twice."""
    found: dict[str, dict[str, str]] = {}
    for camera in options.cameras:
        if camera.name in found:
            raise UsageError(
                f"there are two cameras {camera.name!r}",
                where="option cameras",
                remedy="Give each a name of its own",
            )
        found[camera.name] = camera.model_dump(include={"source", "label"}, exclude_none=True)
    return found


def text(value: Any) -> str:
    """A value as a variable holds it: JSON, which YAML reads too; a text as it is."""
    return value if isinstance(value, str) else json.dumps(value)
