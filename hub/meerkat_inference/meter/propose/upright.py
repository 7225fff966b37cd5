"""Which way up a row of windows is read.

The finder sees a row nearly as well upside down. The wheel network does not: digits on their heads are
hardly any digits to it.
"""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

import numpy as np

from .certain import certainty
from .comb import crop
from .rows import Row, regular
from .windows import closely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from meerkat_inference.meter.networks import Reads

    from .looking import Looker

_SEEN = 10.0
"""What the finder's mean score counts beside the mean log-likelihood of the digits."""
_USUAL = 0.1
"""What speaks for the picture as it came: cameras hang upright more often than not."""
_WORST = 0.02


def flipped(row: Row) -> Row:
    """The same windows read from the other side."""
    spots = tuple(spot._replace(tilt=spot.tilt + pi) for spot in row.spots[::-1])
    return Row(spots, (row.tilt + 2 * pi) % (2 * pi) - pi)


def upright(picture: NDArray[np.uint8], looker: Looker, row: Row, networks: Reads | None) -> Row:
    """The row seen from near, from the side from which its digits are more likely digits."""
    near = regular(closely(looker, row))
    if networks is None:
        return near
    other = regular(closely(looker, flipped(row)))
    return max((near, other), key=lambda one: standing(picture, one, networks))


def standing(picture: NDArray[np.uint8], row: Row, networks: Reads) -> float:
    """How well the row is read from its side: to be compared with the other side's."""
    crops = [crop(picture, (spot.x, spot.y), spot.height, row.tilt) for spot in row.spots]
    seen = [spot.score for spot in row.spots if spot.score > 0]
    digits = certainty(networks.wheels(np.stack(crops))[:, :100])
    return float(np.log(digits + _WORST).mean()) + _SEEN * float(np.mean(seen)) + _USUAL * cos(row.tilt)
