"""What a worker says of a picture, held against what it was asked.

A worker may be of another version, or at fault: a counter that the layout does not have would become a
meter of its own, and a number that the meter cannot show would begin its history.
"""

from __future__ import annotations

from math import isclose

from meerkat_contract.messages import MeterSeen
from meerkat_contract.meter_layout import CounterLayout, MeterLayout
from meerkat_contract.meter_messages import CounterSeen, unread_counter


def asked_for(layout: MeterLayout, seen: MeterSeen, worker: str) -> tuple[MeterSeen, tuple[str, ...]]:
    """One answer for each of the layout's counters, and what is to be doubted about the worker's."""
    said: dict[str, CounterSeen] = {}
    doubts: list[str] = []
    for one in seen.counters:
        name = one.counter or ""
        if name not in layout.all_counters:
            doubts.append(f"worker {worker} read a counter {name!r} that the layout does not have")
        elif name in said:
            doubts.append(f"worker {worker} read counter {name!r} twice; the first counts")
        else:
            said[name] = one
    counters = []
    for name, counter in layout.all_counters.items():
        one, doubt = _checked(name, counter, said.get(name))
        counters.append(one)
        if doubt:
            doubts.append(f"worker {worker}: {doubt}")
    return seen.model_copy(update={"counters": tuple(counters)}), tuple(doubts)


def _checked(name: str, counter: CounterLayout, one: CounterSeen | None) -> tuple[CounterSeen, str]:
    """What counts of a worker's word on a counter, and why not all of it does."""
    if one is None:
        why = f"the worker said nothing of counter {name!r}; it may be of another version"
        return unread_counter(name, counter, why), why
    if not (isclose(one.step, counter.step) and isclose(one.span, counter.span)):
        why = (
            f"it was read as a counter of {one.span:g} in steps of {one.step:g}, and the layout has"
            f" {counter.span:g} in steps of {counter.step:g}; the worker may be of another version"
        )
        return unread_counter(name, counter, why), why
    possible = tuple(each for each in one.candidates if each.value < counter.span)
    if (one.value is None or one.value < counter.span) and possible == one.candidates:
        return one, ""
    why = f"it was read as {one.value}, and the meter begins again at {counter.span:g}"
    return unread_counter(name, counter, why), why
