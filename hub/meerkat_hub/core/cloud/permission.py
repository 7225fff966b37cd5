"""Whether a clip may leave the house. Who says less goes before who says more: never, overflow, always."""

from __future__ import annotations

from typing import Protocol

from meerkat_cloud_burst.settings import BurstSettings, CloudRule
from meerkat_hub.core.records import Clip

_STRICT: tuple[CloudRule, ...] = ("never", "overflow", "always")


class SaidNow(Protocol):
    """What a camera says of the cloud at present: never | overflow | always; else nothing."""

    def __call__(self, device: str, camera: str) -> str: ...


def nothing_said(device: str, camera: str) -> str:  # noqa: ARG001 - as SaidNow
    return ""


def rule_of(clip: Clip, settings: BurstSettings, now_said: str = "") -> CloudRule:
    """The strictest of what came with the clip, what its camera says now, and what the hub's configuration
    says of it; the default where none of them says anything."""
    said = {clip.cloud, now_said, settings.cameras.get(f"{clip.device}/{clip.camera}", "")}
    return next((rule for rule in _STRICT if rule in said), settings.default)
