"""A server that answers every request with one and the same error, word for word as AWS does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from meerkat_cloud_burst.aws.clients import Clients


@dataclass(frozen=True)
class Refusal:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    ahead: float = 0.0
    """Seconds by which this machine's clock is ahead of the server's."""


def s3(status: int, code: str, message: str, more: str = "", *, ahead: float = 0.0) -> Refusal:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        f"{more}<RequestId>4442587FB7D0A2F9</RequestId><HostId>x</HostId></Error>"
    )
    return Refusal(status, body, {"Content-Type": "application/xml"}, ahead)


def sqs(status: int, kind: str, message: str, *, query: str = "", ahead: float = 0.0) -> Refusal:
    """The JSON protocol; `query` is the code that the older one had."""
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    if query:
        headers["x-amzn-query-error"] = f"{query};Sender"
    return Refusal(status, f'{{"__type":"{kind}","message":"{message}"}}', headers, ahead)


def query(status: int, code: str, message: str) -> Refusal:
    """CloudFormation and Auto Scaling."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    )
    return Refusal(status, body, {"Content-Type": "text/xml"})


def ec2(status: int, code: str, message: str) -> Refusal:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"
    )
    return Refusal(status, body, {"Content-Type": "text/xml"})


class RefusingServer:
    """`refusal` may be changed at any time; `refusals` come before it, each once, and `asked` is what came.

    `clients` are shared by the tests, as each costs a second of work.
    """

    def __init__(self) -> None:
        self.refusal = Refusal(500, "")
        self.refusals: list[Refusal] = []
        self.asked: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                outer.asked.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                refusal = outer.refusals.pop(0) if outer.refusals else outer.refusal
                self.send_response_only(refusal.status)
                for name, value in refusal.headers.items():
                    self.send_header(name, value)
                date = datetime.now(UTC) - timedelta(seconds=refusal.ahead)
                self.send_header("Date", format_datetime(date, usegmt=True))
                body = refusal.body.encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.clients = Clients(region="eu-central-1", endpoint=f"http://127.0.0.1:{self._server.server_port}")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
