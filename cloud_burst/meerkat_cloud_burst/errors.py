"""What can go wrong with the cloud, always with its cause and what to do."""

from __future__ import annotations

from typing import Literal

from meerkat_contract.errors import MeerkatError

Cause = Literal[
    "credentials",
    "permission",
    "region",
    "missing",
    "quota",
    "capacity",
    "clock",
    "network",
    "throttled",
    "other",
]


class CloudError(MeerkatError):
    """AWS cannot be reached, or refuses. `cause` tells which of the usual troubles it is."""

    def __init__(self, what: str, *, cause: Cause = "other", where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.cause = cause


class Gone(CloudError):
    """The one object or message that was asked for is not there: of a clip, that its order was taken back.

    A bucket or a queue that is not there is a CloudError of cause `missing`.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, cause="missing", where=where, remedy=remedy)
