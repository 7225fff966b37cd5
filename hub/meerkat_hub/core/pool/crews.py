"""Who may take the work of a group, kept ready: a pool of two hundred is not gone through at every step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from meerkat_hub.core.rules import Staff, WorkerView, staff_of

from .members import Member
from .openings import Openings
from .queues import Group
from .work import Item

LEFT = 4
"""Openings that are left as they were until somebody asks: most steps do not, and then a worker that changed
twice is looked at once. No more, so that no step has to make up for many."""


class Crew:
    """The workers that may take a group's work now, and what a rule sees of them, in one order."""

    def __init__(self, members: list[Member], task: str, size: Callable[[str], float]) -> None:
        self.members = members
        self._task = task
        self._size = size
        self._place = {member.id: number for number, member in enumerate(members)}
        self._views = staff_of(member.view(task, size(task)) for member in members)
        self.knows_ahead = any(member.ahead for member in members)
        """Whether somebody does jobs that are marked `ahead` before those it has not begun."""
        self._openings = Openings(zip(members, self._views, strict=True)) if self.knows_ahead else None
        self._stale: set[int] = set()
        """Whose view is to be made anew when somebody looks."""
        self._moved: set[int] = set()
        """Whose opening is."""
        self._idle = {number for number, member in enumerate(members) if not member.leases}

    def touched(self, member: Member) -> None:
        """What it holds, or is known of it, has changed."""
        place = self._place.get(member.id)
        if place is not None:
            self._stale.add(place)
            if member.leases:
                self._idle.discard(place)
            else:
                self._idle.add(place)

    @property
    def views(self) -> Staff:
        """Of the members, in their order. Only those are made anew that changed since."""
        if self._stale:
            size = self._size(self._task)
            for place in self._stale:
                self._views.replace(place, self.members[place].view(self._task, size))
            if self._openings is not None:
                self._moved |= self._stale
                while len(self._moved) > LEFT:
                    self._put_opening(self._openings, self._moved.pop())
            self._stale.clear()
        return self._views

    @property
    def openings(self) -> Openings | None:
        """Where a job that goes ahead could begin; None where nobody knows of such jobs."""
        if self._openings is not None and self.views:
            while self._moved:
                self._put_opening(self._openings, self._moved.pop())
        return self._openings

    def _put_opening(self, openings: Openings, place: int) -> None:
        openings.replace(place, self.members[place], self._views[place])

    def has_room(self) -> bool:
        for member in self.members:  # noqa: SIM110 - any() takes twice as long to find the first
            if len(member.leases) < member.window:
                return True
        return False

    def has_idle(self) -> bool:
        return bool(self._idle)

    def has_busy(self) -> bool:
        return len(self._idle) < len(self.members)

    def has_others(self, than: Collection[str]) -> bool:
        return any(member.id not in than for member in self.members)

    def overdue_at(self) -> float | None:
        """When the first answer is overdue; None when nobody holds anything."""
        return self.views.overdue_at()

    def views_without(self, avoid: Collection[str]) -> Sequence[WorkerView]:
        """Of those not to be avoided; of all when nobody else is able."""
        if not avoid:
            return self.views
        return [view for view in self.views if view.id not in avoid] or self.views


class Crews:
    """Crews by group. Say `changed()` when somebody comes, goes, pauses or does other tasks."""

    def __init__(self, members: dict[str, Member], size: Callable[[str], float]) -> None:
        """`size` tells how many bytes a job of a task usually has."""
        self._members = members
        self._size = size
        self._crews: dict[Group, Crew] = {}
        self._near: dict[Group, list[Group]] = {}
        self._know_ahead: bool | None = None
        self._idle: set[str] | None = None
        """Who holds nothing; not known before somebody asks."""

    def changed(self) -> None:
        """Somebody may do other work than before."""
        self._crews.clear()
        self._near.clear()
        self._know_ahead = None
        self._idle = None

    def know_ahead(self) -> bool:
        """Whether anybody does jobs that are marked `ahead` before those it has not begun."""
        if self._know_ahead is None:
            self._know_ahead = any(member.ahead for member in self._members.values())
        return self._know_ahead

    def touched(self, member: Member) -> None:
        """What it holds, or is known of it, has changed."""
        for crew in self._crews.values():
            crew.touched(member)
        if self._idle is not None:
            if member.leases:
                self._idle.discard(member.id)
            else:
                self._idle.add(member.id)

    def somebody_idles(self) -> bool:
        """Whether anybody holds nothing, though it may be paused."""
        if self._idle is None:
            self._idle = {member.id for member in self._members.values() if not member.leases}
        return bool(self._idle)

    def of(self, group: Group) -> Crew:
        crew = self._crews.get(group)
        if crew is None:
            crew = self._crews[group] = Crew(list(self._able(group)), group.task, self._size)
        return crew

    def neighbours(self, group: Group, groups: Iterable[Group]) -> list[Group]:
        """The other groups whose work its workers may take too."""
        near = self._near.get(group)
        if near is None:
            mine = {member.id for member in self.of(group).members}
            near = self._near[group] = [
                other
                for other in groups
                if other is not group and any(member.id in mine for member in self.of(other).members)
            ]
        return near

    def _able(self, group: Group) -> Iterable[Member]:
        return (
            member
            for member in self._members.values()
            if not member.paused_until
            and member.does(group.task)
            and (group.nodes is None or member.id in group.nodes)
        )


def by_avoid(head: list[Item]) -> dict[frozenset[str], list[Item]]:
    """The items by whom they are to avoid, in their order: the plain ones do not wait for the others."""
    if not [None for item in head if item.avoid]:
        return {frozenset(): head}
    runs: dict[frozenset[str], list[Item]] = {}
    for item in head:
        runs.setdefault(item.avoid, []).append(item)
    return runs
