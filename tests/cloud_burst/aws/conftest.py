from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from botocore.retries.standard import ExponentialBackoff

from cloud_support.emulator import Emulator, running_emulator
from cloud_support.refusing_server import RefusingServer
from meerkat_cloud_burst.aws.opening import Cloud, open_cloud


@pytest.fixture(scope="package")
def aws() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="package")
def _made(aws: Emulator) -> Mapping[str, str]:
    return aws.make_stack()


@pytest.fixture
def stack(aws: Emulator, _made: Mapping[str, str]) -> Mapping[str, str]:
    """The outputs of a stack of two instances at most, empty."""
    aws.empty_stack(_made)
    return _made


@pytest.fixture(scope="package")
def cloud(aws: Emulator, _made: Mapping[str, str]) -> Cloud:
    """What the product makes of that stack; shared, as opening it costs a second of work."""
    return open_cloud(aws.settings())


@pytest.fixture
def server(_server: RefusingServer) -> RefusingServer:
    """It has been asked nothing yet."""
    _server.asked.clear()
    return _server


@pytest.fixture(scope="package")
def _server(aws: Emulator) -> Iterator[RefusingServer]:
    server = RefusingServer()
    with pytest.MonkeyPatch.context() as patch:  # boto3 rests between its tries
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        yield server
    server.close()
