"""The colours that meters are painted from, each part 0 to 1 in RGB order; `arrays.colour` varies them."""

from __future__ import annotations

from .arrays import Colour

BLACK: Colour = (0.07, 0.07, 0.08)
WHITE: Colour = (0.93, 0.93, 0.92)
RED: Colour = (0.78, 0.1, 0.1)
GREY: Colour = (0.5, 0.51, 0.5)
