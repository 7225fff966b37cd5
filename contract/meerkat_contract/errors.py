"""Errors of Meerkat.

    MeerkatError                   everything this product raises on purpose
    ├── UsageError                 the person's command, file or setting is wrong (exit status 2)
    ├── BadMessage                 a peer sent something that cannot be accepted
    ├── BrokerError                the MQTT broker cannot be reached or refuses us
    │   └── MessageTooLarge        a message is above the broker's packet limit
    ├── MediaError                 a clip or picture cannot be read
    ├── StorageError               the disk or the database refuses
    └── ModelError                 a model or an engine cannot be used

Each says *what* is wrong, *where* (topic, field, file or variable), and the *remedy*.
"""

from __future__ import annotations


class MeerkatError(Exception):
    """Something went wrong; the message names what, where and the remedy."""

    exit_status = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        end = "" if text.endswith(("?", "!", ".")) else "."
        return f"{text}{end} {self.remedy}" if self.remedy else text


class UsageError(MeerkatError):
    """The command line, the configuration or a file named there is wrong."""

    exit_status = 2


class BadMessage(MeerkatError):
    """A peer sent a message that breaks the contract; it is refused and acknowledged."""


class BrokerError(MeerkatError):
    """The MQTT broker cannot be reached, or refuses the connection."""


class MessageTooLarge(BrokerError):
    """The message is larger than the broker accepts; it was not sent."""


class MediaError(MeerkatError):
    """A clip or a picture cannot be decoded, or breaks a limit."""


class StorageError(MeerkatError):
    """The disk or the database refuses a read or a write."""


class ModelError(MeerkatError):
    """A model or an inference engine cannot be used."""


class DeviceError(MeerkatError):
    """A part of the hardware is not there, is used by another program, or does not do what it should."""
