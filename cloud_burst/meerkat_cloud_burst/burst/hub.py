"""What the running hub says of its burst, over its HTTP API. It may be down: the cloud is asked then."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from meerkat_contract.connection import find_page
from meerkat_contract.errors import MeerkatError

SECONDS = 5.0
USUAL = "http://127.0.0.1:8480"


class HubSilent(MeerkatError):
    """The hub does not answer, or has no cloud burst."""


class Hub:
    def __init__(self, address: str = "") -> None:
        """`address`: its page's; empty: where `meerkat up` on this machine says, else the usual port."""
        self.address = (address or find_page() or USUAL).rstrip("/")

    def burst(self) -> dict[str, Any]:
        """GET /api/burst. Raises HubSilent."""
        found = self._ask("/api/burst")
        if not isinstance(found, dict):
            raise self._silent("its answer is not understood")
        return found

    def ledger(self) -> dict[str, Any]:
        """GET /api/burst/ledger. Raises HubSilent."""
        found = self._ask("/api/burst/ledger")
        return found if isinstance(found, dict) else {"entries": found}

    def say(self, what: str) -> None:
        """POST /api/burst/on | off | stop. Raises HubSilent."""
        self._ask(f"/api/burst/{what}", {})

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )
        try:
            # The hub is in the house: no proxy that the environment names knows it.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=SECONDS) as answer:
                content = answer.read()
            return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            with error:
                raise self._silent(_reason(error.read()) or f"it says {error.code}") from None
        except (OSError, ValueError) as error:
            raise self._silent(str(getattr(error, "reason", error))) from None

    def _silent(self, why: str) -> HubSilent:
        return HubSilent(
            f"the hub does not tell how its cloud burst stands: {why}",
            where=self.address,
            remedy="Is it running, with burst.enabled? --hub names another address",
        )


def _reason(body: bytes) -> str:
    """What a problem of the API says in words."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    return ". ".join(str(told[key]) for key in ("what", "detail", "remedy") if told.get(key))
