"""What `meerkat watch` says of the cloud burst."""

from __future__ import annotations

import pytest

from meerkat_cli.watch import Told, in_words
from meerkat_contract.messages import BurstState, HubState
from meerkat_contract.session import Incoming

IDLE = BurstState(reason="no clip waits", ceiling_day=0.5)
BURST = IDLE.model_copy(
    update={"state": "burst", "reason": "of 3 clips 3 would be late", "in_cloud": 3, "desired": 2}
)


def state(burst: BurstState | None) -> Incoming:
    return Incoming("meerkat/hub/state", HubState(burst=burst).to_json(), content_type="application/json")


@pytest.mark.parametrize(
    ("burst", "words"),
    [
        (IDLE, "no clip waits"),
        (
            BURST,
            "3 clips out, 2 machines asked for, $0.00 spent today of $0.50: of 3 clips 3 would be late",
        ),
        (
            BURST.model_copy(update={"in_cloud": 1, "instances": 1, "desired": 2, "ceiling_day": 0}),
            "1 clip out, 1 machine, 1 machine asked for: of 3 clips 3 would be late",
        ),
        (
            IDLE.model_copy(update={"state": "trouble", "trouble": "no credentials. Type: aws configure"}),
            "cannot be used, the hub goes on at home: no credentials. Type: aws configure",
        ),
        (BurstState(), "idle"),
    ],
)
def test_it_is_told_in_a_sentence(burst: BurstState, words: str) -> None:
    assert in_words(state(burst)) == f"cloud: {words}"


def test_only_what_it_does_otherwise_is_news() -> None:
    """The hub says how it is every half second; seconds, cents and clips that come back are no news."""
    told = Told()

    def news(**changed: object) -> bool:
        message = state(BURST.model_copy(update=changed))
        return told.is_news(message, in_words(message))

    assert news()
    assert not news(in_cloud=2, reason="of 2 clips 2 would be late", spent_today=0.01)
    assert news(in_cloud=0)
    assert news(in_cloud=0, instances=1)
    assert news(in_cloud=0, instances=1, state="hold")
    assert news(in_cloud=0, instances=1, state="hold", trouble="it does not answer")
    assert not news(in_cloud=0, instances=1, state="hold", trouble="it does not answer")


def test_a_hub_without_a_cloud_is_quiet_unless_its_state_is_asked_for() -> None:
    message = state(None)
    words = in_words(message)
    assert words.startswith("meerkat/hub/state: {")
    assert not Told().is_news(message, words)
    assert Told(all_of_hub=True).is_news(message, words)


def test_what_cannot_be_read_is_said() -> None:
    message = Incoming("meerkat/hub/state", b"{", content_type="application/json")
    assert Told().is_news(message, words := in_words(message))
    assert "cannot be understood" in words
