"""What a provider publishes, kept fresh: its metadata and its keys."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import httpx2
from joserfc.jwk import Key

from auth.errors import ProviderUnavailable
from auth.events import log_change
from auth.keys import JwksCache
from auth.pauses import Pauses, Sleep, repeat
from auth.people.discovery import Metadata, discover
from auth.people.id_token import signing_key
from auth.providers import ProviderSettings
from auth.web import fetch_json

METADATA_SECONDS = 3600.0
FAILURE_PAUSES = (0.25, 30.0)
"""First and longest pause after a discovery that failed."""


class Published:
    """Attributes:
    fetches: how many of the metadata there were, by "ok" and "failed".
    """

    def __init__(
        self, config: ProviderSettings, *, http: httpx2.AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.fetches: Counter[str] = Counter()
        self._config = config
        self._http = http
        self._monotonic = monotonic
        self._failure: ProviderUnavailable | None = ProviderUnavailable("not asked yet")
        self._logged_problem: str | None = None
        self._metadata: Metadata | None = None
        self._keys: JwksCache[Key] | None = None
        self._asking = asyncio.Lock()
        self._asked = self._due = float("-inf")

    @property
    def known(self) -> Metadata | None:
        """The metadata, as far as it is held."""
        return self._metadata

    @property
    def ready(self) -> bool:
        """True when people can sign in with the provider, as far as is known."""
        return self._keys is not None and self._keys.ready

    @property
    def problem(self) -> str | None:
        """What is wrong, as one line for the operator."""
        if self._failure:
            return self._failure.reason
        return self._keys.problem if self._keys else None

    @property
    def known_keys(self) -> JwksCache[Key] | None:
        """What `keys` gives, as far as it is held."""
        return self._keys

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Keep metadata and keys fresh until cancelled."""
        await repeat(self.refresh_when_due, pauses=Pauses(*FAILURE_PAUSES), sleep=sleep)

    async def refresh_when_due(self) -> float:
        """Fetch what of metadata and keys is old.

        Returns:
            The seconds until this is to be called again.

        Raises:
            ProviderUnavailable.
        """
        if self._monotonic() >= self._due:
            async with self._asking:
                await self._discover()
        assert self._keys is not None
        return min(await self._keys.refresh_when_due(), max(self._due - self._monotonic(), 0))

    async def metadata(self) -> Metadata:
        """What the provider says of itself: what is held, else asked for now.

        Raises:
            ProviderUnavailable: nothing is held and the provider does not answer as an OpenID provider would.
        """
        if self._metadata is None:
            async with self._asking:
                if self._failure and self._monotonic() - self._asked < FAILURE_PAUSES[0]:
                    raise type(self._failure)(self._failure.reason)
                if self._metadata is None:
                    await self._discover()
        assert self._metadata is not None
        return self._metadata

    async def _discover(self) -> None:
        self._asked = self._monotonic()
        try:
            metadata = await discover(self._http, self._config)
        except Exception as error:
            self._failure = error if isinstance(error, ProviderUnavailable) else ProviderUnavailable(repr(error))
            self._log_problem()
            raise
        if self._keys is None or self._keys.url != metadata.jwks_uri:
            self._keys = JwksCache(
                metadata.jwks_uri,
                fetch=lambda address: fetch_json(self._http, address),
                parse=signing_key,
                now=self._monotonic,
            )
        self._metadata = metadata
        self._due = self._monotonic() + METADATA_SECONDS
        self._failure = None
        self._log_problem()

    def _log_problem(self) -> None:
        self.fetches["failed" if self._failure else "ok"] += 1
        reason = self._failure.reason if self._failure else None
        self._logged_problem = log_change(self._config.name, self._logged_problem, reason, provider=self._config.name)

    async def keys(self) -> JwksCache[Key]:
        """The keys that its tokens are verified with, wherever they are published by now.

        Raises:
            ProviderUnavailable: as `metadata`.
        """
        await self.metadata()
        assert self._keys is not None
        return self._keys
