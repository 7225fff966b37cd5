"""A picture's condition rides beside it, through the broker's text and the outbox's JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_contract.topics import ThingTopic, parse

CONDITION = PictureCondition(
    verdict="dark",
    brightness=0.01,
    dark=0.97,
    burnt_out=0.0,
    glare=0.0,
    sharpness=0.0,
    locked=True,
    light="ir",
)


def test_it_rides_in_a_user_property_and_lies_in_the_outbox() -> None:
    picture = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC), condition=CONDITION)
    properties = picture.to_properties()
    assert dict(properties)["condition"].startswith('{"schema":1,"verdict":"dark","brightness":0.01')
    assert Metadata.from_properties(properties) == picture
    assert Metadata.model_validate_json(picture.model_dump_json(by_alias=True)) == picture


def test_a_picture_without_one_says_nothing_of_it() -> None:
    picture = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert "condition" not in dict(picture.to_properties())
    assert Metadata.from_properties(picture.to_properties()).condition is None


@pytest.mark.parametrize(
    "text", ["dark", "{}", '{"verdict": "fine"}', "[1]", '{"verdict": "dark", "glare": 2}']
)
def test_a_wrong_one_is_named(text: str) -> None:
    properties = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC)).to_properties()
    with pytest.raises(BadMessage, match="'condition'"):
        Metadata.from_properties([*properties, ("condition", text)])


def test_its_topic_is_of_the_contract() -> None:
    topic = ThingTopic("cellar", "water", "condition")
    assert parse(str(topic)) == topic
