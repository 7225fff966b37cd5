"""The paper's world on a simulated clock: messages reach the broker, FLO nodes work, answers come back.

A link carries one message at a time (4 ms for 50 kB at 100 Mbit/s) and delays it by 4 ms more; a small
reply is only delayed. Every node has a link of its own, as in the authors' topology. A node works on
one message at a time, in the order in which they came, always 1/capacity long: section 3.2 assumes
that every message takes a node the same time. Nothing is lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from .dispatchers import Dispatcher, MakeDispatcher, NodeSpec
from .parameters import Parameters


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


@dataclass(slots=True)
class _Node:
    seconds: float
    link_free: float = 0.0
    free: float = 0.0
    reached: dict[str, float] = field(default_factory=dict)


def simulate(
    images: Sequence[Image],
    capacities: Sequence[float],
    make: MakeDispatcher,
    parameters: Parameters,
    *,
    seconds: Sequence[float] | None = None,
) -> list[Done]:
    """Until every image is answered, in the order of the answers.

    `seconds`: what each node really needs, 1/capacity unless given. Raises RuntimeError when the
    dispatcher leaves images unanswered, sends one twice, or one that it was never given.
    """
    specs = tuple(
        NodeSpec(f"flo-{number}", capacity, parameters.round_trip)
        for number, capacity in enumerate(capacities, 1)
    )
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
        self._to_send = {image.id for image in images}
        self._dispatcher = dispatcher
        self._parameters = parameters
        self._nodes = {spec.id: _Node(needs) for spec, needs in zip(specs, seconds, strict=True)}
        self._events: list[tuple[float, _What, int, str, str]] = []
        self._number = 0
        self._done: list[Done] = []
        self._begun: dict[str, float] = {}
        for image in images:
            self._at(image.arrived, _What.ARRIVE, image.id)

    def run(self) -> list[Done]:
        events = self._events
        while events:
            now = events[0][0]
            told = False
            while events and events[0][0] == now:
                _, what, _, image, node = heapq.heappop(events)
                told |= self._happen(what, image, node, now)
            for image, node in self._dispatcher.send(now) if told else ():
                self._send(image, node, now)
        if len(self._done) < len(self._images):
            left = len(self._images) - len(self._done)
            raise RuntimeError(f"{self._dispatcher.name}: {left} images are never answered")
        return self._done

    def _at(self, at: float, what: _What, image: str, node: str = "") -> None:
        self._number += 1
        heapq.heappush(self._events, (at, what, self._number, image, node))

    def _happen(self, what: _What, image_id: str, node_id: str, now: float) -> bool:
        """Whether the broker learns of it."""
        image = self._images[image_id]
        if what is _What.ARRIVE:
            self._dispatcher.arrive(image.id, image.flow, image.camera, now)
            return True
        node = self._nodes[node_id]
        if what is _What.REACH:
            node.reached[image_id] = now
            self._begun[image_id] = max(now, node.free)
            node.free = self._begun[image_id] + node.seconds
            self._at(node.free, _What.END, image_id, node_id)
            return False
        if what is _What.END:
            self._at(now + self._parameters.delay, _What.ANSWER, image_id, node_id)
            return False
        begun = self._begun[image_id]
        ended = begun + node.seconds
        self._done.append(Done(image, node_id, begun, ended, now))
        self._dispatcher.answered(image_id, node_id, node.seconds, begun - node.reached[image_id], now)
        return True

    def _send(self, image: str, node_id: str, now: float) -> None:
        if image not in self._to_send:
            raise RuntimeError(f"{self._dispatcher.name} sent {image} twice, or it is none of ours")
        self._to_send.remove(image)
        node = self._nodes[node_id]
        node.link_free = max(now, node.link_free) + self._parameters.transmission
        self._at(node.link_free + self._parameters.delay, _What.REACH, image, node_id)
