"""The simulated houses: what comes, what the house and the cloud need for it, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, field

from meerkat_cloud_burst.settings import BurstSettings, DrainSettings, MoneySettings, ThresholdSettings

DAY = 86_400.0
LATE = 300.0
"""The promise: a clip that is done later than this is late."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Clips of 5 s: some all day, and storms at random times."""

    per_hour: float = 12.0
    storms: int = 3
    storm_seconds: float = 600.0
    storm_per_minute: float = 8.0


@dataclass(frozen=True, slots=True)
class Site:
    """A house and its cloud. Seconds and bytes."""

    name: str
    pis: int = 1
    home_seconds: float = 35.0
    cloud_seconds: float = 20.0
    varies: float = 0.3
    """Standard deviation of the times above, over their mean."""
    boot: float = 90.0
    maximum: int = 4
    size: int = 1_500_000
    upload_rate: float = 1e6
    arrivals: Arrivals = field(default_factory=Arrivals)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `earlier` are the figures of the study in which the rule was chosen."""

    site: Site
    policy: str
    settings: BurstSettings | None
    """None: nothing leaves the house."""
    earlier: tuple[float, float, float, float]
    """p95 in seconds, late in per cent, launches a day, dollars a day."""


SEED = Site("Pi 35 s, EC2 270 s", cloud_seconds=270.0, maximum=18)
FAST = Site("Pi 35 s, EC2 20 s, max 4")
THREE = Site("3 Pis, EC2 20 s, max 4", pis=3)


def _settings(site: Site, policy: DrainSettings | ThresholdSettings, per_day: float = 0.50) -> BurstSettings:
    return BurstSettings(
        enabled=True,
        policy=policy,
        max_instances=site.maximum,
        boot=site.boot,
        clip_seconds=site.cloud_seconds,
        money=MoneySettings(per_day=per_day, per_month=31 * per_day),
    )


def rows() -> tuple[Row, ...]:
    old = ThresholdSettings()
    return (
        Row(SEED, "never", None, (2381, 46.4, 0, 0)),
        Row(SEED, "7 / 18", _settings(SEED, old, per_day=5.0), (726, 33.4, 52, 0.558)),
        Row(FAST, "7 / 18", _settings(FAST, old), (450, 10.0, 16, 0.084)),
        Row(FAST, "drain, D = 300", _settings(FAST, DrainSettings(deadline=300)), (323, 8.9, 5.9, 0.048)),
        Row(FAST, "drain, D = 120", _settings(FAST, DrainSettings(deadline=120)), (156, 0.0, 8.8, 0.058)),
        Row(THREE, "never", None, (417, 14.9, 0, 0)),
        Row(THREE, "7 / 18", _settings(THREE, old), (143, 0.7, 20, 0.055)),
        Row(THREE, "drain, D = 120", _settings(THREE, DrainSettings(deadline=120)), (145, 0.0, 7.3, 0.029)),
    )
