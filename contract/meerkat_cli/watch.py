"""`meerkat watch`: what happens on the bus, in words for people or as JSON lines for programs."""

from __future__ import annotations

import json
import queue
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from meerkat_contract import messages, topics
from meerkat_contract.connection import find_connection
from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import format_time, new_id
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import (
    ANY,
    CameraTopic,
    DeviceTopic,
    HubTopic,
    MeterTopic,
    SettingTopic,
    ThingTopic,
    WorkerTopic,
    WorkflowTopic,
)

from .reach import connect
from .watch_burst import BurstTold, burst_in_words
from .watch_devices import Sensors, device_in_words
from .watch_meters import meter_in_words

CONNECT_SECONDS = 10

# What people want to read about. Pictures and clips are not fetched for it.
FILTERS = (
    HubTopic("availability"),
    HubTopic("state"),  # of its cloud burst
    DeviceTopic(ANY, "info"),  # before its sensors: it says of which kind they are
    DeviceTopic(ANY, "availability"),
    DeviceTopic(ANY, "error"),
    ThingTopic(ANY, ANY, "motion"),
    ThingTopic(ANY, ANY, "state"),
    ThingTopic(ANY, ANY, "press"),
    ThingTopic(ANY, ANY, "condition"),
    SettingTopic(ANY, ANY, ANY, "state"),
    CameraTopic(ANY, ANY, "event"),
    CameraTopic(ANY, ANY, "outcome"),
    MeterTopic(ANY, ANY, "reading"),
    MeterTopic(ANY, ANY, "verdict"),
    WorkerTopic(ANY, "state"),
    WorkflowTopic(ANY, "state"),
)

_BACKLOG = 10_000
"""Messages that may wait for a slow terminal before the newest are left out."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.option("--topic", metavar="FILTER", help="Only these topics, such as 'meerkat/camera/#'.")
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`.")
def watch(*, as_json: bool, topic: str | None, broker: str | None, data: Path | None) -> None:
    """Follow events as they happen, until Ctrl-C."""
    session = Session(find_connection("client", broker=broker, run=data), client_id=f"watch-{new_id()}")
    waiting: queue.Queue[Incoming] = queue.Queue(_BACKLOG)
    missed = 0
    told = Told(all_of_hub=topic is not None)

    def note(message: Incoming) -> None:
        nonlocal missed
        try:
            waiting.put_nowait(message)
        except queue.Full:
            missed += 1

    everything = [f"{topics.ROOT}/#"] if as_json else FILTERS
    for one in [topic] if topic else everything:
        session.subscribe(one, note)
    try:
        connect(session, CONNECT_SECONDS)
        session.wait_subscribed(CONNECT_SECONDS)
        while True:
            message = waiting.get()
            if as_json:
                click.echo(json_line(message))
            elif told.is_news(message, words := in_words(message, told.sensors)):
                click.echo(f"{datetime.now().astimezone():%H:%M:%S} {words}")
            if missed:
                click.echo(f"{missed} messages came faster than they could be shown", err=True)
                missed = 0
    finally:
        session.stop(timeout=1)


def json_line(message: Incoming) -> str:
    """{topic, payload, properties, …}; of media the size and the content type instead of the payload."""
    line: dict[str, Any] = {
        "topic": message.topic,
        "received": format_time(datetime.now(UTC)),
        "retain": message.retain,
        "properties": dict(message.properties),
    }
    text = _text(message)
    if text is None:
        line |= {"size": len(message.payload), "content_type": message.content_type}
    else:
        try:
            line["payload"] = json.loads(text)
        except ValueError:
            line["payload"] = text
    return json.dumps(line, ensure_ascii=False)


AGAIN = (f"{topics.ROOT}/worker/", f"{topics.ROOT}/workflow/")
"""Whose states come again with every figure in them."""


HUB_STATE = str(HubTopic("state"))


class Told:
    """Knows what was said of each worker, workflow, device and the cloud; and of which kind sensors are."""

    def __init__(self, *, all_of_hub: bool = False) -> None:
        """`all_of_hub`: its state is wanted where it has no cloud burst, too."""
        self._all_of_hub = all_of_hub
        self._last: dict[str, str] = {}
        self.sensors: Sensors = {}
        self._burst = BurstTold()

    def is_news(self, message: Incoming, words: str) -> bool:
        """Whether `words` say of the message more than the line before on its topic did."""
        if message.topic == HUB_STATE:
            try:
                burst = _hub(message).burst
                return self._all_of_hub if burst is None else self._burst.is_news(burst)
            except BadMessage:
                return True
        info = message.topic.startswith(f"{topics.ROOT}/device/") and message.topic.endswith("/info")
        if not info and not message.topic.startswith(AGAIN):
            return words != ""
        before, self._last[message.topic] = self._last.get(message.topic), words
        return words not in ("", before)


def in_words(message: Incoming, sensors: Sensors | None = None) -> str:
    """One line for people; empty where a line before has said it.

    `sensors` is learnt from what devices say of themselves.
    """
    try:
        return _words(message, {} if sensors is None else sensors)
    except BadMessage as error:
        return f"cannot be understood: {error}"


def _words(message: Incoming, sensors: Sensors) -> str:
    text = _text(message)
    if text is None:
        kind = message.content_type or "bytes"
        return f"{message.topic}: {len(message.payload):,} bytes of {kind}"
    match topics.parse(message.topic) if message.topic.startswith(f"{topics.ROOT}/") else None:
        case HubTopic("availability"):
            return f"the hub is {text}"
        case HubTopic("state"):
            burst = _hub(message).burst
            return f"cloud: {burst_in_words(burst)}" if burst is not None else f"{message.topic}: {text}"
        case (DeviceTopic() | ThingTopic() | SettingTopic()) as topic:
            return device_in_words(topic, message, text, sensors)
        case CameraTopic(device, camera, "event"):
            event = messages.read(messages.Event, message.payload, topic=message.topic)
            words = _event(event)
            return f"{device}/{camera}: {words}" if words else ""
        case CameraTopic(device, camera, "outcome"):
            outcome = messages.read(messages.Outcome, message.payload, topic=message.topic)
            return f"{device}/{camera}: {outcome_in_words(outcome)}"
        case MeterTopic() as meter:
            return meter_in_words(meter, message, text)
        case WorkerTopic(worker, "state"):
            state = messages.read(messages.WorkerState, message.payload, topic=message.topic)
            return f"worker {worker} {_worker(state)}"
        case WorkflowTopic(workflow, "state"):
            return f"workflow {workflow} {_workflow(message)}"
    return f"{message.topic}: {text}"


def outcome_in_words(outcome: messages.Outcome) -> str:
    """`clip 0197… is done: 2 × person, car`, or why it is not."""
    if outcome.state != "done":
        return f"clip {outcome.id} {outcome.state}: {outcome.reason or 'no reason given'}"
    seen = Counter(detection.label for detection in outcome.detections)
    listed = (
        ", ".join(f"{n} × {label}" if n > 1 else label for label, n in seen.most_common()) or "nothing seen"
    )
    fallback = " (by the built-in fallback)" if outcome.model and outcome.model.fallback else ""
    return f"clip {outcome.id} is done: {listed}{fallback}"


def _hub(message: Incoming) -> messages.HubState:
    return messages.read(messages.HubState, message.payload, topic=message.topic)


def _event(event: messages.Event) -> str:
    now = event.after
    if now.workflow is not None:  # decided upon one frame: it ends as it begins
        said = f"{'ALERT, ' if now.alert else ''}{now.workflow}: {now.reason}"
        return said if event.type == "new" else ""
    who = f"{now.identity} ({now.label})" if now.identity else now.label
    if event.type == "end":
        seconds = (now.end_time - now.start_time).total_seconds()
        return f"{who} is gone after {seconds:.0f} s"
    return f"{who} {'seen' if event.type == 'new' else 'still there'}, score {now.score:.0%}"


def _worker(state: messages.WorkerState) -> str:
    if not state.online:
        return "is offline"
    tasks = ", ".join(f"{t.task} with {t.model.name} at {t.frames_per_second:.1f}/s" for t in state.tasks)
    return f"is online: {tasks or 'no task yet'}"


def _workflow(message: Incoming) -> str:
    if not message.payload:
        return "is withdrawn"
    state = messages.read(messages.WorkflowState, message.payload, topic=message.topic)
    if state.state == "refused":
        return "does not run: " + state.reason.removeprefix(f"workflow {state.workflow} is refused: ")
    nodes = dict.fromkeys(f"{operator.task} on {operator.node}" for operator in state.nodes)
    verb = "runs" if state.state == "running" else "starts"
    return f"{verb}: {', '.join(nodes)}" if nodes else verb


def _text(message: Incoming) -> str | None:
    """The payload if it is text, None for media."""
    if message.content_type.startswith(("image/", "video/", "audio/")):
        return None
    try:
        return message.payload.decode()
    except UnicodeDecodeError:
        return None
