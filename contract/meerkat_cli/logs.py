"""Log lines for people: `time LEVEL component: message` on stderr.

Under systemd the time is left out (the journal has it) and the level travels as the `<6>` prefix
that journald reads. Under `meerkat up` a child writes `LEVEL message`; the supervisor adds the rest.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

from meerkat_contract.errors import UsageError

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FORMAT_VARIABLE = "MEERKAT_LOG_FORMAT"
"""Set to `supervised` by `meerkat up` for its children."""

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def set_up(
    component: str,
    *,
    verbose: bool = False,
    quiet: bool = False,
    stream: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Direct all logging to `stream` (stderr). $MEERKAT_LOG is debug, info, warning or error."""
    environment = os.environ if environment is None else environment
    stream = sys.stderr if stream is None else stream
    level = _level(verbose, quiet, environment.get("MEERKAT_LOG", ""))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(component, stream, environment))
    if level > logging.DEBUG:
        handler.addFilter(_of_interest)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _say_bug


def _level(verbose: bool, quiet: bool, named: str) -> int:
    if verbose:
        return logging.DEBUG
    if quiet:
        return logging.WARNING
    if not named:
        return logging.INFO
    try:
        return LEVELS[named.lower()]
    except KeyError:
        raise UsageError(
            f"{named!r} is not a level", where="MEERKAT_LOG", remedy=f"Write one of {', '.join(LEVELS)}"
        ) from None


def _of_interest(record: logging.LogRecord) -> bool:
    """Libraries are heard from `warning` on; their chatter only with --verbose."""
    return record.levelno >= logging.WARNING or record.name.startswith("meerkat")


def _formatter(component: str, stream: TextIO, environment: Mapping[str, str]) -> logging.Formatter:
    if environment.get(FORMAT_VARIABLE) == "supervised":
        return logging.Formatter("%(levelname)s %(message)s")
    if to_journal(stream, environment):
        return _JournalFormatter(component)
    return _PlainFormatter(component, colour=stream.isatty() and "NO_COLOR" not in environment)


def to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd's journal reads this stream."""
    return "JOURNAL_STREAM" in environment and not stream.isatty()


def journal_prefix(level: int) -> str:
    """The priority as journald reads it at the start of a line."""
    return f"<{_PRIORITIES.get(level, 6)}>"


def _say_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody foresaw: the log gets the whole story, marked as our fault and not the person's."""
    message = "This is a fault in Meerkat; please report it with these lines"
    logging.getLogger("meerkat").critical(message, exc_info=(kind, error, trace))


class _PlainFormatter(logging.Formatter):
    def __init__(self, component: str, *, colour: bool) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {component}: %(message)s", datefmt="%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        start = _COLOURS.get(record.levelno) if self._colour else None
        return f"{start}{text}\x1b[0m" if start else text


class _JournalFormatter(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__(f"{component}: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        # Each line of a message needs its own prefix, or the journal files the rest under "info".
        prefix = journal_prefix(record.levelno)
        return "\n".join(prefix + line for line in super().format(record).splitlines())
