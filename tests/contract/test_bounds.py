"""Numbers and times that could not be stored or added up are refused where they come in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import new_id
from meerkat_contract.messages import REASON, Result, Sighting, TaskInfo, read
from meerkat_contract.metadata import Metadata

RESULT = Result(job=new_id(), token=1, incarnation=new_id(), state="done", frames=1000).model_dump_json(
    by_alias=True
)


@pytest.mark.parametrize(
    "wrong",
    [
        ("captured-at", "0001-01-01T00:00:00+14:00"),
        ("captured-at", "9999-12-31T23:59:59.999Z"),
        ("sequence", "9" * 20),
        ("sequence", "1000001"),
        ("duration", "inf"),
        ("duration", "nan"),
    ],
)
def test_metadata(wrong: tuple[str, str]) -> None:
    good = {"schema": "1", "id": new_id(), "captured-at": "1970-01-01T00:00:03Z", "sequence": "1000000"}
    Metadata.from_properties(list(good.items()))
    with pytest.raises(BadMessage, match=f"user property '{wrong[0]}'"):
        Metadata.from_properties(list((good | dict([wrong])).items()))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Sighting, '{"at": 1e300, "score": 0.5, "box": [0, 0, 1, 1]}'),
        (Sighting, '{"at": 1, "score": NaN, "box": [0, 0, 1, 1]}'),
        (TaskInfo, '{"task": "detect_objects", "model": {"name": "x"}, "frames_per_second": 1e-300}'),
        (TaskInfo, '{"task": "detect_objects", "model": {"name": "x"}, "frames_per_second": Infinity}'),
        (Result, RESULT.replace("1000", "9" * 30)),
    ],
)
def test_messages(kind: Any, payload: str) -> None:
    with pytest.raises(BadMessage):
        read(kind, payload.encode())


def test_a_reason_without_end_is_cut() -> None:
    """A worker that sends its log along: the answer counts, and nobody has to carry all of it."""
    said = json.dumps(json.loads(RESULT) | {"state": "failed", "reason": "x" * 5_000_000})
    assert read(Result, said.encode()).reason == "x" * REASON
