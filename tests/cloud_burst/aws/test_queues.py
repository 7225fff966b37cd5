from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from cloud_support.emulator import Emulator
from cloud_support.orders import order
from meerkat_cloud_burst.aws import queues
from meerkat_cloud_burst.aws.queues import SqsOrderQueue, SqsResultQueue
from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.messages import RECEIVES, Announced, Life
from meerkat_cloud_burst.ports import QueueState, Received
from meerkat_contract.ids import new_id


@pytest.fixture
def orders(aws: Emulator, stack: Mapping[str, str]) -> SqsOrderQueue:
    return SqsOrderQueue(aws.clients, stack["Jobs"], stack["Dead"])


@pytest.fixture
def results(aws: Emulator, stack: Mapping[str, str]) -> SqsResultQueue:
    return SqsResultQueue(aws.clients, stack["Results"])


def take(orders: SqsOrderQueue) -> Received:
    received = orders.receive(1)
    assert received is not None
    return received


def test_an_order_is_taken_once_and_deleted(orders: SqsOrderQueue) -> None:
    wanted = order()
    orders.send(wanted)
    assert orders.look() == QueueState(waiting=1)
    received = take(orders)
    assert (received.order, received.receives) == (wanted, 1)
    assert orders.look() == QueueState(taken=1)
    assert orders.receive(0) is None
    orders.delete(received.receipt)
    assert orders.look() == QueueState()
    orders.delete(received.receipt)  # twice is no error


def test_an_order_given_back_is_taken_again_and_counted(orders: SqsOrderQueue) -> None:
    orders.send(order())
    orders.prolong(take(orders).receipt, 0)
    assert take(orders).receives == 2


def test_an_order_taken_too_often_is_a_dead_letter_until_it_is_buried(orders: SqsOrderQueue) -> None:
    wanted = order()
    orders.send(wanted)
    for _ in range(RECEIVES):
        orders.prolong(take(orders).receipt, 0)
    assert orders.receive(0) is None
    assert orders.look() == QueueState(dead=1)
    [letter] = orders.dead_letters()
    assert letter.order == wanted
    assert orders.look() == QueueState(dead=1)
    orders.bury(letter.receipt)
    assert orders.look() == QueueState()


def test_a_receipt_that_was_never_given_is_gone(orders: SqsOrderQueue) -> None:
    with pytest.raises(Gone, match="queue"):
        orders.prolong("no receipt", 5)


def test_what_is_no_order_is_told_counted_and_deleted(
    orders: SqsOrderQueue,
    aws: Emulator,
    stack: Mapping[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    aws.client("sqs").send_message(QueueUrl=stack["Jobs"], MessageBody="{}")
    with caplog.at_level(logging.WARNING):
        assert orders.receive(1) is None
    assert orders.unreadable == 1
    assert "cannot be read and is deleted" in caplog.text
    assert orders.look() == QueueState()


def test_results_and_lives_arrive_with_receipts(results: SqsResultQueue) -> None:
    said = [Announced(job=new_id(), token=3, key="results/x.json"), Life(worker="i-1", what="ready", boot=41)]
    for message in said:
        results.announce(message)
    received = [*results.receive(1), *results.receive(0)]
    assert sorted(str(message) for message, _ in received) == sorted(map(str, said))
    results.give_back([receipt for _, receipt in received])
    again = [*results.receive(1), *results.receive(0)]
    assert len(again) == 2
    results.delete([receipt for _, receipt in again])
    assert not results.receive(0)


def test_more_results_are_deleted_than_one_request_takes(
    results: SqsResultQueue, aws: Emulator, stack: Mapping[str, str]
) -> None:
    for _ in range(13):
        results.announce(Announced(job=new_id(), token=0))
    receipts: list[str] = []
    while len(receipts) < 13:
        receipts += [receipt for _, receipt in results.receive(1)]
    results.delete(receipts)
    told = aws.client("sqs").get_queue_attributes(
        QueueUrl=stack["Results"], AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert told["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    results.delete(receipts)  # what is deleted already is no error


def test_what_is_no_result_is_deleted_and_the_others_arrive(
    results: SqsResultQueue, aws: Emulator, stack: Mapping[str, str]
) -> None:
    aws.client("sqs").send_message(QueueUrl=stack["Results"], MessageBody="hello")
    results.announce(Announced(job=new_id(), token=0))
    received = [*results.receive(1), *results.receive(0)]
    assert len(received) == 1
    assert results.unreadable == 1


def test_a_life_that_waited_too_long_says_nothing_of_now(
    results: SqsResultQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.announce(Life(worker="i-1", what="ready"))
    results.announce(Announced(job=new_id(), token=0))
    monkeypatch.setattr(queues, "FRESH", -1)
    received = [*results.receive(1), *results.receive(0)]
    assert [type(message) for message, _ in received] == [Announced]
