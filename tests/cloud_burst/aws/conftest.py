from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from cloud_support.emulator import Emulator, running_emulator


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
