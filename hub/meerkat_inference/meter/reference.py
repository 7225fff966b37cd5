"""The picture that a layout was made for, which later ones are laid on."""

from __future__ import annotations

from pathlib import Path

from meerkat_contract.errors import MediaError, UsageError
from meerkat_contract.meter_layout import MeterLayout

from .picture_file import read_picture


def with_landmarks(layout: MeterLayout, folder: Path, where: str) -> MeterLayout:
    """The layout with what is to be found again of its `reference`, a path from `folder`.

    As it is when it names none, or has its landmarks. Raises UsageError, told of `where`, when the picture
    cannot be read or used.
    """
    if not layout.reference or layout.landmarks is not None:
        return layout
    from .align import features

    reference = folder / layout.reference
    try:
        landmarks = features(read_picture(reference), layout)
    except MediaError as error:
        words = error.what if error.where == str(reference) else str(error)
        raise UsageError(
            f"its reference {reference}: {words}",
            where=where,
            remedy="Put the picture that the layout was made for there, or take `reference` out: pictures "
            "are then read without being aligned",
        ) from error
    return layout.model_copy(update={"landmarks": landmarks})
