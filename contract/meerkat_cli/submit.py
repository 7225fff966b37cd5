"""`meerkat submit`: send a clip, and see what becomes of it.

The subscriptions stand before the clip is sent. It is sent again until the hub's receipt speaks of it.
"""

from __future__ import annotations

import json
import mimetypes
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from meerkat_contract.connection import find_connection
from meerkat_contract.errors import BadMessage, BrokerError, MeerkatError, MessageTooLarge, UsageError
from meerkat_contract.ids import is_name, new_id, slug
from meerkat_contract.messages import Event, EventState, Outcome, Receipt, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import CameraTopic, DeviceTopic, ThingTopic

from .clip_time import began
from .reach import connect
from .watch import outcome_in_words

CONNECT_SECONDS = 10.0
RETRY_SECONDS = 15.0
"""Without a receipt for so long the clip is sent again."""
PAUSE_SECONDS = 1.0
"""Between two attempts when the connection is lost while sending."""
EVENT_SECONDS = 5.0
"""How long an event that the outcome names may come after it."""


T = TypeVar("T")


class TooLate(MeerkatError):
    """The answer did not come within --timeout."""

    exit_status = 3


@click.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--camera", required=True, metavar="NAME", help="The camera it is from.")
@click.option("--device", metavar="NAME", help="The device it is from  [default: submit-HOSTNAME]")
@click.option(
    "--captured-at",
    metavar="TIME",
    help="When it begins, RFC 3339  [default: the file's time, less its length]",
)
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`.")
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
@click.option("--wait", is_flag=True, help="Wait until it has been looked at, and print the outcome.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Seconds in all.",
)
@click.pass_context
def submit(
    context: click.Context,
    *,
    clip: Path,
    camera: str,
    device: str | None,
    captured_at: str | None,
    data: Path | None,
    broker: str | None,
    wait: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Send a clip and see what is in it.

    Exit status: 0 done (without --wait: stored), 1 failed, refused or expired, 2 wrong usage,
    3 no answer in time.
    """
    content = _read(clip)
    source = device or _default_device()
    for option, name in (("--camera", camera), ("--device", source)):
        _check_name(option, name)
    now = datetime.now(UTC)
    start = _moment(captured_at) if captured_at else began(content, clip.stat().st_mtime, now)
    metadata = Metadata(
        id=new_id(),
        captured_at=start,
        trigger="submit",
        content_type=mimetypes.guess_type(clip.name)[0] or "video/mp4",
        recording=new_id(),
        last=True,
    )
    connection = find_connection("client", broker=broker, run=data)
    submission = Submission(source, camera, content, metadata, deadline=time.monotonic() + timeout)
    session = Session(connection, client_id=f"submit-{metadata.id}")
    submission.subscribe(session)
    try:
        with _progress() as say:
            connect(session, min(CONNECT_SECONDS, timeout))
            receipt = submission.send(session, say)
            outcome = submission.await_outcome(say) if wait else None
    finally:
        session.stop(timeout=1)
    if outcome is None:
        answer = {"id": metadata.id, "state": receipt.outcome}
        click.echo(json.dumps(answer) if as_json else f"clip {metadata.id} is {receipt.outcome}")
        return
    if as_json:
        click.echo(json.dumps(as_object(outcome, submission.events_of(outcome)), ensure_ascii=False))
    else:
        click.echo(outcome_in_words(outcome))
    if outcome.state != "done":
        context.exit(1)


class Submission:
    """One clip on its way, and what is heard of it. Heard on the network thread, awaited on the caller's."""

    def __init__(
        self, device: str, camera: str, content: bytes, metadata: Metadata, *, deadline: float
    ) -> None:
        """`deadline` in time.monotonic()'s seconds."""
        self.device = device
        self.camera = camera
        self.content = content
        self.metadata = metadata
        self.deadline = deadline
        self._heard = threading.Condition()
        self._receipt: Receipt | None = None
        self._outcome: Outcome | None = None
        self._events: dict[str, EventState] = {}

    def subscribe(self, session: Session) -> None:
        session.subscribe(DeviceTopic(self.device, "receipt"), self._note_receipt)
        session.subscribe(CameraTopic(self.device, self.camera, "outcome"), self._note_outcome)
        session.subscribe(CameraTopic(self.device, self.camera, "event"), self._note_event)

    def send(self, session: Session, say: Callable[[str], None]) -> Receipt:
        """Publish until the hub says that it has the clip. Raises MeerkatError if it does not want it."""
        topic = ThingTopic(self.device, self.camera, "clip")
        while self._receipt is None:
            self._connected(session)
            say(f"sending {len(self.content) / 1e6:.1f} MB to {session.connection.url}")
            delivery = session.publish(topic, self.content, qos=1, metadata=self.metadata)
            self._await_delivery(delivery)
            if isinstance(delivery.error, MessageTooLarge | BadMessage) or _refused(delivery, topic):
                assert delivery.error is not None
                raise delivery.error
            say("sent; waiting for the hub's receipt")
            self._await(lambda: self._receipt, PAUSE_SECONDS if delivery.error else RETRY_SECONDS)
            if self._receipt is None and self._left() <= 0:
                raise TooLate(
                    "the hub sent no receipt in time",
                    where=str(topic),
                    remedy="Is `meerkat up` or `meerkat hub` running on this broker? Or raise --timeout",
                )
        if self._receipt.outcome == "refused":
            reason = self._receipt.reason.removeprefix(f"{topic}: ")
            raise MeerkatError(f"the hub refused the clip: {reason}", where=str(topic))
        return self._receipt

    def await_outcome(self, say: Callable[[str], None]) -> Outcome:
        """Raises TooLate."""
        say("the hub has it; waiting until it has been looked at")
        outcome = self._await(lambda: self._outcome, self._left())
        if outcome is None:
            raise TooLate(
                f"the hub has clip {self.metadata.id}, but it was not looked at in time",
                where=str(CameraTopic(self.device, self.camera, "outcome")),
                remedy="Is a worker running? See the hub's page, or raise --timeout",
            )
        self._await(lambda: set(outcome.events) <= set(self._events), min(EVENT_SECONDS, self._left()))
        return outcome

    def events_of(self, outcome: Outcome) -> list[EventState]:
        """The latest state of each event that this clip is part of."""
        with self._heard:
            mine = [
                event
                for event in self._events.values()
                if event.id in outcome.events
                or event.recording == self.metadata.recording
                or self.metadata.id in event.clips
            ]
        return sorted(mine, key=lambda event: event.start_time)

    def _note_receipt(self, message: Incoming) -> None:
        receipt = read(Receipt, message.payload, topic=message.topic)
        if receipt.id == self.metadata.id:
            with self._heard:
                self._receipt = self._receipt or receipt
                self._heard.notify_all()

    def _note_outcome(self, message: Incoming) -> None:
        outcome = read(Outcome, message.payload, topic=message.topic)
        if outcome.id == self.metadata.id:
            with self._heard:
                self._outcome = outcome
                self._heard.notify_all()

    def _note_event(self, message: Incoming) -> None:
        event = read(Event, message.payload, topic=message.topic).after
        with self._heard:
            known = self._events.get(event.id)
            if known is None or known.revision <= event.revision:
                self._events[event.id] = event
            self._heard.notify_all()

    def _connected(self, session: Session) -> None:
        """Raises TooLate when the broker stays away, BrokerError when it will never have us."""
        try:
            session.wait_connected(self._left())
        except BrokerError as error:
            if self._left() > 0:
                raise
            raise TooLate(error.what, where=error.where, remedy=error.remedy) from None

    def _left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def _await(self, condition: Callable[[], T], seconds: float) -> T:
        with self._heard:
            return self._heard.wait_for(condition, min(seconds, self._left()))

    def _await_delivery(self, delivery: Delivery) -> None:
        """Until the broker has it, or the hub already answers."""

        def settled(_: Delivery) -> None:
            with self._heard:
                self._heard.notify_all()

        delivery.add_done_callback(settled)
        self._await(lambda: delivery.done or self._receipt, self._left())


def as_object(outcome: Outcome, events: list[EventState]) -> dict[str, object]:
    """What --json prints."""
    whole = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "id": outcome.id,
        "state": outcome.state,
        "reason": outcome.reason,
        "detections": whole["detections"],
        "events": [event.model_dump(mode="json", by_alias=True, exclude_none=True) for event in events],
        "model": whole.get("model"),
    }


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what goes on and for how long; nothing where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _words: None
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("connecting", total=None)
        yield lambda words: progress.update(task, description=words)


def _refused(delivery: Delivery, topic: ThingTopic) -> bool:
    """Whether the broker itself said no: its refusals name the topic, a lost connection does not."""
    return delivery.error is not None and delivery.error.where == str(topic)


def _read(clip: Path) -> bytes:
    try:
        content = clip.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", where=str(clip), remedy="Name a video file"
        ) from None
    if not content:
        raise UsageError(
            "the file is empty", where=str(clip), remedy="Name a video file with something in it"
        )
    return content


def _default_device() -> str:
    try:
        return slug(f"submit-{socket.gethostname()}")
    except ValueError:
        return "submit"


def _check_name(option: str, name: str) -> None:
    if is_name(name):
        return
    try:
        remedy = f"Write {slug(name)}"
    except ValueError:
        remedy = "Use a-z, 0-9, '-' and '_'"
    raise UsageError(f"{name!r} cannot be a name", where=option, remedy=remedy)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"{text!r} is not a time with its zone",
            where="--captured-at",
            remedy="Write 2026-11-20T08:15:00Z",
        )
    return moment
