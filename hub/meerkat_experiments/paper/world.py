"""The paper's world on a simulated clock: messages reach the broker, FLO nodes work, answers come back.

A link carries one message at a time (4 ms for 50 kB at 100 Mbit/s) and delays it by 4 ms more; a small
reply is only delayed. Every node has a link of its own, as in the authors' topology. A node works on
one message at a time, in the order in which they came, always 1/capacity long: section 3.2 assumes
that every message takes a node the same time. Nothing is lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .dispatchers import Answered, Dispatcher, MakeDispatcher, NodeSpec, Sent
from .parameters import Parameters

LEAST_SLEEP = 1e-6
"""Seconds; who asks to be woken at once would stop the clock."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image-of-interest message on its way."""

    id: str
    flow: str
    """Its workflow."""
    camera: str
    captured: float
    arrived: float
    """At the broker."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an image at the feature level."""

    image: Image
    node: str
    begun: float
    ended: float
    answered: float
    """When the broker knew."""


class _What(IntEnum):
    """In the order in which events of one instant are taken: what frees a node before what needs one."""

    END = 0
    ANSWER = 1
    REACH = 2
    ARRIVE = 3
    WAKE = 4


@dataclass(frozen=True, slots=True)
class _Work:
    """One message at one node: when it reached it, and when its work begins."""

    sent: Sent
    reached: float = 0.0
    begun: float = 0.0


@dataclass(slots=True)
class _Node:
    seconds: float
    link_free: float = 0.0
    free: float = 0.0


def simulate(
    images: Sequence[Image],
    capacities: Sequence[float],
    make: MakeDispatcher,
    parameters: Parameters,
    *,
    seconds: Sequence[float] | None = None,
) -> list[Done]:
    """Until every image is answered, in the order of the first answers.

    `seconds`: what each node really needs, 1/capacity unless given. Raises RuntimeError when the
    dispatcher leaves images unanswered, or sends one that it was never given.
    """
    specs = tuple(NodeSpec(f"flo-{number}", capacity) for number, capacity in enumerate(capacities, 1))
    world = _World(images, specs, make(specs), parameters, seconds or [1 / c for c in capacities])
    return world.run()


class _World:
    def __init__(
        self,
        images: Sequence[Image],
        specs: tuple[NodeSpec, ...],
        dispatcher: Dispatcher,
        parameters: Parameters,
        seconds: Sequence[float],
    ) -> None:
        self._images = {image.id: image for image in images}
        self._dispatcher = dispatcher
        self._parameters = parameters
        self._nodes = {spec.id: _Node(needs) for spec, needs in zip(specs, seconds, strict=True)}
        self._events: list[tuple[float, _What, int, Image | _Work | None]] = []
        self._number = 0
        self._arrived: set[str] = set()
        self._done: dict[str, Done] = {}
        self._wake_at: float | None = None
        for image in images:
            self._at(image.arrived, _What.ARRIVE, image)

    def run(self) -> list[Done]:
        events = self._events
        while events and len(self._done) < len(self._images):
            now = events[0][0]
            told = False
            while events and events[0][0] == now:
                _, what, _, about = heapq.heappop(events)
                told |= self._happen(what, about, now)
            if told:
                self._ask(now)
        if left := len(self._images) - len(self._done):
            raise RuntimeError(f"{self._dispatcher.name}: {left} images are never answered")
        return list(self._done.values())

    def _at(self, at: float, what: _What, about: Image | _Work | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, what, self._number, about))

    def _happen(self, what: _What, about: Image | _Work | None, now: float) -> bool:
        """Whether the dispatcher is to be asked."""
        match about:
            case Image() as image:
                self._arrived.add(image.id)
                self._dispatcher.arrive(image.id, image.flow, image.camera, now)
                return True
            case _Work() as work if what is _What.REACH:
                node = self._nodes[work.sent.node]
                begun = max(now, node.free)
                node.free = begun + node.seconds
                self._at(node.free, _What.END, _Work(work.sent, now, begun))
                return False
            case _Work() as work if what is _What.END:
                self._at(now + self._parameters.delay, _What.ANSWER, work)
                return False
            case _Work() as work:
                self._answer(work, now)
                return True
        return now == self._wake_at

    def _answer(self, work: _Work, now: float) -> None:
        sent, seconds = work.sent, self._nodes[work.sent.node].seconds
        done = Done(self._images[sent.message], sent.node, work.begun, work.begun + seconds, now)
        self._done.setdefault(sent.message, done)
        answer = Answered(sent.message, sent.node, sent.token, seconds, work.begun - work.reached)
        self._dispatcher.answered(answer, now)

    def _ask(self, now: float) -> None:
        sent, self._wake_at = self._dispatcher.send(now)
        for one in sent:
            if one.message not in self._arrived:
                raise RuntimeError(f"{self._dispatcher.name} sent {one.message}, which it was never given")
            node = self._nodes[one.node]
            node.link_free = max(now, node.link_free) + self._parameters.transmission
            self._at(node.link_free + self._parameters.delay, _What.REACH, _Work(one))
        if self._wake_at is not None:
            self._wake_at = max(self._wake_at, now + LEAST_SLEEP)
            self._at(self._wake_at, _What.WAKE, None)
