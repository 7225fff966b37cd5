"""Which way up a row of windows is read.

The finder sees a row nearly as well upside down. The wheel network does not: digits on their heads are
hardly any digits to it.
"""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .certain import certainty
from .comb import crop
from .rows import Row, regular
from .windows import closely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from meerkat_inference.meter.networks import Reads

    from .looking import Looker

_SEEN = 10.0
"""What the finder's mean score counts beside the mean log-likelihood of the digits."""
_USUAL = 0.1
"""What speaks for the picture as it came: cameras hang upright more often than not."""
_WORST = 0.02
_LEAST = 1.0
"""Windows that must be read at least, those that are half sure counted half."""


def flipped(row: Row) -> Row:
    """The same windows read from the other side."""
    spots = tuple(spot._replace(tilt=spot.tilt + pi) for spot in row.spots[::-1])
    return Row(spots, (row.tilt + 2 * pi) % (2 * pi) - pi)


def upright(
    picture: NDArray[np.uint8], looker: Looker, rows: Sequence[Row], networks: Reads | None
) -> Row | None:
    """The best of `rows` (one at least) seen from near, from the side from which its digits are digits.

    Without networks: the first of them, as it is. None when none of them has a digit: rows in noise.
    """
    if networks is None:
        return regular(closely(looker, rows[0]))
    sides = []
    for row in rows:
        both = [regular(closely(looker, row)), regular(closely(looker, flipped(row)))]
        sides.append(max((_told(picture, one, networks) for one in both), key=lambda told: told.side))
    best = max(sides, key=lambda told: told.worth)
    return best.row if best.worth > _LEAST * best.row.height else None


class _Told(NamedTuple):
    row: Row
    side: float
    """How well it is read from its side: to be compared with the other side's."""
    worth: float
    """How many windows with digits it has, to be compared with other rows': large ones are worth more than
    print."""


def _told(picture: NDArray[np.uint8], row: Row, networks: Reads) -> _Told:
    crops = [crop(picture, (spot.x, spot.y), spot.height, row.tilt) for spot in row.spots]
    score = np.array([spot.score for spot in row.spots])
    digits = certainty(networks.wheels(np.stack(crops))[:, :100])
    side = float(np.log(digits + _WORST).mean()) + _SEEN * float(score[score > 0].mean())
    worth = float((score * (digits + _WORST)).sum()) * row.height
    return _Told(row, side + _USUAL * cos(row.tilt), worth)
