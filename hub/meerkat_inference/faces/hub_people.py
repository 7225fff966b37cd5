"""The people of a hub, over its HTTP API."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import category
from urllib.parse import quote

import httpx

from meerkat_contract.connection import find_page
from meerkat_contract.errors import MeerkatError, UsageError
from meerkat_contract.messages import ModelInfo

from .process import Sampled

USUAL = "http://127.0.0.1:8480"
SECONDS = 20.0
LONGEST_NAME = 80
AT_A_TIME = 50
"""Samples that one request may hold."""


def find_hub(hub: str | None, data: Path | None) -> str:
    """The address of the hub: the option --hub, what `meerkat up` wrote down, or where it usually is."""
    address = (hub or find_page(data) or USUAL).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address!r} is no address", where="--hub", remedy=f"Write it as {USUAL}")
    return address


def check_name(name: str) -> None:
    """Whether the hub will take the name, before minutes of work. Raises UsageError."""
    allowed = all(sign.isalnum() or sign in " .'’_-" or category(sign)[0] == "M" for sign in name)
    if not (allowed and name[:1].isalnum() and len(name) <= LONGEST_NAME):
        raise UsageError(
            f"{name!r} cannot name a person",
            where="NAME",
            remedy="Use letters of any language, digits, blanks and . ' - _; begin with a letter, at most 80",
        )


class HubPeople:
    """Who is enrolled at a hub. Every method raises MeerkatError with the hub's own words."""

    def __init__(self, address: str) -> None:
        self.address = address
        # Forgetting is a DELETE without a body, and the hub takes changes as JSON alone.
        self._http = httpx.Client(timeout=SECONDS, headers={"Content-Type": "application/json"})

    def listed(self) -> list[dict[str, Any]]:
        """As GET /api/people answers."""
        answer: list[dict[str, Any]] = self._ask("GET", "/api/people")
        return answer

    def enrol(self, name: str, model: ModelInfo, samples: Sequence[Sampled]) -> dict[str, Any]:
        """As POST /api/people/{name}/samples answers; `warnings` and `already` count all samples from 0.

        More samples than one request may hold go in several: those before a refusal stay.
        """
        warnings: list[str] = []
        already: list[int] = []
        answer: dict[str, Any] = {}
        for start in range(0, len(samples), AT_A_TIME):
            body = {
                "model": model.model_dump(mode="json", by_alias=True),
                "samples": [
                    {
                        "embedding": b64encode(sample.embedding).decode(),
                        "quality": sample.quality,
                        "picture": b64encode(sample.picture).decode(),
                    }
                    for sample in samples[start : start + AT_A_TIME]
                ],
            }
            answer = self._ask("POST", f"/api/people/{quote(name, safe='')}/samples", body)
            warnings += [_counted_from(start, warning) for warning in answer["warnings"]]
            already += [start + int(at) for at in answer["already"]]
        return {**answer, "warnings": warnings, "already": already}

    def who(self, model: ModelInfo, sample: Sampled) -> dict[str, Any]:
        """As POST /api/recognise answers."""
        body = {
            "model": model.model_dump(mode="json", by_alias=True),
            "embedding": b64encode(sample.embedding).decode(),
            "quality": sample.quality,
        }
        answer: dict[str, Any] = self._ask("POST", "/api/recognise", body)
        return answer

    def forget(self, name: str) -> None:
        nobody = UsageError(
            f"nobody is enrolled as {name}", where=self.address, remedy="`meerkat faces list` shows who is"
        )
        self._ask("DELETE", f"/api/people/{quote(name, safe='')}", absent=nobody)

    def close(self) -> None:
        self._http.close()

    def _ask(
        self, method: str, path: str, body: object | None = None, *, absent: MeerkatError | None = None
    ) -> Any:
        """`absent` is raised for what the hub says that it does not have."""
        try:
            content = None if body is None else json.dumps(body)
            response = self._http.request(method, self.address + path, content=content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MeerkatError(
                f"the hub does not answer ({error or type(error).__name__})",
                where=self.address,
                remedy="Start `meerkat up`, or name the hub with --hub http://host:8480",
            ) from error
        try:
            answer = response.json() if response.content else None
        except ValueError:
            answer = None
        if response.is_success and (answer is not None or response.status_code == 204):
            return answer
        told = answer if isinstance(answer, dict) else {}
        if absent is not None and response.status_code == 404 and "what" in told:
            raise absent
        raise MeerkatError(
            str(told.get("what", f"the hub answers {response.status_code}, which is not a hub's word")),
            where=str(told.get("where", "") or self.address),
            remedy=str(told.get("remedy", "Is this the address of a Meerkat hub?")),
        )


def _counted_from(start: int, warning: str) -> str:
    """`samples.3 resembles …` of one request, numbered among all."""
    place, _, words = warning.partition(" ")
    number = place.removeprefix("samples.")
    return f"samples.{start + int(number)} {words}" if number.isdigit() else warning
