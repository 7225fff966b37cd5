"""What the outbox sends when: live before spooled, bounded, again later each time."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.lanes import RECEIPT_SECONDS, WINDOW, Lanes
from meerkat_devices.outbox.outbox import Entry


def entry(seq: int, size: int = 1000) -> Entry:
    metadata = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, 8, tzinfo=UTC))
    return Entry(seq, f"id-{seq}", "t", metadata, False, size)


def test_live_goes_first_and_each_lane_keeps_its_order() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9, window=10)
    lanes.spool([entry(1), entry(2)])
    lanes.add(entry(3))
    assert lanes.next(0) is None, "not connected"
    lanes.connected()
    lanes.add(entry(4))
    lanes.add(entry(5))
    order = []
    now = 0.0
    while chosen := lanes.next(now):
        order.append(chosen.seq)
        now += 1
    assert order == [4, 5, 1, 2, 3]


def test_the_window_bounds_what_is_on_its_way() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    for seq in range(5):
        lanes.add(entry(seq))
    assert [bool(lanes.next(0)) for _ in range(4)] == [True] * WINDOW + [False] * (4 - WINDOW)
    lanes.settled("id-0")
    assert (third := lanes.next(0))
    assert third.seq == 2
    assert lanes.next(0) is None


def test_a_backlog_is_sent_at_its_rate_and_live_does_not_wait_for_it() -> None:
    lanes = Lanes(spooled_bytes_per_second=1000, window=10)
    lanes.spool([entry(1, 5000), entry(2, 5000)])
    lanes.connected()
    assert (first := lanes.next(0))
    assert first.seq == 1
    assert lanes.next(4.999) is None
    assert lanes.wake_at(1) == 5
    lanes.add(entry(3))
    assert (live := lanes.next(1))
    assert live.seq == 3
    assert (second := lanes.next(5))
    assert second.seq == 2


def test_no_receipt_within_the_time_means_again_and_later_each_time() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.wake_at(0) == RECEIPT_SECONDS
    assert lanes.overdue(RECEIPT_SECONDS - 0.001) == []
    assert lanes.overdue(RECEIPT_SECONDS) == ["id-1"]
    assert lanes.next(RECEIPT_SECONDS)
    assert lanes.overdue(3 * RECEIPT_SECONDS - 0.001) == []
    assert lanes.overdue(3 * RECEIPT_SECONDS) == ["id-1"]


def test_a_clip_on_a_slow_line_is_not_sent_again_while_it_goes() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1, size=1_000_000))
    assert lanes.next(0)
    assert lanes.overdue(99.9) == []
    lanes.delivered("id-1", 99.9)
    assert lanes.overdue(99.9 + RECEIPT_SECONDS - 0.001) == []
    assert lanes.overdue(99.9 + RECEIPT_SECONDS) == ["id-1"]
    assert lanes.next(200)
    assert lanes.overdue(299.9) == []
    assert lanes.overdue(300) == ["id-1"], "the broker never said that it has it"
    lanes.delivered("id-1", 300)
    lanes.delivered("unknown", 300)
    assert len(lanes) == 1


def test_a_hub_that_never_answers_does_not_make_the_numbers_overflow() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    now = 0.0
    for _ in range(1100):
        assert lanes.next(now)
        now += 600
        assert lanes.overdue(now)


def test_a_reconnect_sends_at_once_what_had_no_receipt() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.disconnected() == ["id-1"]
    assert lanes.next(1) is None
    assert lanes.wake_at(1) is None
    lanes.connected()
    assert (again := lanes.next(1))
    assert again.seq == 1


def test_what_the_broker_does_not_take_backs_off() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    lanes.failed("id-1", 0)
    assert lanes.next(0.999) is None
    assert lanes.next(1)


def test_while_the_hub_is_away_nothing_is_sent_and_all_at_once_when_it_is_back() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.hub_is(away=True) == []
    lanes.add(entry(2))
    assert lanes.next(0) is None
    assert lanes.hub_is(away=False) == ["id-1"]
    assert lanes.hub_is(away=False) == [], "nothing new"
    assert lanes.next(1)
    assert lanes.next(1)
    assert lanes.on_way == {"id-1", "id-2"}


def test_a_hub_that_says_it_is_online_anew_gets_again_what_it_may_have_lost() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.hub_is(away=False, news=True) == ["id-1"]
    assert lanes.next(0)


@given(st.lists(st.sampled_from("a c d n s f o h H".split()), max_size=60), st.randoms())
def test_no_entry_is_ever_lost_or_in_two_places(steps: list[str], chance: random.Random) -> None:
    lanes = Lanes(spooled_bytes_per_second=1e5)
    expected: set[str] = set()
    now = 0.0
    for seq, step in enumerate(steps):
        now += chance.uniform(0, 40)
        some = chance.choice(sorted(expected)) if expected else "none"
        match step:
            case "a":
                lanes.add(entry(seq))
                expected.add(f"id-{seq}")
            case "c":
                lanes.connected()
            case "d":
                lanes.disconnected()
                assert not lanes.on_way
            case "n":
                lanes.next(now)
            case "s":
                lanes.settled(some)
                expected.discard(some)
            case "f":
                lanes.failed(some, now)
            case "o":
                lanes.overdue(now)
            case "h" | "H":
                lanes.hub_is(away=step == "h")
        assert len(lanes) == len(expected)
        assert lanes.on_way <= expected
        assert len(lanes.on_way) <= WINDOW
    lanes.hub_is(away=False)
    lanes.disconnected()
    lanes.connected()
    while expected:
        now = max(now, lanes.wake_at(now) or now)
        sent = lanes.next(now)
        assert sent is not None
        lanes.settled(sent.id)
        expected.remove(sent.id)
    assert len(lanes) == 0


def test_an_entry_that_is_told_again_is_where_it_was() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    lanes.add(entry(1))
    assert len(lanes) == 1
    assert lanes.next(0) is None


def test_a_hub_that_never_answers_costs_a_bounded_number_of_bytes() -> None:
    """500 clips wait, and one a minute is new: an hour costs what is new, and a dozen sent again."""
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.spool([entry(seq) for seq in range(500)])
    lanes.connected()
    sent: list[str] = []
    for second in range(2 * 3600):
        if second % 60 == 30:
            lanes.add(entry(1000 + second))
        lanes.overdue(second)
        while chosen := lanes.next(second):
            sent.append(chosen.id)
            lanes.delivered(chosen.id, second)
    assert len(sent) <= 2 * 60 + 30
    assert len({name for name in sent if int(name[3:]) >= 1000}) >= 110, "what is new is tried once"


def test_what_went_without_a_connection_is_not_remembered() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    for seq in range(20_000):
        lanes.add(entry(seq))
        if seq >= 10:
            lanes.settled(f"id-{seq - 10}")
    assert len(lanes) == 10
    assert len(lanes._spooled) <= 1100
    lanes.connected()
    assert (oldest := lanes.next(0))
    assert oldest.seq == 19_990
