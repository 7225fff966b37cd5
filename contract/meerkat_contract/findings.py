"""What a section of the configuration finds when it looks further: at files, at other sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from .configfile import did_you_mean


class Finding(NamedTuple):
    """`path` leads to the value within the section. One that is not `sure` may be as somebody wants it."""

    path: tuple[str | int, ...]
    message: str
    sure: bool = True


@runtime_checkable
class Looks(Protocol):
    """A section's model that looks; `sections` are all of the same file."""

    def look(self, sections: Mapping[str, BaseModel]) -> Iterator[Finding]: ...


def not_among_devices(
    names: Iterable[str],
    kind: Literal["cameras", "meters"],
    sections: Mapping[str, BaseModel],
    *,
    below: tuple[str, ...] = (),
) -> Iterator[Finding]:
    """Those of `names` (device/thing) that none of the file's devices has; they stand at `below`.

    A device may as well be described elsewhere, so only one that lists its things is sure not to have others.
    """
    devices = getattr(sections.get("devices"), "root", {})
    known = [f"{device}/{thing}" for device, its in devices.items() for thing in getattr(its, kind)]
    for name in names:
        if not known or name in known:
            continue
        device = devices.get(name.partition("/")[0])
        sure = device is not None and bool(getattr(device, kind))
        what = kind.removesuffix("s")
        lack = f"its device has no such {what}" if sure else f"no device of this file has such a {what}"
        yield Finding(
            (*below, name), f"{lack}{did_you_mean(name, known)}; known are {', '.join(known)}", sure
        )
