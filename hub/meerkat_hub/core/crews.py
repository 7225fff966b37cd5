"""Who may take the work of a group, kept ready: a pool of two hundred is not gone through at every step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from .members import Member
from .queues import Group
from .rules import WorkerView


@dataclass(slots=True, eq=False)
class Crew:
    """The workers that may take a group's work now, and what a rule sees of them, in one order."""

    members: list[Member]
    views: list[WorkerView]
    place: dict[str, int] = field(default_factory=dict)

    def has_room(self) -> bool:
        return any(len(member.leases) < member.window for member in self.members)

    def has_idle(self) -> bool:
        return any(not member.leases for member in self.members)

    def has_busy(self) -> bool:
        return any(member.leases for member in self.members)

    def overdue_at(self) -> float | None:
        """When the first answer is overdue; None when nobody holds anything."""
        return min((v.first_end + v.round_trip / 2 for v in self.views if v.in_flight), default=None)

    def views_without(self, avoid: Collection[str]) -> list[WorkerView]:
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
        self._touched: dict[str, Member] = {}

    def changed(self) -> None:
        """Somebody may do other work than before."""
        self._crews.clear()
        self._touched.clear()

    def touched(self, member: Member) -> None:
        """What it holds, or is known of it, has changed."""
        self._touched[member.id] = member

    def of(self, group: Group) -> Crew:
        for member in self._touched.values():
            for known, crew in self._crews.items():
                if (place := crew.place.get(member.id)) is not None:
                    crew.views[place] = member.view(known.task, self._size(known.task))
        self._touched.clear()
        if group not in self._crews:
            members = list(self._able(group))
            views = [member.view(group.task, self._size(group.task)) for member in members]
            places = {member.id: number for number, member in enumerate(members)}
            self._crews[group] = Crew(members, views, places)
        return self._crews[group]

    def _able(self, group: Group) -> Iterable[Member]:
        return (
            member
            for member in self._members.values()
            if not member.paused_until
            and member.does(group.task)
            and (group.nodes is None or member.id in group.nodes)
        )
