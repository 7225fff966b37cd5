"""The one place that makes boto3 clients, and the one way to use them: `with clients.asking(…) as client`.

Credentials come from boto3's own chain (environment, ~/.aws, the instance's role) and from nowhere else.
Clients may be used by several threads at once; making them may not (boto3's guide on multithreading), so
that is done under a lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.settings import BurstSettings

from .errors import explain

# It tells at each new session where the credentials are from, and a session is made anew after each refusal.
logging.getLogger("botocore.credentials").setLevel(logging.WARNING)

CONNECT = 5
"""Seconds."""

READ = 20
"""Seconds."""

TRIES = 3
"""Of each request, in boto3's standard mode."""

LONGEST_POLL = 20
"""Seconds; SQS answers a long poll after that at the latest."""

POLL_GRACE = 5
"""Seconds for which a long poll may be late. Then it is given up: who polls does so again anyway."""


class Clients:
    """Makes each client once. Nothing is asked of AWS before the first use."""

    def __init__(self, *, region: str = "", endpoint: str = "") -> None:
        """`region`: that of the AWS profile when empty. `endpoint`: of an emulator; empty is AWS itself."""
        self.endpoint = endpoint
        self._wanted_region = region
        self._lock = threading.Lock()
        self._session: Any = None
        self._made: dict[tuple[str, bool], Any] = {}

    @classmethod
    def of(cls, settings: BurstSettings) -> Clients:
        return cls(region=settings.region, endpoint=settings.endpoint)

    @property
    def region(self) -> str:
        """Raises CloudError when neither the settings nor the AWS profile name one."""
        with self._lock, _told("sts", "reading the AWS profile", self._wanted_region, self.endpoint):
            return self._region()

    @contextmanager
    def asking(self, service: str, doing: str, where: str, *, polling: bool = False) -> Iterator[Any]:
        """The client of a service; what goes wrong inside comes out as CloudError, in words.

        `doing` is said in the message («uploading a clip»), `where` names the thing (a bucket, a queue).
        `polling`: for requests that AWS answers late on purpose, and that are not repeated.
        """
        with _told(service, doing, self._wanted_region, self.endpoint, where):
            yield self._client(service, polling)

    def _client(self, service: str, polling: bool) -> Any:
        with self._lock:
            if (service, polling) not in self._made:
                self._made[service, polling] = self._make(service, self._region(), polling)
            return self._made[service, polling]

    def _make(self, service: str, region: str, polling: bool) -> Any:
        try:
            return self._session.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint or None,
                config=_config(polling=polling, emulated=bool(self.endpoint)),
            )
        except ValueError as error:  # so botocore calls an address that is none
            raise CloudError(
                f"{self.endpoint!r} is no address",
                where="burst.endpoint",
                remedy="Leave it empty for AWS itself, or give an emulator's, such as http://127.0.0.1:5000",
            ) from error

    def _region(self) -> str:
        if self._session is None:
            self._session = boto3.Session()
        region = self._wanted_region or self._session.region_name
        if not region:
            raise CloudError(
                "no AWS region is chosen",
                cause="region",
                where="burst.region",
                remedy="Set it to the region of your stack, for example eu-central-1, or give your AWS "
                "profile one: aws configure",
            )
        self._wanted_region = str(region)
        return self._wanted_region


def _config(*, polling: bool, emulated: bool) -> Any:
    return Config(
        connect_timeout=CONNECT,
        read_timeout=LONGEST_POLL + POLL_GRACE if polling else READ,
        retries={"mode": "standard", "total_max_attempts": 1 if polling else TRIES},
        user_agent_extra=f"meerkat/{_version()}",
        tcp_keepalive=True,
        # An emulator has no host name for each bucket.
        s3={"addressing_style": "path"} if emulated else None,
    )


def _version() -> str:
    try:
        return version("meerkat-home")
    except PackageNotFoundError:
        return "source"


@contextmanager
def _told(service: str, doing: str, region: str, endpoint: str, where: str = "") -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error, ResponseParserError) as error:
        # Not chained: what AWS says of a wrong signature holds the headers that were signed, tokens too.
        raise explain(
            error, service=service, doing=doing, where=where, region=region, endpoint=endpoint
        ) from None
