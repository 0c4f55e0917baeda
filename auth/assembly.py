"""The parts of one app, put together from its settings."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Router
from starlette.types import ASGIApp, Scope

from auth.access import named_groups
from auth.errors import AuthError
from auth.findings import Finding, ok, wrong
from auth.gate import Authentication, Gate
from auth.grants import Documents, Grants, GrantServer
from auth.identity import Identity
from auth.local import LocalCognito, LocalProvider, ThisMachine
from auth.people import Provider, admit, examine_provider
from auth.programs import CognitoVerifier, cognito_verifier, examine_pool
from auth.sessions import MemoryRevocations, RedisRevocations, SessionCookie, Sessions, StepCookies
from auth.settings import Settings, SettingsError
from auth.web import (
    DIRECT,
    Answers,
    LingeringClose,
    Pages,
    ProtectedResources,
    PublicAddress,
    PublicFetch,
    RequestId,
    SecurityHeaders,
    fetch_json,
)

START_SECONDS = 0.1
SHARE_SECONDS = 2.0


class Auth:
    """Everything that establishes who is calling, for one app.

    Args:
        home: where people go when they have signed in, unless they were going elsewhere.
        sign_in: where people go to sign in; its query says `reason`, a key of `auth.web.REASONS`, and `next`.
        now: wall-clock time in epoch seconds.

    Raises:
        SettingsError: the settings contradict one another.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        home: str = "/gradio/",
        sign_in: str = "/login-demo/",
        now: Callable[[], float] = time.time,
    ) -> None:
        if problems := settings.problems():
            raise SettingsError(problems)
        self.now = now
        self.home = home
        self.settings = settings = settings.completed()
        self.site = site = settings.site
        self.security = SecurityHeaders(
            is_https=settings.is_https, framed=settings.cookie_samesite == "none", configured=settings.page_policy
        )
        self.pages = Pages(
            app_title=settings.app_title,
            prefix=site.prefix,
            security=self.security,
            logo=bool(settings.app_logo),
            contact=settings.contact,
        )
        tls = httpx2.create_ssl_context()  # takes 25 ms to make, and Authlib would make one for each request
        self._http = httpx2.AsyncClient(timeout=10.0, verify=tls, mounts=DIRECT)
        self.local = Router(redirect_slashes=False, middleware=[Middleware(ThisMachine)])

        configured = list(settings.providers)
        if not configured:
            local = LocalProvider(
                base=site.base_url, pages=self.pages, allowed_domains=settings.allowed_domains, now=now
            )
            configured = [local.provider]
            self.local.routes += local.routes
        pool, self._is_local_pool = settings.user_pool, False
        if pool is None and settings.is_local:
            issuer = LocalCognito(
                base_url=site.base_url, scopes=settings.api_scopes, audiences=settings.api_audience, now=now
            )
            pool = issuer.user_pool
            self._is_local_pool = True
            self.local.routes += issuer.routes

        self.shared = _shared_revocations(settings, now)
        self.revocations = self.shared or MemoryRevocations(now=now)
        self._entrance = settings.entrance
        self.sessions = Sessions(
            {provider.name: provider for provider in configured},
            self.revocations,
            entrance=[
                sorted(settings.allowed_emails),
                sorted(settings.allowed_domains),
                sorted(settings.allowed_groups),
            ],
            named_groups=named_groups,
            lifetime=settings.session_hours * 3600,
            idle=settings.session_idle_minutes * 60,
            pictures=settings.profile_pictures,
            now=now,
        )
        self.step_cookies = StepCookies(site=site, same_site=settings.cookie_samesite)
        self.providers = {
            config.name: Provider(
                config,
                redirect_uri=site.base_url + config.callback_path,
                http=self._http,
                tls=tls,
                wants_groups=lambda: bool(self.sessions.named_groups),
                now=now,
            )
            for config in configured
        }
        self.verifier: CognitoVerifier | None = None
        if pool:
            self.verifier = cognito_verifier(pool, fetch=lambda url: fetch_json(self._http, url), now=now)
        self.gates: list[Gate] = []
        self.checks: list[Callable[[], str | None]] = []
        """What must hold for anybody to be served; each says what is wrong, None where nothing is."""
        self.programs = self._programs(settings) if settings.has_people_tokens else None
        issuers = [site.base_url] if self.programs else []
        issuers += self.verifier.key_sets if self.verifier else []
        self.resources = (
            ProtectedResources(site, authorization_servers=issuers, scopes=settings.api_scopes) if issuers else None
        )
        self.answers = Answers(site, self.pages, resources=self.resources, home=home, sign_in=sign_in)

    def _programs(self, settings: Settings) -> GrantServer:
        """What lets people connect programs."""
        base_url, keys = settings.base_url, [*reversed(settings.signing_keys)]
        grants = Grants(
            keys=keys,
            place=base_url,
            scopes=settings.api_scopes,
            sessions=self.sessions,
            revocations=self.revocations,
            lifetime=settings.session_hours * 3600,
            now=self.now,
        )
        return GrantServer(
            base_url,
            grants=grants,
            documents=Documents(PublicFetch(self._http), now=self.now),
            # On this machine alone the keys may be made anew at each start, and what a program has registered is to
            # outlive that. Whoever could make a client id there could as well register.
            registration_keys=[base_url] if settings.is_local else keys,
            consent_keys=keys,
            scopes=settings.api_scopes,
            now=self.now,
        )

    def identify_callers(self, app: FastAPI) -> None:
        """Have each request say who is calling, and errors answered in one place. By itself this refuses nobody:
        `gate`, and dependencies of routes, do.
        """
        # The outermost layer is added last.
        app.add_middleware(
            Authentication,
            base_url=self.site.base_url,
            sessions=self.sessions,
            verifier=self.verifier,
            grants=self.programs.grants if self.programs else None,
            session_cookie=partial(
                SessionCookie,
                site=self.site,
                keys=self.settings.signing_keys,
                lifetime=self.settings.session_hours * 3600,
                same_site=self.settings.cookie_samesite,
            ),
        )
        app.add_middleware(PublicAddress, site=self.site, answers=self.answers, security=self.security)
        app.add_middleware(LingeringClose)
        app.add_middleware(RequestId, trusted_proxies=self.settings.forwarded_allow_ips)
        for kind in (AuthError, HTTPException, Exception):
            app.add_exception_handler(kind, self.answers.to_exception)

    def gate(self, app: ASGIApp, *, closing_message: Callable[[Scope], bytes | None] = lambda scope: None) -> Gate:
        """`app` for callers with an identity alone; a stream ends with its identity, or with a closing message."""
        gate = Gate(app, answers=self.answers, scopes=self.settings.api_scopes, closing_message=closing_message)
        self.gates.append(gate)
        return gate

    def admit(self, provider: str, claims: Mapping[str, Any]) -> Identity:
        """Who these verified claims of that provider name to the rules of who may do what.

        Raises:
            NotAllowed: they may not enter.
        """
        return admit(self._entrance, self.providers[provider].config, claims, named_groups=self.sessions.named_groups)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Keep providers' metadata and keys fresh while the app serves, and share revocations.

        Nothing here fails the start, and only what was signed out elsewhere is waited for, `SHARE_SECONDS` at most.
        """
        _ = self.sessions.named_groups  # every rule that there is to be has been made
        keepers = [provider.published.run for provider in self.providers.values()]
        if self.verifier:
            keepers += [keys.run for keys in set(self.verifier.key_sets.values())]
        tasks = [asyncio.create_task(_once_listening(keeper)) for keeper in keepers]
        if self.shared:
            tasks.append(asyncio.create_task(self.shared.run()))
            await self.shared.settled(SHARE_SECONDS)
        try:
            yield
            if self.shared:
                await self.shared.settled(SHARE_SECONDS)  # the last sign-outs go out
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._http.aclose()

    async def examine(self) -> list[Finding]:
        """What can be found out from here about each provider, the user pool and Redis, by asking them now.

        They are asked as while the app serves, so that what fails here is what `readiness` would say.
        """
        looks = [
            examine_provider(self.providers[config.name], http=self._http, base_url=self.site.base_url, now=self.now)
            for config in self.settings.providers
        ]
        if self.verifier and (pool := self.settings.user_pool):
            looks.append(examine_pool(self.verifier, client_ids=pool.client_ids, http=self._http))
        if self.shared:
            looks.append(self._examine_redis(self.shared))
        try:
            return [finding for findings in await asyncio.gather(*looks) for finding in findings]
        finally:
            await self._http.aclose()

    async def _examine_redis(self, shared: RedisRevocations) -> list[Finding]:
        sharing = asyncio.create_task(shared.run())
        await shared.settled(SHARE_SECONDS)
        sharing.cancel()
        await asyncio.gather(sharing, return_exceptions=True)
        if not shared.problem:
            return [ok("Redis", "sign-outs are shared, and its clock and this machine's agree")]
        return [wrong("Redis", shared.problem, "Is REDIS_URL its address, with its password, and do the clocks agree?")]

    def readiness(self) -> tuple[list[str], bool]:
        """What fails just now, one line each, and whether anybody can come in all the same."""
        published = {provider.name: provider.published for provider in self.providers.values()}
        problems = [f"{name}: {one.problem}" for name, one in published.items() if one.problem]
        ready = any(one.ready for one in published.values())
        if self.shared and self.shared.problem:
            problems.append(f"redis: {self.shared.problem}")
        if self.verifier:
            key_sets = set(self.verifier.key_sets.values())
            problems += [f"cognito: {keys.problem}" for keys in key_sets if keys.problem]
            ready = ready or (not self._is_local_pool and any(keys.ready for keys in key_sets))
        faults = [fault for check in self.checks if (fault := check())]
        return problems + faults, ready and not faults


def _shared_revocations(settings: Settings, now: Callable[[], float]) -> RedisRevocations | None:
    url = settings.redis_url.get_secret_value()
    try:
        return RedisRevocations(url, name=settings.base_url, now=now) if url else None
    except ValueError:
        raise SettingsError(["REDIS_URL is no address such as redis://:password@redis.example.com:6379/0."]) from None


async def _once_listening(keeper: Callable[[], Awaitable[None]]) -> None:
    """The local issuers are this very process: asked before it listens they would count as failing."""
    await asyncio.sleep(START_SECONDS)
    await keeper()
