"""Items that came back unbegun more than once: for a while they go to nobody, for others can be done."""

from __future__ import annotations

from collections.abc import Iterator

from .work import Item


class Aside:
    def __init__(self) -> None:
        self._items: dict[str, tuple[float, Item]] = {}
        """By id, with the time until when."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def put(self, item: Item, until: float) -> None:
        self._items[item.id] = (until, item)

    def pop(self, item_id: str) -> Item | None:
        """It is here no longer; None where it was not."""
        _, item = self._items.pop(item_id, (0.0, None))
        return item

    def count(self, flow_id: str) -> int:
        """Items of one flow."""
        return sum(item.flow == flow_id for _, item in self._items.values())

    def close(self, flow_id: str) -> list[Item]:
        """The flow ends: take out what is here of it."""
        gone = [item for _, item in self._items.values() if item.flow == flow_id]
        for item in gone:
            del self._items[item.id]
        return gone

    def over(self, now: float) -> tuple[list[Item], list[Item]]:
        """Take out those that may be sent again, and of the others those whose deadline has come."""
        back = [item for until, item in self._items.values() if now >= until]
        late = [item for until, item in self._items.values() if now < until and now >= item.deadline]
        for item in (*back, *late):
            del self._items[item.id]
        return back, late

    def wake_at(self) -> float | None:
        """When `over` has something to take out."""
        return min([min(until, item.deadline) for until, item in self._items.values()], default=None)
