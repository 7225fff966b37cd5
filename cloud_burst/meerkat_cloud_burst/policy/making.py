"""The policy that the settings ask for."""

from __future__ import annotations

from meerkat_cloud_burst.settings import BurstSettings, ThresholdSettings

from .drain import Drain
from .threshold import Threshold
from .view import Policy


def make_policy(settings: BurstSettings) -> Policy:
    rule = settings.policy
    if isinstance(rule, ThresholdSettings):
        return Threshold(rule.threshold, rule.max)
    return Drain(rule.deadline, rule.gain)


def idle_grace(settings: BurstSettings) -> float:
    """Seconds that a worker waits for more: none under the threshold rule, as with the camera it succeeds."""
    return 0.0 if isinstance(settings.policy, ThresholdSettings) else settings.idle_grace
