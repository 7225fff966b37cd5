"""What is let in as a video, and how long it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.errors import MediaError
from meerkat_hub.container import SLOWEST, check_video
from support.media import make_clip


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("container") / "clip.mp4", seconds=3, fps=5).read_bytes()


def test_an_mp4_tells_its_duration(mp4: bytes) -> None:
    video = check_video(mp4, where="clip")
    assert video.content_type == "video/mp4"
    assert video.duration == pytest.approx(3.0, abs=0.25)


@pytest.mark.parametrize(("suffix", "kind"), [(".mkv", "video/x-matroska"), (".ts", "video/mp2t")])
def test_other_containers_are_known_and_their_duration_is_guessed_long(
    tmp_path: Path, suffix: str, kind: str
) -> None:
    data = make_clip(tmp_path / f"clip{suffix}", seconds=2, fps=5).read_bytes()
    video = check_video(data, where="clip")
    assert video.content_type == kind
    assert video.duration == len(data) / SLOWEST


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_mp4_is_refused_with_the_place(mp4: bytes, share: float) -> None:
    with pytest.raises(MediaError, match=r"truncated|missing"):
        check_video(mp4[: int(len(mp4) * share)], where="clip")


@given(st.data())
def test_no_bytes_break_the_check(mp4: bytes, data: st.DataObject) -> None:
    """Whatever is overwritten: a video or a MediaError, and a duration that is a number of seconds."""
    damaged = bytearray(mp4)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        video = check_video(damaged, where="clip")
    except MediaError:
        return
    assert video.duration >= 0
