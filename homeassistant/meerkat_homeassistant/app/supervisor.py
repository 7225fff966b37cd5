"""What Home Assistant's Supervisor tells an app: the broker of the house, and the app's own name."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from meerkat_contract.connection import Connection
from meerkat_contract.errors import MeerkatError, UsageError

ADDRESS = "http://supervisor"
TIMEOUT = 10.0
"""Seconds."""


@dataclass(frozen=True)
class Supervisor:
    """Its HTTP API. token: $SUPERVISOR_TOKEN, which it gives to each app."""

    token: str = field(repr=False)
    address: str = ADDRESS

    def broker(self) -> Connection:
        """The MQTT service of the house: the Mosquitto app, as a rule. Raises MeerkatError."""
        service = self._get("/services/mqtt")
        try:
            return Connection(
                host=str(service["host"]),
                port=int(service["port"]),
                tls=bool(service.get("ssl")),
                username=service.get("username") or None,
                password=service.get("password") or None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MeerkatError(
                f"the MQTT service is told without its host or port ({error!r})",
                where=f"{self.address}/services/mqtt",
                remedy="Name the broker in the option `broker`",
            ) from error

    def slug(self) -> str:
        """The app's name in this installation, such as local_meerkat. Raises MeerkatError."""
        return str(self._get("/addons/self/info").get("slug", ""))

    def _get(self, path: str) -> dict[str, Any]:
        where = f"{self.address}{path}"
        request = urllib.request.Request(where, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            error.close()
            raise _refused(error, where) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise MeerkatError(
                f"the Supervisor does not answer as it should ({error})",
                where=where,
                remedy="Restart the app; if it stays so, restart Home Assistant's Supervisor",
            ) from error
        return data if isinstance(data, dict) else {}


def _refused(error: urllib.error.HTTPError, where: str) -> MeerkatError:
    """400 is how it says that nobody offers a service."""
    if error.code == 400 and where.endswith("/services/mqtt"):
        return UsageError(
            "there is no MQTT broker in this Home Assistant",
            where=where,
            remedy="Install and start the app Mosquitto broker, or name another one in the option `broker`",
        )
    return MeerkatError(
        f"the Supervisor refuses with status {error.code}",
        where=where,
        remedy="Restart the app; only the Supervisor gives it the token that it needs",
    )
