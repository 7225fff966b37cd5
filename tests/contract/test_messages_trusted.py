"""Messages made of values that were validated before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, HubState, Job, read

GIVEN: dict[str, Any] = {
    "job": new_id(),
    "token": 7,
    "device": "porch",
    "camera": "front",
    "media": new_id(),
    "captured_at": datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    "lease": 30.0,
}
MORE: dict[str, Any] = {
    "task": "detect_faces",
    "content_type": "image/jpeg",
    "ahead": True,
    "labels": ("face",),
    "workflow": "hall",
    "found": (Found(label="face", score=0.5, box=(0, 0, 1, 1)),),
}


@pytest.mark.parametrize("fields", [GIVEN, GIVEN | MORE], ids=["least", "most"])
def test_job_of_trusted_values_is_the_job_that_validation_makes(fields: dict[str, Any]) -> None:
    trusted, validated = Job.trusted(**fields), Job(**fields)
    assert trusted == validated
    assert trusted.to_json() == validated.to_json()
    assert trusted.model_copy(update={"token": 8}) == validated.model_copy(update={"token": 8})
    assert read(Job, trusted.to_json()) == validated


def test_trusted_message_cannot_be_changed_either() -> None:
    with pytest.raises(ValidationError):
        Job.trusted(**GIVEN).token = 8  # type: ignore[misc]


def test_messages_share_nothing_that_can_be_changed() -> None:
    with pytest.raises(TypeError, match="HubState makes a default of its own for"):
        HubState.trusted()
