"""What a machine costs: what is assumed, and what AWS asks now.

Figures are those of AWS's price lists for us-east-1 in 2026; other regions differ by up to a third. The spot
price moves, so that only its upper limit is certain: the group never pays more than MaxPrice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import UsageError

ADDRESS = 0.005
"""US dollars an hour for a machine's public IPv4 address."""

DISK = 0.0015
"""US dollars an hour for 8 GiB of gp3, with room for dearer regions."""

ON_DEMAND = 0.085
"""US dollars an hour for a c6i.large without an agreement (us-east-1)."""

ALARM = 0.30
"""US dollars a month for the idle alarm's three metrics, after the ten that AWS gives away."""


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """The cheapest machine of those that the group may start, now."""

    instance_type: str
    zone: str
    dollars: float


def most_for_a_machine(settings: BurstSettings) -> float:
    """US dollars an hour that the machine alone may cost, so that with address and disk it is instance_hour.

    Raises UsageError when nothing is left.
    """
    rest = settings.money.instance_hour - ADDRESS - DISK
    if rest <= 0:
        raise UsageError(
            f"${settings.money.instance_hour:g} an hour does not even pay for the public address and the "
            f"disk (${ADDRESS + DISK:g})",
            where="burst.money.instance_hour",
            remedy="Set it to 0.035 or more",
        )
    return round(rest, 4)


def spot_now(clients: Clients, types: tuple[str, ...]) -> SpotPrice | None:
    """None where AWS names no price. Raises CloudError."""
    with clients.asking("ec2", "asking for the price of spot machines", "spot prices") as client:
        answer = client.describe_spot_price_history(
            InstanceTypes=list(types), ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
        )
    found = [
        SpotPrice(str(each["InstanceType"]), str(each["AvailabilityZone"]), float(each["SpotPrice"]))
        for each in answer["SpotPriceHistory"]
    ]
    return min(found, key=lambda price: price.dollars, default=None)


def check_on_demand(settings: BurstSettings) -> None:
    """Raises UsageError when the ledger would book less than a machine on demand costs."""
    least = ON_DEMAND + ADDRESS + DISK
    if settings.money.instance_hour < least:
        raise UsageError(
            f"a machine on demand costs about ${least:.3f} an hour, and the ledger would book "
            f"${settings.money.instance_hour:g}",
            where="burst.money.instance_hour",
            remedy=f"Set it to {least + 0.02:.2f} or more: in some regions it is dearer",
        )


def unbooked(settings: BurstSettings, stack: Mapping[str, str]) -> str:
    """What is wrong when the stack (its parameters) may pay more than the ledger books; empty: nothing."""
    try:
        if stack.get("Purchase") == "on-demand":
            check_on_demand(settings)
            return ""
        most = most_for_a_machine(settings)
    except UsageError as error:
        return str(error)
    paid = float(stack.get("MaxPrice") or 0)
    if paid <= most + 1e-9:
        return ""
    return (
        f"the stack pays up to ${paid:g} an hour for a machine, and the ledger books ${most:g}: "
        "`meerkat burst deploy` brings both together"
    )
