"""Random houses and clouds, everything failing at once: money, clips and privacy must hold."""

from __future__ import annotations

from random import Random

import pytest

from burst_support.house import Faults, Site
from meerkat_cloud_burst.policy.ledger import CLOCK_ERROR
from meerkat_cloud_burst.settings import BurstSettings, DrainSettings, MoneySettings, ThresholdSettings

MIDNIGHTS = (1_790_035_200.0, 1_790_812_800.0)
"""A midnight of UTC in the middle of a month, and the one at the month's end."""

WORLDS = 1_000
BLOCKS = 10


def random_site(seed: int) -> Site:
    random = Random(seed)
    price = random.uniform(0.5, 5.0)
    policy = random.choice(
        (DrainSettings(deadline=60, gain=10), DrainSettings(), ThresholdSettings(threshold=3))
    )
    settings = BurstSettings(
        enabled=True,
        policy=policy,
        max_instances=random.randint(1, 4),
        tick=random.choice((15, 20, 45)),
        boot=random.uniform(10, 90),
        clip_seconds=random.uniform(10, 60),
        idle_grace=random.uniform(50, 60),
        timeout=random.uniform(160, 300),
        money=MoneySettings(
            instance_hour=price,
            per_day=price * random.uniform(0.25, 1.5),
            per_month=price * random.uniform(0.5, 2.0),
        ),
    )

    def some(rate: float) -> float:
        return rate * random.choice((0, 1, 3))

    faults = Faults(
        crash=some(1 / 4000),
        outage=some(1 / 4000),
        leap=some(1 / 2000),
        price=some(1 / 2000),
        interruption=some(1 / 2000),
        refusal=random.choice((0, 0.2)),
    )
    begin = random.choice(MIDNIGHTS) - random.choice((random.uniform(0, 2400), 40_000))
    homes = random.choice((0, 1, 1))
    spared = 0.0 if faults.leap else CLOCK_ERROR
    return Site(settings, faults, random, begin, homes, random.uniform(15, 60), spared)


def live(site: Site) -> None:
    """Storms for 40 minutes; then the cloud is gone, and the house (with one worker at least) finishes."""
    random = site.random
    rush = 0.2
    while site.now < 2400:
        if random.random() < 0.01:
            rush = random.choice((0.0, 0.1, 0.2))
        if random.random() < rush * 5 and len(site.waiting()) < 40:
            site.come(random.choice(("overflow", "overflow", "overflow", "always", "never")))
        site.step()
    site.homes, site.home_seconds = max(1, site.homes), 5.0
    site.faults = Faults()
    site.cloud.interruptions = 0.0
    for _ in range(4000):
        if all(clip.state == "done" for clip in site.clips.values()) and not site.cloud.fleet:
            break
        site.step()


def check(site: Site, seed: int) -> None:
    money = site.settings.money
    days, months = site.cloud.costs(site.begin + site.now)
    for sums, ceiling, what in ((days, money.per_day, "day"), (months, money.per_month, "month")):
        for begin, dollars in sums.items():
            assert dollars <= ceiling + 1e-6, (
                f"world {seed}: ${dollars:.4f} in the {what} {begin}: ${ceiling:.4f}"
            )
    for clip in site.clips.values():
        assert clip.results == 1, f"world {seed}: {clip} has {clip.results} results"
    assert not site.cloud.fleet, f"world {seed}: machines run on when nothing is left to do"


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_worlds(block: int) -> None:
    codes: set[str] = set()
    launched = 0
    for seed in range(block * WORLDS // BLOCKS, (block + 1) * WORLDS // BLOCKS):
        site = random_site(seed)
        live(site)
        check(site, seed)
        codes |= site.codes
        launched += site.cloud.launched
    assert codes >= {"burst", "ceiling", "hold", "idle", "take-back", "reconcile"}, "the worlds are too tame"
    assert launched > 2 * WORLDS / BLOCKS
