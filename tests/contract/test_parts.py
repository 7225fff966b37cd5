"""Parts: cut anywhere, shuffled, doubled; they join to what was sent, or to an error that says why."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.errors import BadMessage, MessageTooLarge
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_contract.parts import Joiner, NoRoom, split

TOPIC = "meerkat/device/porch/front/clip"


def metadata(**changes: object) -> Metadata:
    return Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC)).model_copy(update=changes)


def cut(payload: bytes, limit: int, of: Metadata | None = None) -> list[tuple[Metadata, bytes]]:
    return [(part, bytes(data)) for part, data in split(payload, of or metadata(), limit)]


@given(st.binary(max_size=300), st.integers(1, 64), st.randoms())
def test_any_order_and_any_doubling_joins_to_what_was_sent(
    payload: bytes, limit: int, random: object
) -> None:
    original = metadata()
    parts = cut(payload, limit, original)
    assert all(len(data) <= limit for _, data in parts)
    sent = parts + [part for part in parts if random.random() < 0.3]  # type: ignore[attr-defined]
    random.shuffle(sent)  # type: ignore[attr-defined]
    joiner = Joiner()
    wholes = [whole for part, data in sent if (whole := joiner.add(TOPIC, part, data, 0.0))]
    assert wholes[0] == (original, payload)
    assert all(whole == (original, payload) for whole in wholes)


@given(st.binary(min_size=2, max_size=100), st.binary(min_size=2, max_size=100))
def test_messages_may_be_interleaved(one: bytes, other: bytes) -> None:
    joiner = Joiner()
    a, b = cut(one, 1), cut(other, 1)
    wholes = []
    for pair in zip_longest(a, b):
        wholes += [w for part in pair if part and (w := joiner.add(TOPIC, *part, 0.0))]
    assert sorted(payload for _, payload in wholes) == sorted([one, other])
    assert joiner.held == 0


@given(st.binary(min_size=2, max_size=200), st.data())
def test_a_damaged_part_is_refused_and_forgotten(payload: bytes, data: st.DataObject) -> None:
    parts = cut(payload, max(1, len(payload) // 3))
    which = data.draw(st.integers(0, len(parts) - 1))
    described, content = parts[which]
    parts[which] = described, bytes([content[0] ^ 1]) + content[1:]
    joiner = Joiner()
    for part, content in parts[:-1]:
        assert joiner.add(TOPIC, part, content, 0.0) is None
    with pytest.raises(BadMessage, match=r"do not join.*SHA-256"):
        joiner.add(TOPIC, *parts[-1], 0.0)
    assert len(joiner) == 0
    assert joiner.held == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60))
def test_the_memory_is_bounded_and_its_count_true(arrivals: list[tuple[int, int]]) -> None:
    messages = [cut(bytes([i]) * 1000, 100) for i in range(6)]
    joiner = Joiner(memory_limit=3000)
    for message, part in arrivals:
        with suppress(BadMessage):
            joiner.add(TOPIC, *messages[message][part], 0.0)
        assert 0 <= joiner.held <= 3000 + 256
    joiner.expire(1e9)
    assert joiner.held == 0


def test_no_room_beside_the_others() -> None:
    joiner = Joiner(memory_limit=1000)
    joiner.add(TOPIC, *cut(b"x" * 600, 300)[0], 0.0)
    with pytest.raises(BadMessage, match="no room for it beside 1 other messages in parts"):
        joiner.add(TOPIC, *cut(b"y" * 600, 300)[0], 0.0)
    assert len(joiner) == 1


def test_what_found_no_room_may_be_sent_again_and_its_rest_fills_nothing() -> None:
    joiner = Joiner(memory_limit=2000)
    other, late = cut(b"x" * 900, 300), cut(b"y" * 900, 300)
    joiner.add(TOPIC, *other[0], 0.0)
    joiner.add(TOPIC, *other[1], 0.0)
    with pytest.raises(NoRoom):
        joiner.add(TOPIC, *late[0], 0.0)
    held = joiner.held
    assert [joiner.add(TOPIC, *part, 0.0) for part in late[1:]] == [None, None]
    assert joiner.held == held
    assert joiner.add(TOPIC, *other[2], 0.0)
    assert [bool(joiner.add(TOPIC, *part, 1.0)) for part in late] == [False, False, True]
    assert joiner.held == 0


def test_what_fits_stays_as_it_is() -> None:
    original = metadata()
    assert cut(b"12345", 5, original) == [(original, b"12345")]
    assert cut(b"", 5, original) == [(original, b"")]


def test_parts_are_even_and_say_what_they_are() -> None:
    parts = cut(b"x" * 11, 5)
    assert [len(data) for _, data in parts] == [3, 4, 4]
    assert [(part.part, part.parts, part.size) for part, _ in parts] == [(1, 3, 11), (2, 3, 11), (3, 3, 11)]


def test_too_many_parts() -> None:
    with pytest.raises(MessageTooLarge, match="10,001 parts"):
        list(split(b"x" * 10_001, metadata(), 1))


def test_an_incomplete_message_is_forgotten_at_the_very_second() -> None:
    joiner = Joiner(timeout=60)
    first, second, _ = cut(b"abc", 1)
    joiner.add(TOPIC, *first, 100.0)
    joiner.add(TOPIC, *second, 110.0)
    assert joiner.expire(169.999) == []
    (lost,) = joiner.expire(170.0)
    assert (lost.key.topic, lost.key.id, lost.arrived, lost.parts) == (TOPIC, first[0].id, 2, 3)
    assert joiner.expire(170.0) == []
    assert joiner.held == 0


def test_the_same_id_on_another_topic_is_another_message() -> None:
    joiner = Joiner()
    first, second = cut(b"ab", 1)
    assert joiner.add(TOPIC, *first, 0.0) is None
    assert joiner.add(TOPIC + "/x", *second, 0.0) is None
    assert len(joiner) == 2


def test_a_sender_that_cuts_anew_begins_anew() -> None:
    original, joiner = metadata(), Joiner()
    joiner.add(TOPIC, *cut(b"abcdef", 3, original)[0], 0.0)
    results = [joiner.add(TOPIC, *part, 0.0) for part in cut(b"abcdef", 2, original)]
    assert results == [None, None, (original, b"abcdef")]


def test_announced_above_the_limit() -> None:
    part, data = cut(b"x" * 100, 50)[0]
    with pytest.raises(BadMessage, match=f"{TOPIC}: announces 100 bytes, at most 99"):
        Joiner(message_limit=99).add(TOPIC, part, data, 0.0)


def test_longer_than_announced() -> None:
    first, second = cut(b"ab", 1)
    joiner = Joiner()
    joiner.add(TOPIC, *first, 0.0)
    with pytest.raises(BadMessage, match="longer together than the 2 bytes"):
        joiner.add(TOPIC, second[0], b"bb", 0.0)
    assert joiner.held == 0
