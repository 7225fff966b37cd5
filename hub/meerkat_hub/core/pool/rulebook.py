"""One rule for each group of flows: it may remember whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from meerkat_hub.core.rules import Rule

from .crews import Crew
from .queues import Group


class Rulebook:
    def __init__(self, make: Callable[[], Rule]) -> None:
        self._make = make
        self._rules: dict[Group, Rule] = {}

    def of(self, group: Group) -> Rule:
        rule = self._rules.get(group)
        if rule is None:
            rule = self._rules[group] = self._make()
        return rule

    def keep(self, groups: Collection[Group]) -> None:
        """Forget those of other groups."""
        self._rules = {group: rule for group, rule in self._rules.items() if group in groups}

    def may_give(self, crews: Mapping[Group, Crew]) -> bool:
        """Whether any rule has to be asked about work for these: most frames come while nobody wants one."""
        for group, crew in crews.items():  # noqa: SIM110 - any() takes four times as long
            if crew.views.willing or not self.of(group).only_willing:
                return True
        return False
