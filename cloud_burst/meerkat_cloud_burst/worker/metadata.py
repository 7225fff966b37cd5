"""What an instance of EC2 is told about itself: its id, when it was launched, and that it will be taken away.

    identity = Metadata().identity()        # None on a machine that is none of EC2's
    notice = Metadata().notice()            # None as long as nobody wants the machine back

The instance metadata service, version 2 (IMDSv2): a token is asked for first, and goes with each
question. $AWS_EC2_METADATA_SERVICE_ENDPOINT names another address, $AWS_EC2_METADATA_DISABLED=true says
that there is none. Source: Amazon EC2 User Guide, "Use the Instance Metadata Service" and "Spot Instance
interruption notices".
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

ADDRESS = "http://169.254.169.254"
TIMEOUT = 1.0
"""Seconds: the service is on the machine itself. Where there is none, its address swallows packets."""
TOKEN_SECONDS = 21_600
NOTICE_SECONDS = 5.0
"""How often it is asked for a notice, as AWS recommends."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this instance is. `launched`: when EC2 was asked for it; None where that is not told."""

    instance: str
    region: str = ""
    launched: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """EC2 takes the instance back: `action` is terminate, stop or hibernate, `at` that time."""

    action: str
    at: datetime


class Unanswered(Exception):
    """The service did not answer, or not what was expected. `status`: of HTTP; 0 where none came."""

    def __init__(self, what: str, status: int = 0) -> None:
        self.status = status
        super().__init__(what)


class Metadata:
    """Asks the service. Used by one thread at a time; construction does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, timeout: float = TIMEOUT) -> None:
        self._address = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").rstrip("/") or ADDRESS
        self.disabled = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        self._timeout = timeout
        self._token = ""
        # The address is the machine's own: no proxy that the environment names knows it.
        self._opener = build_opener(ProxyHandler({}))

    def identity(self) -> Identity | None:
        """None where nobody answers: this is not EC2."""
        if self.disabled:
            return None
        try:
            instance = self._get("meta-data/instance-id") or ""
            document = self._get("dynamic/instance-identity/document")
        except Unanswered as error:
            _logger.debug(
                "No metadata service at %s (%s): this machine is none of EC2's", self._address, error
            )
            return None
        told = _object(document)
        return Identity(instance, str(told.get("region", "")), _time(told.get("pendingTime")))

    def notice(self) -> Notice | None:
        """Raises Unanswered."""
        told = _object(self._get("meta-data/spot/instance-action"))
        if not told:
            return None
        return Notice(str(told.get("action", "terminate")), _time(told.get("time")) or datetime.now(UTC))

    def _get(self, path: str) -> str | None:
        """The text at that path, None where there is nothing. Raises Unanswered."""
        for attempt in (0, 1):
            if not self._token:
                header = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
                self._token = self._ask("PUT", "api/token", header)
            try:
                return self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
            except Unanswered as error:
                if error.status == 404:
                    return None
                if error.status != 401 or attempt:
                    raise
                self._token = ""  # its time is over
        raise AssertionError("the second attempt returns or raises")

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = Request(f"{self._address}/latest/{path}", method=method, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return str(answer.read(65_536).decode("utf-8", "replace"))
        except HTTPError as error:
            error.close()
            raise Unanswered(f"HTTP status {error.code}", error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            raise Unanswered(str(error) or type(error).__name__) from None


class NoticeWatch:
    """Asks for a notice every few seconds, on a thread of its own, and tells the first one."""

    def __init__(
        self, metadata: Metadata, tell: Callable[[Notice], None], *, seconds: float = NOTICE_SECONDS
    ) -> None:
        self._metadata = metadata
        self._tell = tell
        self._seconds = seconds
        self._over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="notice", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        said = False
        while not self._over.is_set():
            try:
                notice = self._metadata.notice()
            except Unanswered as error:
                if not said:
                    _logger.warning("Whether EC2 wants this instance back is not known: %s", error)
                said = True
            else:
                said = False
                if notice is not None:
                    self._tell(notice)
                    return
            self._over.wait(self._seconds)


def _object(text: str | None) -> dict[str, object]:
    """A JSON object; empty where there is none. Raises Unanswered for what is none."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unanswered("the answer is no JSON object")
    return found


def _time(text: object) -> datetime | None:
    """A time as AWS writes it: 2026-11-20T08:15:00Z."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
