"""Two people who are in, at the `house` of whichever module asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.isolation.support import Caller, person
from tests.support.app_server import AppServer


@pytest.fixture(scope="module")
def alice(house: AppServer) -> Iterator[Caller]:
    yield from person(house)


@pytest.fixture(scope="module")
def bob(house: AppServer) -> Iterator[Caller]:
    yield from person(house, sub="bob-2", name="Bob Example")
