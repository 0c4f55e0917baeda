"""An issuer's keys, kept fresh: there before the first request, never fetched by a request that can do without."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from auth.errors import KeysUnavailable, UnknownKey
from auth.events import log_change
from auth.pauses import Pauses, Sleep, repeat
from auth.web import FetchFailed

# Seconds. A withdrawn key is refused after REFRESH at the latest; a new one is seen at its first use, by `find`.
REFRESH = 300.0
USABLE = 24 * 3600.0
ASKING_PAUSE = 10.0
FAILURE_PAUSES = (1.0, 30.0)
"""First and longest pause after a fetch that failed."""

K = TypeVar("K")
_NO_KEYS: Mapping[str, Any] = MappingProxyType({})


class JWKS(BaseModel):
    """A JSON Web Key Set (RFC 7517 section 5). Its members are judged one by one, so that none can spoil the rest."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[Any, ...]


class JwksCache(Generic[K]):
    """The key set at one address.

    Args:
        url: where the set is.
        fetch: the JSON object at an address; raises `FetchFailed`.
        parse: name and key of one JWK, or None where it is not for us; raises nothing. The name is its `kid`, or made
            of that and what else tokens choose a key by.
        now: seconds, on a clock that is never set back.

    Attributes:
        fetches: how many were "ok" and how many "failed".
        revision: another number after a key has left. What was verified under an earlier one is to be verified anew.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Awaitable[dict[str, Any]]],
        parse: Callable[[Mapping[str, Any]], tuple[str, K] | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.revision = 0
        self.fetches: Counter[str] = Counter()
        self._fetch = fetch
        self._parse = parse
        self._now = now
        self._keys: Mapping[str, K] = _NO_KEYS
        self._usable_until = self._due = self._may_ask = now()
        self._pauses = Pauses(*FAILURE_PAUSES)
        self._fault: str | None = "has not been asked yet"
        self._logged_fault: str | None = None
        self._flight: asyncio.Task[None] | None = None

    @property
    def keys(self) -> Mapping[str, K]:
        """The keys held, by name: none once nothing was heard of them for a day."""
        return self._keys if self._now() < self._usable_until else _NO_KEYS

    def get(self, name: str) -> K | None:
        """The key of that name if it is held. Touches no network."""
        return self._keys.get(name) if self._now() < self._usable_until else None

    @property
    def ready(self) -> bool:
        return bool(self.keys)

    @property
    def problem(self) -> str | None:
        """What is wrong, as one line for the operator; None after a fetch that went well."""
        if self._fault is None:
            return None
        left = (self._usable_until - self._now()) / 3600
        held = f"the keys held serve for another {left:.1f} h" if self.ready else "no keys are held"
        return f"{self.url} {self._fault}; {held}"

    async def find(self, *names: str) -> K:
        """The key of the first of these names that there is, asked for where none is held.

        Raises:
            UnknownKey: the issuer does not publish it.
            KeysUnavailable: the issuer cannot be asked, so that nobody can say.
        """
        while (key := next((found for name in names if (found := self.get(name)) is not None), None)) is None:
            if not await self.ask():
                if self.problem is not None:
                    raise KeysUnavailable(self.problem)
                raise UnknownKey(f"{self.url} holds no such key", actual=names[-1], expected=sorted(self.keys))
        return key

    async def load(self) -> Mapping[str, K]:
        """The keys, asked for where none are held.

        Raises:
            KeysUnavailable.
        """
        if not self.ready:
            await self.ask()
        if not self.ready:
            raise KeysUnavailable(self.problem or "")
        return self.keys

    async def ask(self) -> bool:
        """Fetch for the sake of a request, and say whether there is something new to look at.

        A fetch that is under way is waited for. None is begun, and the answer is False, within 10 seconds of the last
        that a request caused, or while the pause after a failure lasts: so no flood of requests becomes one of fetches.
        """
        if not self._is_fetching:
            now = self._now()
            if now < self._may_ask or (self._fault and now < self._due):
                return False
            self._may_ask = now + ASKING_PAUSE
        await self._refreshed()
        return True

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Load the keys, then keep them fresh until cancelled."""
        await repeat(self.refresh_when_due, pauses=Pauses(*FAILURE_PAUSES), sleep=sleep)

    async def refresh_when_due(self) -> float:
        """Fetch if the keys are old, or if the pause after a failure is over.

        Returns:
            The seconds until this is to be called again: few, for a fetch that a request caused may fail meanwhile.
        """
        if self._now() >= self._due:
            await self._refreshed()
        return min(max(self._due - self._now(), 0), FAILURE_PAUSES[1])

    @property
    def _is_fetching(self) -> bool:
        return self._flight is not None and not self._flight.done()

    async def _refreshed(self) -> None:
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._refresh())
        await asyncio.shield(self._flight)  # whoever stops waiting takes the fetch from nobody else

    async def _refresh(self) -> None:
        before = self._keys
        try:
            self._keys = await self._fetched()
        except (Exception, asyncio.CancelledError) as error:  # whatever it is, those who wait have to go on
            self._due = self._now() + self._pauses.next()
            self._fault = str(error) if isinstance(error, FetchFailed) else f"cannot be used: {error!r}"
            self._keys = self.keys
        else:
            self._pauses.reset()
            self._due = self._now() + REFRESH
            self._usable_until = self._now() + USABLE
            self._fault = None
        self.fetches["failed" if self._fault else "ok"] += 1
        self._logged_fault = log_change(self.url, self._logged_fault, self._fault)
        if any(self._keys.get(kid) != key for kid, key in before.items()):
            self.revision += 1

    async def _fetched(self) -> Mapping[str, K]:
        try:
            members = JWKS.model_validate(await self._fetch(self.url)).keys
        except ValidationError as error:
            raise FetchFailed("is not a key set") from error
        parsed = [self._parse(member) for member in members if isinstance(member, Mapping)]
        keys = dict(found for found in parsed if found is not None)
        if not keys:
            raise FetchFailed("holds no usable key")
        return MappingProxyType(keys)
