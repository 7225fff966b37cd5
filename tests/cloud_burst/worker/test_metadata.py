"""What an instance is told about itself, asked as EC2 wants it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from meerkat_cloud_burst.emulated.metadata import MetadataService
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.worker import starting
from meerkat_cloud_burst.worker.metadata import Identity, Metadata, Notice, NoticeWatch, Unanswered
from support.wait import wait_for

LAUNCHED = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


class Service(MetadataService):
    """Answers can be replaced, and tokens forgotten."""

    def __init__(self) -> None:
        super().__init__("i-0123", "eu-central-1")
        self.answers: dict[str, str] = {}

    def answer(self, path: str) -> str | None:
        return self.answers.get(path, super().answer(path))

    def forget_tokens(self) -> None:
        self._tokens.clear()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def client(service: Service) -> Metadata:
    return Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.endpoint + "/"}, timeout=5)


def test_an_instance_knows_its_name_its_region_and_its_launch(service: Service) -> None:
    document = '{"instanceId": "i-0123", "region": "eu-west-1", "pendingTime": "2026-11-20T08:15:00Z"}'
    service.answers["dynamic/instance-identity/document"] = document
    assert client(service).identity() == Identity("i-0123", "eu-west-1", LAUNCHED)


def test_without_a_launch_time_the_rest_is_known(service: Service) -> None:
    service.answers["dynamic/instance-identity/document"] = '{"region": "eu-west-1"}'
    assert client(service).identity() == Identity("i-0123", "eu-west-1", None)


def test_a_proxy_is_not_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client(service).identity() is not None


def test_elsewhere_there_is_no_identity(unused_address: str) -> None:
    assert Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": unused_address}).identity() is None


def test_a_machine_that_costs_money_works_only_if_it_can_end_itself(
    unused_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "PAUSES", (0.001, 0.001))
    elsewhere = Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": unused_address})
    assert starting.identify(elsewhere, needed=False) is None
    with pytest.raises(CloudError, match="add --stay"):
        starting.identify(elsewhere, needed=True)


def test_who_it_is_may_be_known_only_after_a_moment(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "PAUSES", (0.001, 0.001))
    metadata = client(service)
    ask, answers = metadata.identity, [None, None]
    monkeypatch.setattr(metadata, "identity", lambda: answers.pop() if answers else ask())
    found = starting.identify(metadata, needed=True)
    assert found is not None
    assert found.instance == "i-0123"


def test_switched_off_nobody_is_asked(service: Service) -> None:
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.endpoint, "AWS_EC2_METADATA_DISABLED": "True"}
    assert Metadata(environment).identity() is None
    assert not service._tokens


def test_a_notice_comes_with_its_time(service: Service) -> None:
    metadata = client(service)
    assert metadata.notice() is None
    service.interrupt(LAUNCHED)
    assert metadata.notice() == Notice("terminate", LAUNCHED)


def test_a_token_whose_time_is_over_is_asked_for_anew(service: Service) -> None:
    metadata = client(service)
    assert metadata.notice() is None
    service.forget_tokens()
    assert metadata.notice() is None


def test_silence_is_not_the_absence_of_a_notice(unused_address: str) -> None:
    with pytest.raises(Unanswered):
        Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": unused_address}).notice()


def test_nonsense_is_not_the_absence_of_a_notice(service: Service) -> None:
    service.answers["meta-data/spot/instance-action"] = "<html>"
    with pytest.raises(Unanswered, match="no JSON object"):
        client(service).notice()


def test_the_watch_tells_the_first_notice_once_though_the_service_was_away(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Notice] = []
    service.answers["meta-data/spot/instance-action"] = "<html>"
    watch = NoticeWatch(client(service), told.append, seconds=0.01)
    watch.start()
    wait_for(lambda: "is not known" in caplog.text)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=120)
    service.interrupt(at)
    del service.answers["meta-data/spot/instance-action"]
    wait_for(lambda: told)
    assert told == [Notice("terminate", at)]
    assert caplog.text.count("is not known") == 1
    watch.stop()


@pytest.fixture
def unused_address() -> Iterator[str]:
    """A port that is taken and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
