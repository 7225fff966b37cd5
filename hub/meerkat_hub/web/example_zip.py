"""A meter's labelled examples as one file: pictures/<id>.jpg, and examples.json that says what they show.

The hub has no OpenCV to cut wheels out with; `meerkat meter examples` does it, with the layouts in here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

from meerkat_contract.ids import format_time
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.meter_queries import Example

log = logging.getLogger("meerkat.hub")

FORMAT = 1


def packed(examples: Sequence[Example], media: MediaFolder) -> Iterator[bytes]:
    """The file, piece by piece. A picture that has gone meanwhile is left out."""
    buffer = BytesIO()
    listed = []
    done = 0
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for example in examples:
            path = media.path("pictures", example.id, ".jpg")
            try:
                data = path.read_bytes()
            except OSError as error:
                log.warning("%s: an example cannot be read (%s)", path, error.strerror)
                continue
            archive.writestr(f"pictures/{example.id}.jpg", data)
            listed.append(
                {
                    "id": example.id,
                    "device": example.device,
                    "meter": example.meter,
                    "at": format_time(example.at),
                    "values": example.values,
                    "layout": example.layout.model_dump(mode="json", exclude_none=True),
                }
            )
            written = buffer.getvalue()[done:]
            done += len(written)
            yield written
        archive.writestr("examples.json", json.dumps({"format": FORMAT, "examples": listed}))
    yield buffer.getvalue()[done:]
