"""The core's rules for clips and workers, each at its exact boundary."""

from __future__ import annotations

from hub_support.core_driver import CoreDriver, an_id, track
from meerkat_hub.core.clips import MAX_TRIES, CoreSettings
from meerkat_hub.core.inputs import BusChanged, MediaLost, SendFailed, WorkerAbsent
from meerkat_hub.core.pool.attendance import PAUSE


def test_a_clip_is_stored_receipted_and_given_to_a_worker(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1, last=True)
    assert core.receipts() == [(clip.id, "stored")]
    assert [job.clip.id for job in core.jobs("cpu")] == [clip.id]
    core.answer(clip)
    assert core.settled() == [(clip.id, "done")]
    assert core.outcomes()[0].state == "done"


def test_the_same_clip_again_is_a_duplicate_before_and_after_it_ended(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1, last=True)
    core.clip(1, last=True)
    core.answer(clip)
    core.clip(1, last=True)
    assert [outcome for _, outcome in core.receipts()] == ["stored", "duplicate", "duplicate"]
    assert core.settled() == [(clip.id, "done")]


def test_clips_wait_until_a_worker_comes(core: CoreDriver) -> None:
    clips = [core.clip(n, recording=n) for n in range(1, 4)]
    assert core.jobs() == []
    core.worker(window=2)
    assert [job.clip.id for job in core.jobs()] == [clips[0].id, clips[1].id]


def test_a_result_with_an_old_token_is_void(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    old = core.job_of(clip).job.token
    core.do(BusChanged(up=False))
    core.do(BusChanged(up=True))
    core.answer(clip, token=old)
    assert core.settled() == []
    core.answer(clip)
    assert core.settled() == [(clip.id, "done")]


def test_a_lease_ends_at_its_exact_instant_and_not_before(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    (lease,) = core.core.leases[clip.id]
    core.turn(lease.expires - core.mono - 0.001)
    assert len(core.jobs()) == 1
    core.turn(0.001)
    assert core.core.waiting[clip.id].attempts == 1
    assert len(core.jobs()) == 1, "a worker that said nothing is left alone for a while"
    core.turn(5 * PAUSE)
    assert len(core.jobs()) == 2


def test_an_answer_at_the_very_end_of_its_lease_counts(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    (lease,) = core.core.leases[clip.id]
    core.mono = lease.expires
    core.answer(clip)
    assert core.settled() == [(clip.id, "done")]


def test_a_clip_fails_with_its_reason_after_the_last_try(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1, last=True)
    for _ in range(MAX_TRIES):
        assert core.settled() == []
        core.answer(clip, state="failed", retry=True, reason="the engine broke")
    assert core.settled() == [(clip.id, "failed")]
    assert "3 tries" in core.outcomes()[0].reason
    assert "the engine broke" in core.outcomes()[0].reason


def test_a_job_handed_back_unbegun_counts_no_try_and_pauses_that_worker(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    core.answer(clip, state="failed", retry=True, reason="the window is full", begun=False)
    assert len(core.jobs()) == 1
    assert core.core.waiting[clip.id].attempts == 0
    core.turn(PAUSE - 0.001)
    assert len(core.jobs()) == 1
    assert core.core.wake_at() == PAUSE
    core.turn(0.001)
    assert len(core.jobs()) == 2


def test_a_clip_that_cannot_be_read_fails_at_once(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1, last=True)
    core.answer(clip, state="failed", reason="not a video")
    assert [(o.state, o.reason) for o in core.outcomes()] == [("failed", "not a video")]


def test_a_worker_that_goes_gives_its_clips_back_and_its_death_counts_a_try_of_the_first(
    core: CoreDriver,
) -> None:
    core.worker()
    first, second = core.clip(1, recording=1), core.clip(2, recording=2)
    core.worker(online=False)
    assert sorted(core.core.waiting) == [first.id, second.id]
    assert {item.attempts for item in core.core.waiting.values()} == {0}
    core.worker(start=2)
    assert [job.clip.id for job in core.jobs()[2:]] == [first.id, second.id]
    assert [core.core.leases[clip.id][0].item.attempts for clip in (first, second)] == [1, 0]


def test_a_worker_whose_network_went_has_failed_at_nothing(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    core.worker(online=False)
    core.worker()
    assert core.core.leases[clip.id][0].item.attempts == 0


def test_a_worker_that_starts_anew_has_lost_what_it_held(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    core.worker(start=2)
    assert len(core.jobs()) == 2
    core.answer(clip, start=1)
    assert core.settled() == []
    core.answer(clip, start=2)
    assert core.settled() == [(clip.id, "done")]


def test_the_late_will_of_an_earlier_start_changes_nothing(core: CoreDriver) -> None:
    core.worker(start=2)
    core.worker(start=1, online=False)
    assert "cpu" in core.core.workers


def test_a_clip_expires_at_its_exact_age() -> None:
    core = CoreDriver(settings=CoreSettings(expire_after=100))
    clip = core.clip(1, last=True)
    core.turn(99.999)
    assert core.settled() == []
    core.turn(0.001)
    assert core.settled() == [(clip.id, "expired")]
    assert "Start a worker" in core.outcomes()[0].reason


def test_nothing_is_sent_while_the_broker_is_away(core: CoreDriver) -> None:
    core.worker()
    core.do(BusChanged(up=False))
    clip = core.clip(1)
    assert core.jobs() == []
    core.do(BusChanged(up=True))
    assert [job.clip.id for job in core.jobs()] == [clip.id]


def test_a_job_that_was_not_delivered_waits_without_counting_a_try(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    token = core.job_of(clip).job.token
    core.do(SendFailed(clip.id, token, "refused"))
    assert len(core.jobs()) == 1, "not in the same instant"
    core.turn(PAUSE)
    assert core.core.leases[clip.id][0].item.attempts == 0
    assert core.job_of(clip).job.token > token


def test_a_worker_that_is_not_subscribed_yet_gets_its_jobs_when_it_announces_itself(core: CoreDriver) -> None:
    core.worker()
    first, second = core.clip(1, recording=1), core.clip(2, recording=2)
    core.do(WorkerAbsent("cpu", first.id, core.job_of(first).job.token))
    assert sorted(core.core.waiting) == [first.id, second.id]
    core.worker()
    assert [job.clip.id for job in core.jobs()[2:]] == [first.id, second.id]
    assert {leases[0].item.attempts for leases in core.core.leases.values()} == {0}


def test_a_clip_whose_file_is_gone_fails_with_the_reason(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1, last=True)
    core.do(MediaLost(clip.id, "clips/…: no such file"))
    assert core.outcomes()[0].reason == "clips/…: no such file"


def test_the_faster_worker_gets_the_clip_and_the_slow_one_is_not_fed_the_last(core: CoreDriver) -> None:
    core.worker("fast", fps=100, start=1)
    core.worker("slow", fps=1, start=2)
    clips = [core.clip(n, recording=n) for n in range(1, 4)]
    assert [job.worker for job in core.jobs()] == ["fast", "fast"]
    assert list(core.core.waiting) == [clips[2].id]


def test_ids_sort_in_the_order_they_were_given(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, last=True), track())
    assert core.events()[0].after.id == an_id(0xE001)


def test_what_one_worker_cannot_read_another_may(core: CoreDriver) -> None:
    """An old decoder, or none: were its word final, it would end clip after clip, and faster than others."""
    core.worker("old", start=1)
    clip = core.clip(1, last=True)
    core.worker("new", start=2)
    core.answer(clip, state="failed", reason="not a video")
    assert core.settled() == []
    assert core.job_of(clip).worker == "new"
    assert core.core.pool.leases[clip.id][0].item.attempts == 1
    core.answer(clip, start=2)
    assert core.settled() == [(clip.id, "done")]


def test_what_two_workers_cannot_read_is_given_up_with_the_reason(core: CoreDriver) -> None:
    core.worker("a", start=1)
    clip = core.clip(1, last=True)
    core.worker("b", start=2)
    core.worker("c", start=3)
    core.answer(clip, state="failed", reason="not a video")
    core.answer(clip, state="failed", reason="not a video either", start=2)
    assert [(o.state, o.reason) for o in core.outcomes()] == [("failed", "not a video either")]
