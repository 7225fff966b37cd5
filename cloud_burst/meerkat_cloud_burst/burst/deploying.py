"""Make or change the cloud of the settings, step by step; every step can be taken again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.settings import BurstSettings

from . import files, prices, wanted
from .bucket import Bucket
from .release import Release
from .stacks import Found, Stacks
from .wanted import ModelFiles

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployment:
    """All that `deploy` needs; nothing is asked of AWS before `look`."""

    clients: Clients
    settings: BurstSettings
    stacks: Stacks
    release: Release
    model: ModelFiles
    parameters: dict[str, str]

    def look(self) -> Found | None:
        """The stack as it is. Raises CloudError, also when it is just being worked on."""
        found = self.stacks.find()
        if found is not None and found.status.endswith("_IN_PROGRESS") and not found.dead:
            raise CloudError(
                f"somebody works on it just now ({found.status})",
                where=f"stack {self.settings.stack}",
                remedy="Wait until that is over, and type the same command again",
            )
        return found

    def apply(self, found: Found | None, say: Say) -> Found:
        """Create or change the stack and fill its bucket. Raises CloudError."""
        template = files.template().read_text(encoding="utf-8")
        if found is not None and found.dead:
            say(f"the stack is {found.status}: it is deleted and made anew")
            self.stacks.delete(found)
            found = None
        if found is None:
            self.stacks.create(template, self.parameters)
            made = self._found()
            self._fill(made, say)
        else:
            # Before the machines are told of it.
            self._fill(found, say)
            known = {
                key: found.parameters[key] for key in wanted.template_parameters() if key in found.parameters
            }
            if not self.stacks.update(template, {**known, **self.parameters}, found):
                say("the stack is as it should be")
            made = self._found()
        self._hold_maximum(made)
        return made

    def account(self) -> str:
        """Whose money it is: account and user. Raises CloudError."""
        with self.clients.asking("sts", "asking who this is", "AWS account") as client:
            who = client.get_caller_identity()
        return f"account {who['Account']} ({str(who['Arn']).rsplit(':', 1)[-1]})"

    def prices(self) -> list[str]:
        """What it costs, in sentences. Raises CloudError."""
        most = prices.most_for_a_machine(self.settings)
        money, count = self.settings.money, self.settings.max_instances
        lines = [
            f"While nothing is sent: the idle alarm, about ${prices.ALARM:.2f} a month "
            "(nothing while AWS's ten free alarms last), and a cent for what lies in the bucket.",
            f"A machine: at most ${money.instance_hour:g} an hour with its address and disk; {count} at once "
            f"at most; the hub's ledger holds ${money.per_day:.2f} a day and ${money.per_month:.2f} a month.",
        ]
        if self.parameters.get("Purchase") == "on-demand":
            return lines
        now = prices.spot_now(self.clients, wanted.instance_types())
        if now is None:
            return [*lines, "AWS names no spot price here: it may have none of these machines to rent."]
        words = (
            f"The cheapest spot machine now: {now.instance_type} in {now.zone}, ${now.dollars:.4f} an hour"
        )
        if now.dollars <= most:
            return [*lines, f"{words}; up to ${most:g} is paid."]
        enough = round(now.dollars * 1.3 + prices.ADDRESS + prices.DISK, 3)
        return [
            *lines,
            f"{words}, more than the ${most:g} that is paid: none will start. "
            f"Set burst.money.instance_hour to {enough:g} in meerkat.yaml; the ceilings stay.",
        ]

    def _fill(self, found: Found, say: Say) -> None:
        bucket = Bucket(self.clients, found.outputs["Bucket"])
        bucket.fill(self.release, self.model, say)
        before = found.parameters.get("Wheel", "").rpartition("/")[0]
        bucket.forget_releases({self.release.folder, before})

    def _found(self) -> Found:
        found = self.stacks.find()
        assert found is not None, "it was just made"
        return found

    def _hold_maximum(self, found: Found) -> None:
        """A group that balances its zones may launch one more than its maximum for a while."""
        group = found.outputs["Group"]
        with self.clients.asking(
            "autoscaling", "switching the balancing of zones off", f"group {group}"
        ) as client:
            client.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["AZRebalance"])
