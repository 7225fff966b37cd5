"""Whatever nodes and wishes do, the orchestrator's invariants hold."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub_support.orchestra import CLIPS, FACES, WHO, Orchestra, a_spec, a_worker

_TASKS = st.fixed_dictionaries(
    {}, optional={task: st.sampled_from([2.0, 5.0, 10.0, 40.0]) for task in (CLIPS, FACES, WHO)}
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.integers(0, 5), _TASKS, st.sampled_from([None, FACES, WHO, CLIPS])),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("slow"), st.integers(0, 5), st.sampled_from([0.3, 0.7, 1.5])),
        st.tuples(st.just("ask"), st.integers(0, 4), st.sampled_from([1.0, 4.0, 10.0, 30.0]), st.booleans()),
        st.tuples(st.just("withdraw"), st.integers(0, 4)),
        st.tuples(st.just("turn"), st.sampled_from([0.5, 10.0, 100.0])),
    ),
    max_size=25,
)


_AN_OLDER_ONE_WAITS: list[Any] = [
    ("see", 0, {FACES: 5.0}, None),
    ("see", 1, {WHO: 5.0}, None),
    ("ask", 0, 4.0, False),
    ("see", 0, {CLIPS: 2.0, WHO: 2.0, FACES: 2.0}, None),
    ("ask", 1, 1.0, False),
]
"""w0 is stopped, as its node has become slow, and w1 takes what is left."""


@settings(max_examples=200, deadline=None)
@example(_AN_OLDER_ONE_WAITS, None, False)
@given(_STEPS, st.sampled_from([0, 1, 2, None]), st.booleans())
def test_whatever_happens_the_invariants_hold(steps: list[Any], reserve: int | None, obedient: bool) -> None:
    """The invariants are checked after every plan (Orchestra.check)."""
    house = Orchestra(reserve=reserve)
    house.obedient = obedient
    for number, (what, *how) in enumerate(steps):
        match what:
            case "see":
                serving = how[2] if how[2] in how[1] else None
                house.see(a_worker(f"n{how[0]}", serving=serving, start=number + 1, **how[1]))
            case "leave" if f"n{how[0]}" in house.states:
                house.leave(f"n{how[0]}")
            case "slow" if f"n{how[0]}" in house.states:
                state = house.states[f"n{how[0]}"]
                speeds = {task.task: task.frames_per_second * how[1] for task in state.tasks}
                house.slow(f"n{how[0]}", 0.01, **speeds)
            case "ask":
                house.ask(f"w{how[0]}", a_spec(how[1]), wait=how[2])
            case "withdraw":
                house.withdraw(f"w{how[0]}")
            case "turn":
                house.turn(how[0])
    before = house.orchestrator.running().keys()
    places = {name: house.on(name) for name in before}
    house.see(a_worker("newcomer", detect_objects=100, detect_faces=100, recognise_faces=100))
    back = [house.age(name) for name in house.orchestrator.running().keys() - before]
    for name, nodes in places.items():
        if house.on(name) != nodes:
            assert min(back, default=house.age(name)) < house.age(name), (
                "who runs stays where it is when a node joins, but for an older one that was stopped"
            )
