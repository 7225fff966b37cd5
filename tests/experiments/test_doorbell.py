"""The doorbell beside a flood, over real processes: each clip of it is answered, alone and beside."""

from __future__ import annotations

from meerkat_experiments.real import doorbell


def test_the_doorbell_is_answered_alone_and_beside_a_flood() -> None:
    waits = doorbell.run((40, 20), 1.0, part=0.5, settle=0.3)
    for found in (waits.alone, waits.beside):
        assert len(found) > 5
        assert all(0 < seconds < doorbell.PATIENCE for seconds in found)
