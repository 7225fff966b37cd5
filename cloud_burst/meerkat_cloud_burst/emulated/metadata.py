"""What EC2 tells an instance about itself, on a loopback port: the instance metadata service, version 2.

Emulated is what boto3 and `meerkat cloud-worker` ask: a token first (PUT), then with it the instance's
id, region, life cycle, credentials of its role, and the two-minute notice of a spot interruption.
Source: Amazon EC2 User Guide, "Use IMDSv2" and "Spot Instance interruption notices".
"""

from __future__ import annotations

import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

TOKEN = "X-aws-ec2-metadata-token"
LIFETIME = "X-aws-ec2-metadata-token-ttl-seconds"
ROLE = "emulated-worker"
CREDENTIALS = timedelta(hours=6)


class MetadataService:
    """Serves one instance; `endpoint` is what $AWS_EC2_METADATA_SERVICE_ENDPOINT is to be."""

    def __init__(self, instance: str, region: str, *, spot: bool = True) -> None:
        self.instance = instance
        self.region = region
        self.spot = spot
        self.launched = datetime.now(UTC)
        self._notice: datetime | None = None
        self._tokens: set[str] = set()
        service = self

        class Handler(_Handler):
            metadata = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name=f"metadata {instance}", daemon=True
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def interrupt(self, at: datetime) -> None:
        """From now on it is told that it will be taken away `at` that time."""
        self._notice = at

    # --- for the handler ------------------------------------------------------------------------

    def new_token(self) -> str:
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return token

    def knows(self, token: str | None) -> bool:
        return token in self._tokens

    def answer(self, path: str) -> str | None:
        """What stands at /latest/`path`; None is a 404, as where no notice was given."""
        plain = {
            "meta-data/instance-id": self.instance,
            "meta-data/instance-type": "c6i.large",
            "meta-data/instance-life-cycle": "spot" if self.spot else "on-demand",
            "meta-data/placement/region": self.region,
            "meta-data/placement/availability-zone": f"{self.region}a",
            "meta-data/iam/security-credentials": ROLE,
        }
        if path in plain:
            return plain[path]
        if path == f"meta-data/iam/security-credentials/{ROLE}":
            return json.dumps(_credentials())
        if path == "dynamic/instance-identity/document":
            launched = _time(self.launched)
            return json.dumps({"instanceId": self.instance, "region": self.region, "pendingTime": launched})
        if path == "meta-data/spot/instance-action" and self._notice is not None:
            return json.dumps({"action": "terminate", "time": _time(self._notice)})
        return None


class _Handler(BaseHTTPRequestHandler):
    metadata: MetadataService
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        if self.path != "/latest/api/token" or not self.headers.get(LIFETIME, "").isdecimal():
            self._say(400, "")
        else:
            self._say(200, self.metadata.new_token())

    def do_GET(self) -> None:
        if not self.metadata.knows(self.headers.get(TOKEN)):
            self._say(401, "")  # the older version without a token is switched off in our template too
            return
        found = self.metadata.answer(self.path.removeprefix("/latest/").rstrip("/"))
        self._say(404 if found is None else 200, found or "")

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: an instance asks every few seconds."""


def _credentials() -> dict[str, str]:
    """Words that any emulator takes and AWS itself refuses."""
    now = datetime.now(UTC)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "EMULATEDWORKER",
        "SecretAccessKey": "emulated",
        "Token": "emulated",
        "LastUpdated": _time(now),
        "Expiration": _time(now + CREDENTIALS),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
