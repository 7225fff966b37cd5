"""Which nodes of a pool take a demand: SelectNodes, the choice inside the orchestrator's Algorithm 1.

From a pool, a set S whose capacities add up to the demand is chosen, so that

    cost(S) = A × (sum of capacities − demand) + B × the highest latency + C × sum of energy
              + D × unavailability + E × seconds of switching

is low (MELINDA, Information 2021, 12(1), 14, sections 3.2 and 3.3; the paper names SelectNodes, the
cost and the pivot rule are those of its authors' public code; E is ours). Five methods answer:

    first_fit   nodes as they are given, until the demand is met
    best_fit    the same, the largest capacity first
    worst_fit   the same, the smallest capacity first
    melinda     the pivot rule (see `_melinda`)
    exact       branch and bound; never dearer than any of the four (see `_exact`)

Equal capacities keep the order in which they are given; of equally cheap sets the first found wins.
The same arguments always give the same answer: the search is bounded by steps, not by time.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, NamedTuple, get_args

from meerkat_contract.errors import BadMessage, UsageError

Method = Literal["first_fit", "best_fit", "worst_fit", "melinda", "exact"]
METHODS: tuple[Method, ...] = get_args(Method)

Outage = Literal["all_down", "any_down"]
"""What D weighs: that every chosen node is down at once, ∏(1 − availability), as in the authors' code;
or that at least one is, so that capacity is missing, 1 − ∏ availability."""

BUDGET = 10_000
"""Steps of the exact search unless told otherwise."""

TOLERANCE = 1e-9
"""Relative. Capacities are measured and booked in fractions: 19.999999999 frames/s are 20."""


@dataclass(frozen=True, slots=True)
class Node:
    """What one node offers for one task."""

    id: str
    capacity: float
    """Frames per second, above 0."""
    latency_ms: float = 0.0
    """One message hop between this node and the hub, milliseconds."""
    energy: float = 0.0
    """What it draws while it works, watts."""
    availability: float = 1.0
    """The share of time in which it can be reached, 0 to 1."""
    switching: float = 0.0
    """Seconds in which it does nothing, because it has to load this task in place of another."""

    def __post_init__(self) -> None:
        if not (
            0 < self.capacity < math.inf
            and 0 <= self.latency_ms < math.inf
            and 0 <= self.energy < math.inf
            and 0 <= self.availability <= 1
            and 0 <= self.switching < math.inf
        ):
            raise BadMessage(
                f"its figures cannot be: {self}",
                where=f"node {self.id}",
                remedy="Capacity must be above 0, latency and energy at least 0, availability from 0 to 1",
            )


@dataclass(frozen=True, slots=True)
class Weights:
    """A to E of the cost: per frame/s wasted, ms, watt, unit of probability, second of switching.

    A probability is at most 1 where the other terms are tens: with the authors' 0.25 each, availability
    only decides between sets that are otherwise nearly equal. Raise D to buy reliability.
    """

    waste: float = 0.25
    latency: float = 0.25
    energy: float = 0.25
    unavailability: float = 0.25
    outage: Outage = "all_down"
    switching: float = 0.25

    def __post_init__(self) -> None:
        weights = (self.waste, self.latency, self.energy, self.unavailability, self.switching)
        if not all(0 <= weight < math.inf for weight in weights):
            raise UsageError(f"a weight cannot be: {self}", where="weights", remedy="Give numbers from 0 up")

    def weigh_outage(self, all_down: float, all_up: float) -> float:
        """The unavailability term, from the chance that all nodes are down and that all are up."""
        return self.unavailability * (all_down if self.outage == "all_down" else 1 - all_up)


@dataclass(frozen=True, slots=True)
class Cost:
    """The terms, weighted."""

    waste: float
    latency: float
    energy: float
    unavailability: float
    switching: float = 0.0

    @property
    def total(self) -> float:
        return self.waste + self.latency + self.energy + self.unavailability + self.switching


@dataclass(frozen=True, slots=True)
class Selection:
    """The nodes chosen, in the order in which the method took them."""

    method: Method
    nodes: tuple[Node, ...]
    demand: float
    cost: Cost
    reason: str
    optimal: bool = False
    """Proven: no set that meets the demand is cheaper. Only the exact method proves anything."""
    steps: int = 0
    """Of the exact search."""

    @property
    def capacity(self) -> float:
        """Frames per second of all chosen nodes."""
        return math.fsum(node.capacity for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """All nodes together do not meet the demand (frames per second)."""

    demand: float
    capacity: float
    count: int

    @property
    def reason(self) -> str:
        return (
            f"{self.demand:g} frames/s are asked for and {self.count} nodes have {self.capacity:g}: "
            f"{self.demand - self.capacity:g} are missing"
        )


def meets(capacity: float, demand: float) -> bool:
    return capacity >= demand - TOLERANCE * abs(demand)


def cost_of(nodes: Iterable[Node], demand: float, weights: Weights) -> Cost:
    """The cost of a set that meets the demand; the order of the nodes does not matter beyond rounding."""
    total = _Sum()
    for node in nodes:
        total = total.plus(node)
    return total.cost(demand, weights)


def select_nodes(
    method: Method,
    demand: float,
    nodes: Sequence[Node],
    weights: Weights | None = None,
    *,
    budget: int = BUDGET,
) -> Selection | Shortfall:
    """Nodes that together take `demand` frames per second, or by how much the pool falls short.

    `budget` bounds the exact method's steps; the others do not use it. Raises UsageError for a demand
    that is not above 0 or an unknown method, BadMessage when two nodes have the same id.
    """
    weights = weights or Weights()
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", where="method", remedy=f"One of {METHODS}")
    if not 0 < demand < math.inf:
        raise UsageError(f"a demand of {demand} frames/s", where="demand", remedy="Ask for more than 0")
    if len({node.id for node in nodes}) < len(nodes):
        raise BadMessage("two nodes of the pool have the same id", where="pool", remedy="Rename one")
    capacity = math.fsum(node.capacity for node in nodes)
    if not meets(capacity, demand):
        return Shortfall(demand, capacity, len(nodes))
    if method == "exact":
        return _exact(demand, nodes, weights, budget)
    return _heuristic(method, demand, nodes, weights)


def _heuristic(method: Method, demand: float, nodes: Sequence[Node], weights: Weights) -> Selection:
    if method == "melinda":
        return _melinda(demand, nodes, weights)
    if method == "first_fit":
        return _fit(method, "as they are given", demand, nodes, weights)
    largest_first = method == "best_fit"
    order = sorted(nodes, key=attrgetter("capacity"), reverse=largest_first)
    said = "largest capacity first" if largest_first else "smallest capacity first"
    return _fit(method, said, demand, order, weights)


def _fit(method: Method, said: str, demand: float, order: Sequence[Node], weights: Weights) -> Selection:
    """Nodes in this order until the demand is met. All of them together are known to meet it."""
    chosen: list[Node] = []
    capacity = 0.0
    for node in order:
        chosen.append(node)
        capacity += node.capacity
        if meets(capacity, demand):
            break
    return Selection(
        method,
        tuple(chosen),
        demand,
        cost_of(chosen, demand, weights),
        f"{len(chosen)} of {len(order)} nodes, {said}, give {capacity:g} of {demand:g} frames/s",
    )


def _melinda(demand: float, nodes: Sequence[Node], weights: Weights) -> Selection:
    """The cheapest of the sets that the pivot rule proposes, the first on ties."""
    order = sorted(nodes, key=attrgetter("capacity"), reverse=True)
    best: _Candidate | None = None
    count = 0
    for candidate in _candidates(demand, order):
        count += 1
        candidate.price = candidate.total.cost(demand, weights).total
        if best is None or candidate.price < best.price:
            best = candidate
    assert best is not None, "the first pivot alone proposes a set when all nodes meet the demand"
    chosen = tuple(order[i] for i in best.members)
    return Selection(
        "melinda",
        chosen,
        demand,
        cost_of(chosen, demand, weights),
        f"pivot {chosen[0].id}, {best.why}: the cheapest of {count} proposed",
    )


@dataclass(slots=True)
class _Candidate:
    members: list[int]
    total: _Sum
    why: str
    price: float = math.inf


def _candidates(demand: float, order: Sequence[Node]) -> Iterator[_Candidate]:
    """What the pivot rule proposes, from nodes by capacity, descending.

    A pivot that meets the demand is a set by itself. Otherwise S = {pivot}, and for each later node i:
    (1) if i or a later node has exactly the missing capacity, the first such completes S and the next
    pivot is taken; (2) else if i completes S, S with i is proposed, and i is not kept; (3) else i is kept.
    """
    ascending = [-node.capacity for node in order]
    for k, pivot in enumerate(order):
        kept, total = [k], _Sum().plus(pivot)
        if meets(total.capacity, demand):
            yield _Candidate(kept, total, "which meets the demand alone")
            continue
        for i in range(k + 1, len(order)):
            missing = demand - total.capacity
            exact = bisect_left(ascending, -(missing + TOLERANCE * demand), i)
            found = order[min(exact, len(order) - 1)]
            if exact < len(order) and abs(found.capacity - missing) <= TOLERANCE * demand:
                why = f"completed by {found.id} to the very demand"
                yield _Candidate([*kept, exact], total.plus(found), why)
                break
            larger = total.plus(order[i])
            if meets(larger.capacity, demand):
                yield _Candidate([*kept, i], larger, f"completed by {order[i].id}")
            else:
                kept, total = [*kept, i], larger


def _exact(demand: float, nodes: Sequence[Node], weights: Weights, budget: int) -> Selection:
    """The cheapest set of all, by branch and bound; or the best that was found in `budget` steps.

    It begins with the cheapest of the four heuristics, so it never costs more than any of them.
    """
    start = min(
        (_heuristic(method, demand, nodes, weights) for method in METHODS if method != "exact"),
        key=lambda selection: selection.cost.total,
    )
    search = _Search(demand, nodes, weights, start)
    done = search.run(budget)
    found = "no set is cheaper, proven" if done else "perhaps not the cheapest, the best found"
    reason = f"{found} in {search.steps} steps"
    if search.best is start.nodes:
        reason += f"; {start.method} found it"
    return Selection(
        "exact", search.best, demand, cost_of(search.best, demand, weights), reason, done, search.steps
    )


class _Search:
    """Depth first over the nodes by price per frame/s, each taken before it is left out.

    A × capacity + C × energy + E × switching is a price per node: what remains is to cover the demand at
    the lowest sum of prices, plus latency and unavailability. A branch is cut when even the cheapest
    fraction of nodes that covers what is missing, with the lowest latency and the best availability that
    are still open, costs no less than the best set so far. Of nodes that are alike in everything, a later
    one is never taken where an earlier one was left out: twenty equal sticks are one choice of a number,
    not 2²⁰.
    """

    def __init__(self, demand: float, nodes: Sequence[Node], weights: Weights, start: Selection) -> None:
        self.demand, self.weights = demand, weights
        self.best: tuple[Node, ...] = start.nodes
        self.best_cost = start.cost.total
        self.steps = 0
        # Likeness is in the key, so that equal nodes stand side by side; the sort is stable.
        self.order = sorted(nodes, key=lambda node: (self._price(node) / node.capacity, *_likeness(node)))
        n = len(self.order)
        self.capacities, self.prices = [0.0], [0.0]
        for node in self.order:
            self.capacities.append(self.capacities[-1] + node.capacity)
            self.prices.append(self.prices[-1] + self._price(node))
        self.lowest_price, self.lowest_latency = [math.inf] * (n + 1), [math.inf] * (n + 1)
        self.all_down, self.next_kind = [1.0] * (n + 1), [n] * (n + 1)
        for i in range(n - 1, -1, -1):
            node = self.order[i]
            self.lowest_price[i] = min(self.lowest_price[i + 1], self._price(node))
            self.lowest_latency[i] = min(self.lowest_latency[i + 1], node.latency_ms)
            self.all_down[i] = self.all_down[i + 1] * (1 - node.availability)
            if i + 1 < n:
                alike = _likeness(node) == _likeness(self.order[i + 1])
                self.next_kind[i] = self.next_kind[i + 1] if alike else i + 1

    def _price(self, node: Node) -> float:
        weights = self.weights
        return (
            weights.waste * node.capacity + weights.energy * node.energy + weights.switching * node.switching
        )

    def run(self, budget: int) -> bool:
        """Whether the search came to its end, so that the best set is proven to be the cheapest."""
        open_branches: list[tuple[int, _Sum, _Taken | None]] = [(0, _Sum(), None)]
        while open_branches:
            i, total, taken = open_branches.pop()
            if i >= len(self.order) or self._bound(i, total) >= self.best_cost:
                continue
            if self.steps >= budget:
                return False
            self.steps += 1
            open_branches.append((self.next_kind[i], total, taken))
            larger, with_it = total.plus(self.order[i]), _Taken(self.order[i], taken)
            if meets(larger.capacity, self.demand):
                self._offer(larger, with_it)
            open_branches.append((i + 1, larger, with_it))
        return True

    def _offer(self, total: _Sum, taken: _Taken | None) -> None:
        price = total.cost(self.demand, self.weights).total
        if price >= self.best_cost:
            return
        chosen: list[Node] = []
        while taken is not None:
            chosen.append(taken.node)
            taken = taken.before
        self.best, self.best_cost = tuple(reversed(chosen)), price

    def _bound(self, i: int, total: _Sum) -> float:
        """No set that is `total` and at least one of the nodes from i on costs less than this."""
        weights = self.weights
        missing = self.demand - total.capacity
        price = (
            weights.waste * (total.capacity - self.demand)
            + weights.energy * total.energy
            + weights.switching * total.switching
        )
        if meets(total.capacity, self.demand):
            price += self.lowest_price[i]
        elif meets(self.capacities[-1] - self.capacities[i], missing):
            price += self._cover(i, missing)
        else:
            return math.inf
        latency = max(total.latency, self.lowest_latency[i])
        unavailability = weights.weigh_outage(total.all_down * self.all_down[i], total.all_up)
        return price + weights.latency * latency + unavailability

    def _cover(self, i: int, missing: float) -> float:
        """The price of the cheapest fractions of nodes from i on that cover what is missing."""
        reach = self.capacities[i] + missing
        j = min(bisect_left(self.capacities, reach, i), len(self.order))
        part = (reach - self.capacities[j - 1]) / self.order[j - 1].capacity
        return self.prices[j - 1] - self.prices[i] + min(part, 1.0) * self._price(self.order[j - 1])


@dataclass(frozen=True, slots=True)
class _Taken:
    """The nodes of a branch, the last first: branches share what they have in common."""

    node: Node
    before: _Taken | None


class _Sum(NamedTuple):
    """A set of nodes, as far as its cost asks."""

    capacity: float = 0.0
    latency: float = 0.0
    energy: float = 0.0
    all_down: float = 1.0
    all_up: float = 1.0
    switching: float = 0.0

    def plus(self, node: Node) -> _Sum:
        return _Sum(
            self.capacity + node.capacity,
            max(self.latency, node.latency_ms),
            self.energy + node.energy,
            self.all_down * (1 - node.availability),
            self.all_up * node.availability,
            self.switching + node.switching,
        )

    def cost(self, demand: float, weights: Weights) -> Cost:
        return Cost(
            weights.waste * max(0.0, self.capacity - demand),
            weights.latency * self.latency,
            weights.energy * self.energy,
            weights.weigh_outage(self.all_down, self.all_up),
            weights.switching * self.switching,
        )


def _likeness(node: Node) -> tuple[float, ...]:
    return (node.capacity, node.latency_ms, node.energy, node.availability, node.switching)
