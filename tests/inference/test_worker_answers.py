from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

from meerkat_contract.errors import BrokerError, MeerkatError, MessageTooLarge
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Result, Sighting, Track, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery
from meerkat_inference.answers import ATTEMPTS, LIMIT, Answers

AT = datetime(2026, 11, 20, tzinfo=UTC)


def result(*, picture: bytes | None = None) -> Result:
    sighting = Sighting(at=0, score=0.9, box=(0.1, 0.1, 0.2, 0.2))
    track = Track(
        track=0,
        label="person",
        score=0.9,
        hits=1,
        sightings=(sighting,),
        best=sighting,
        picture=picture and b64encode(picture),
    )
    return Result(job=new_id(), token=1, incarnation=new_id(), state="done", tracks=(track,))


class Wire:
    """Takes what is published; the test decides on its fate."""

    def __init__(self) -> None:
        self.sent: list[tuple[Result, Delivery]] = []

    def publish(self, payload: bytes, metadata: Metadata) -> Delivery:
        answer = read(Result, payload)
        assert metadata.id == answer.job
        self.sent.append((answer, Delivery()))
        return self.sent[-1][1]

    def settle(self, error: MeerkatError | None = None) -> None:
        for _, delivery in self.sent:
            delivery.finish(error)

    @property
    def jobs(self) -> list[str]:
        return [answer.job for answer, _ in self.sent]


def test_a_delivered_answer_is_forgotten() -> None:
    wire = Wire()
    answers = Answers(wire.publish)
    answers.send(result(), AT)
    assert not answers.wait_empty(0)
    wire.settle()
    assert answers.wait_empty(0)
    answers.resend()
    assert len(wire.sent) == 1


def test_what_the_broken_connection_lost_goes_out_again_in_order() -> None:
    wire = Wire()
    answers = Answers(wire.publish)
    first, second = result(), result()
    answers.send(first, AT)
    answers.send(second, AT)
    wire.settle(BrokerError("the connection was lost"))
    assert wire.jobs == [first.job, second.job]
    answers.resend()
    assert wire.jobs[2:] == [first.job, second.job]
    answers.resend()  # both are under way
    assert len(wire.sent) == 4
    wire.settle()
    assert answers.wait_empty(0)
    assert answers.given_up == 0


def test_an_answer_is_tried_over_so_many_connections_and_then_given_up() -> None:
    wire = Wire()
    answers = Answers(wire.publish)
    answers.send(result(), AT)
    for _ in range(ATTEMPTS):
        wire.settle(BrokerError("not authorised"))
        answers.resend()
    assert len(wire.sent) == ATTEMPTS
    assert answers.given_up == 1
    assert answers.wait_empty(0)


def test_the_oldest_gives_way_beyond_the_limit() -> None:
    wire = Wire()
    answers = Answers(wire.publish)
    for _ in range(LIMIT + 1):
        answers.send(result(), AT)
    oldest = wire.jobs[0]
    wire.settle(BrokerError("offline"))
    answers.resend()
    assert len(wire.sent) == 2 * LIMIT + 1
    assert oldest not in wire.jobs[LIMIT + 1 :]


def test_an_answer_too_large_for_the_broker_goes_without_its_pictures() -> None:
    wire = Wire()
    answers = Answers(wire.publish)
    answers.send(result(picture=b"jpeg"), AT)
    wire.settle(MessageTooLarge("too large"))
    assert len(wire.sent) == 2
    bare = wire.sent[1][0]
    assert bare.tracks[0].picture is None
    assert bare.tracks[0].best == wire.sent[0][0].tracks[0].best
    wire.settle(MessageTooLarge("too large still"))
    assert answers.given_up == 1
