"""Whatever comes, in whatever order: one verdict each, nothing runs back, and the rows tell it all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_hub.core.meters.history import MeterHistory
from meerkat_hub.core.meters.rows import PictureSeen, ReadingRow
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.household import PER_UNIT, SPAN, seen_as

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
MAX_FLOW = 2.0
SETTINGS = MeterSettings(max_flow=MAX_FLOW)
JITTER = 3

VALUES = st.one_of(
    st.integers(0, SPAN - 1),
    st.integers(2_000_000, 2_060_000),
    st.integers(2_000_000, 2_001_000),
    st.integers(SPAN - 2000, SPAN - 1),
    st.integers(0, 2000),
)
CANDIDATES = st.lists(st.tuples(VALUES, st.floats(0.01, 1)), min_size=1, max_size=3).map(
    lambda given: [(value, share / sum(s for _, s in given)) for value, share in given]
)
SEEN = st.builds(
    lambda candidates, clear, readable: seen_as(
        sorted(candidates, key=lambda c: -c[1]), (clear,) * 9, readable=readable
    ),
    CANDIDATES,
    st.sampled_from([0.95, 0.9, 0.6]),
    st.sampled_from([True, True, True, False]),
)
PICTURES = st.lists(st.tuples(st.integers(0, 200), SEEN), min_size=1, max_size=30).map(
    lambda given: [
        PictureSeen(str(UUID(int=i + 1, version=4)), BEGIN + timedelta(minutes=20 * place), seen)
        for i, (place, seen) in enumerate(given)
    ]
)


def steps(value: float | None) -> int:
    assert value is not None
    return round(value * PER_UNIT)


def judged(rows: tuple[ReadingRow, ...]) -> list[tuple[object, ...]]:
    return [(row.id, row.verdict, row.value, row.total, row.reason, row.flow) for row in rows]


def check(history: MeterHistory) -> None:
    before: ReadingRow | None = None
    for row in history.rows:
        if row.verdict != "accepted":
            assert row.total is None
            assert row.reason, "who is not believed is told why"
            continue
        if before is not None:
            rise = steps(row.total) - steps(before.total)
            hours = (row.at - before.at).total_seconds() / 3600
            if row.last_reset == before.last_reset:
                assert 0 <= rise <= MAX_FLOW * PER_UNIT * (hours + 1 / 60) + JITTER
                assert (steps(row.total) - steps(row.value)) % SPAN == (
                    steps(before.total) - steps(before.value)
                ) % SPAN, "the total is the value, and whole turns"
        before = row


@given(PICTURES)
@settings(max_examples=150, deadline=None)
def test_every_picture_has_one_verdict_and_no_reading_contradicts_one(
    pictures: list[PictureSeen],
) -> None:
    history = MeterHistory("basement", "water", SETTINGS)
    stored: dict[str, ReadingRow] = {}
    for picture in pictures:
        outcome = history.saw(picture)
        assert [row.id for row in outcome.changes].count(picture.id) == 1
        stored |= {row.id: row for row in outcome.changes}
        check(history)
    assert len(stored) == len(pictures)
    assert tuple(sorted(stored.values(), key=lambda row: row.place)) == history.rows
    again = MeterHistory("basement", "water", SETTINGS, stored.values())
    assert again.loaded.changes == (), "what is stored is what the rules say"
    assert again.rows == history.rows


@given(PICTURES, st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_the_order_of_arrival_does_not_matter(pictures: list[PictureSeen], seed: int) -> None:
    one, other = (MeterHistory("basement", "water", SETTINGS) for _ in range(2))
    for picture in pictures:
        one.saw(picture)
    shuffled = list(pictures)
    Random(seed).shuffle(shuffled)
    for picture in shuffled:
        other.saw(picture)
    assert judged(one.rows) == judged(other.rows)


@given(PICTURES, st.integers(0, 200), VALUES, st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_the_owner_says_is_believed_and_may_be_taken_back(
    pictures: list[PictureSeen], place: int, value: int, exchange: bool
) -> None:
    history = MeterHistory("basement", "water", SETTINGS)
    for picture in pictures:
        history.saw(picture)
    before = judged(history.rows)
    said, at = str(UUID(int=99, version=4)), BEGIN + timedelta(minutes=20 * place + 1)
    if exchange:
        history.exchanged(said, at, first=value / PER_UNIT)
    else:
        history.shows(said, at, value / PER_UNIT)
    row = next(row for row in history.rows if row.id == said)
    assert (row.verdict, steps(row.value), row.source) == ("accepted", value, "owner")
    history.removed(said)
    assert judged(history.rows) == before


@given(PICTURES, st.integers(2_000_000, 2_060_000))
@settings(max_examples=100, deadline=None)
def test_two_good_pictures_after_the_owners_word_are_believed_whatever_came_between(
    pictures: list[PictureSeen], truth: int
) -> None:
    history = MeterHistory("basement", "water", SETTINGS)
    begin = BEGIN - timedelta(hours=1)
    history.shows(str(UUID(int=98, version=4)), begin, truth / PER_UNIT)
    for hour in range(12):
        seen = seen_as([(truth + hour, 1.0)])
        history.saw(
            PictureSeen(str(UUID(int=200 + hour, version=4)), begin + timedelta(minutes=hour + 1), seen)
        )
    # What comes between may be anything, also a likely flow: only nonsense is nonsense.
    nonsense = [
        picture
        for picture in pictures
        if all(not 0 <= steps(c.value) - truth + 10 <= 2_000_000 for c in picture.seen.candidates)
        and all(steps(c.value) > 2 * PER_UNIT for c in picture.seen.candidates)
    ]
    for picture in nonsense[:7]:
        history.saw(picture)
    for count in range(2):
        seen = seen_as([(truth + 20 + count, 1.0)])
        at = BEGIN + timedelta(hours=80 + count)
        outcome = history.saw(PictureSeen(str(UUID(int=300 + count, version=4)), at, seen))
    assert outcome.reading is not None
    assert steps(outcome.reading.value) == truth + 21
