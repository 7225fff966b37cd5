"""A device that reads its own meter: with the hub away, the reading waits in the outbox as the picture does.

It says what the picture shows and no more. Whether that can be is for the hub to say, which has the history.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import MediaError, MeerkatError, ModelError, UsageError
from meerkat_contract.meter_messages import CounterSeen, MeterSeen, unread

if TYPE_CHECKING:
    from meerkat_contract.meter_layout import MeterLayout
    from meerkat_inference.meter.networks import Reads

_log = logging.getLogger("meerkat.device")


class OwnReader:
    """Reads one meter's pictures. `read` is for one thread."""

    def __init__(self, meter: str, file: Path, *, networks: Reads | None = None) -> None:
        """Raises UsageError for a layout that cannot be, ModelError where the reader is not installed."""
        self._me = f"meter {meter}"
        self._file = file
        self._networks = networks
        try:
            from meerkat_inference.meter.layout_file import load_layout

            self._layout, warnings = load_layout(file)
        except ImportError as error:
            raise _not_installed(error, self._me) from error
        for warning in warnings:
            _log.warning("%s: %s", self._me, warning)

    def read(self, jpeg: bytes) -> tuple[MeterSeen, MeerkatError | None]:
        """What a picture shows, and what is wrong when it does not fit the layout: it is unreadable then.

        Raises ModelError when nothing can be read here, UsageError for a reference that cannot be used.
        The networks are loaded for each picture and given back: an hour lies between two.
        """
        try:
            from meerkat_inference.meter.networks import Networks
            from meerkat_inference.meter.reader import read

            layout = self._with_landmarks()
            networks = self._networks or Networks()
            try:
                seen = read(jpeg, layout, networks)
            except (MediaError, UsageError) as error:
                wrong = _of(error, self._me, self._file)
                return unread(layout, str(wrong)), wrong
            finally:
                if isinstance(networks, Networks):
                    networks.close()
        except ImportError as error:
            raise _not_installed(error, self._me) from error
        _log.info("%s: %s", self._me, "; ".join(_in_words(counter) for counter in seen.counters))
        return seen, None

    def _with_landmarks(self) -> MeterLayout:
        """The layout, with what its reference is known by."""
        if self._layout.reference and self._layout.landmarks is None:
            from meerkat_inference.meter.reference import with_landmarks

            self._layout = with_landmarks(self._layout, self._file.parent, f"{self._me}, {self._file}")
        return self._layout


def _not_installed(error: ImportError, me: str) -> ModelError:
    return ModelError(
        f"{error.name or error} is not installed, and without it the device cannot read by itself",
        where=me,
        remedy="Install the extra `worker`: pip install 'meerkat-home[device,worker]'. Or take "
        "`read: local` out of its configuration: the hub reads then",
    )


def _of(error: MeerkatError, me: str, file: Path) -> MeerkatError:
    """The same error that says whose layout it is."""
    return type(error)(error.what, where=f"{me}, {file}", remedy=error.remedy)


def _in_words(counter: CounterSeen) -> str:
    name = f"{counter.counter}: " if counter.counter else ""
    if counter.value is None:
        return f"{name}{counter.verdict}: {counter.reason}"
    decimals = len(f"{counter.step:.10f}".rstrip("0").partition(".")[2])
    said = f"{name}{counter.value:.{decimals}f} {counter.unit}, {counter.confidence:.0%} sure"
    return f"{said}; {counter.verdict}: {counter.reason}" if counter.reason else said
