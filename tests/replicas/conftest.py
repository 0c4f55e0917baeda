"""Two replicas of the app behind nginx, with a Redis between them and a provider beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from auth.providers import ProviderSettings
from auth.settings import Settings
from tests.replicas.servers import Nginx, Replica
from tests.replicas.visitor import Visitor
from tests.support.provider import Provider
from tests.support.servers import RedisServer
from tests.support.settings import sound_settings

PUBLIC_URL = "https://app.example.com"


def settings_for(provider: ProviderSettings) -> Settings:
    """Those that an app at `PUBLIC_URL` is run with, as far as browsers see them."""
    return sound_settings(public_url=PUBLIC_URL, providers=(provider,))


class House:
    """What the tests of replicas start: `one` and `two` are the replicas, of which `one` trusts nginx."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.redis = RedisServer()
        provider = self.provider.settings("acme")
        self.settings = settings_for(provider)
        self.one, self.two = (
            Replica(self.settings, provider=provider, redis=self.redis.url, trusts=trusts)
            for trusts in ("", "192.0.2.1")
        )
        self.nginx = Nginx(self.one.port, self.two.port)

    @property
    def replicas(self) -> tuple[Replica, Replica]:
        return self.one, self.two


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House()
    with ExitStack() as stack:
        for server in (house.provider, house.redis):
            stack.enter_context(server)
        for replica in house.replicas:
            stack.callback(replica.close)
            replica.start(wait=False)
        for replica in house.replicas:
            replica.wait()
        stack.enter_context(house.nginx)
        yield house


@pytest.fixture
def visit(house: House) -> Iterator[Callable[..., Visitor]]:
    """Somebody new, through nginx unless a replica is named; with `cookie_of`, with the session of another browser."""
    with ExitStack() as stack:

        def new(through: Replica | None = None, *, cookie_of: Visitor | None = None) -> Visitor:
            visitor = stack.enter_context(Visitor(through or house.one, through or house.nginx))
            if cookie_of is not None:
                visitor.cookie = cookie_of.cookie
            return visitor

        yield new
