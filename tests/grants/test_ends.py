"""The person stays in charge: what ends what they let programs do, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from auth import Auth
from auth.errors import AuthError, ConsentInvalid, SessionUnchecked, TokenRevoked
from auth.grants import Grants
from auth.grants.grant import Grant
from auth.grants.program import Program as Client
from auth.settings import Settings
from tests.support.app_server import Browser
from tests.support.clock import Clock
from tests.support.program import OWN_PAGE, Program
from tests.support.provider import Provider
from tests.support.settings import KEY, OLDER_KEY, sound_settings


def is_out(program: Program, tokens: Mapping[str, Any]) -> bool:
    """Neither the one token nor the other is good for anything."""
    used = program.call(tokens["access_token"]).status_code
    renewed = program.refresh(tokens["refresh_token"])
    assert (used, renewed.status_code) in ((200, 200), (401, 400)), (used, renewed.text)
    return used == 401


def sign_out_everywhere(browser: Browser) -> None:
    browser.sign_out(everywhere="1")


def end_all(browser: Browser) -> None:
    assert browser.post("/oauth/end-all", headers=OWN_PAGE).status_code == 204


def elsewhere(end: Callable[[Browser], None]) -> Callable[[Browser], None]:
    """In another browser of the same person."""

    def ended(browser: Browser) -> None:
        with Browser(browser.app) as other:
            other.sign_in()
            end(other)

    return ended


ENDS: dict[str, Callable[[Browser], None]] = {
    "sign out everywhere": sign_out_everywhere,
    "sign out everywhere, in another browser": elsewhere(sign_out_everywhere),
    "end all": end_all,
    "end all, in another browser": elsewhere(end_all),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_person_ends_what_they_granted(program: Program, ada: Browser, end: Callable[[Browser], None]) -> None:
    tokens = program.tokens(ada)
    end(ada)
    assert is_out(program, tokens)


def test_a_code_that_was_not_redeemed_ends_with_the_rest(program: Program, ada: Browser) -> None:
    code = program.code(ada)
    ada.post("/oauth/end-all", headers=OWN_PAGE)
    assert program.redeem(code).json()["error"] == "invalid_grant"


def test_what_is_granted_after_that_is_good(program: Program, ada: Browser) -> None:
    ada.post("/oauth/end-all", headers=OWN_PAGE)
    assert not is_out(program, program.tokens(ada))


def test_another_persons_end_is_not_this_ones(program: Program, ada: Browser, acme: Provider) -> None:
    tokens = program.tokens(ada)
    with acme.signing_in(sub="bob-1"), Browser(program.app) as bob:
        bob.sign_in()
        bob.post("/oauth/end-all", headers=OWN_PAGE)
        bob.sign_out(everywhere="1")
    assert not is_out(program, tokens)


def test_to_sign_out_of_one_browser_ends_that_session_alone(program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    ada.sign_out()
    assert ada.who() is None
    assert not is_out(program, tokens)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_sites_page_ends_nothing(program: Program, ada: Browser, headers: dict[str, str]) -> None:
    tokens = program.tokens(ada)
    assert ada.post("/oauth/end-all", headers=headers).status_code in (401, 403)
    assert ada.get("/oauth/end-all", headers=OWN_PAGE).status_code == 405
    assert not is_out(program, tokens)


def test_a_program_does_not_end_the_others(program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program.http.post("/oauth/end-all", headers=bearer).status_code == 400
    assert not is_out(program, tokens)


@pytest.mark.parametrize("idle", [True, False], ids=["the session was idle", "the session was in use"])
def test_a_grant_lives_as_long_as_a_session_may(program: Program, ada: Browser, clock: Clock, idle: bool) -> None:
    """`SESSION_HOURS` from the sign-in, however often it is renewed; idle time is a browser's affair."""
    tokens = program.tokens(ada)
    hours = program.app.settings.session_hours
    for _ in range(int(hours * 6) - 1):
        clock.advance(600)
        if not idle:
            ada.who()
        tokens = program.refresh(tokens["refresh_token"]).json()
        assert program.call(tokens["access_token"]).status_code == 200
    clock.advance(590)
    tokens = program.refresh(tokens["refresh_token"]).json()
    assert tokens["expires_in"] <= 10
    clock.advance(11)
    assert is_out(program, tokens)


# -- what is configured, and what is remembered, without a server -----------------------------------------------------

CLIENT = Client(client_id="one", redirect_uris=("http://127.0.0.1/cb",))


def parts(clock: Clock, **changes: Any) -> Auth:
    return Auth(sound_settings(people_tokens=True, **changes), now=clock)


def agreed(auth: Auth, **claims: str) -> tuple[Grants, Grant]:
    """Something that somebody agreed to."""
    session: dict[str, Any] = {}
    auth.sessions.begin(session, "acme", {"sub": "ada-1", "name": "Ada", "email": "ada@example.com", **claims})
    person = auth.sessions.held_in(session)
    assert person and auth.programs
    return auth.programs.grants, auth.programs.grants.begin(person, CLIENT, "http://127.0.0.1/cb", ())


def granted(auth: Auth, **claims: str) -> bytes:
    """An access token of it."""
    grants, grant = agreed(auth, **claims)
    return grants.tokens(grant).access_token.encode()


def error_at(auth: Auth, token: bytes) -> str:
    assert auth.programs
    try:
        auth.programs.grants.identity(token)
    except AuthError as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize(
    ("claims", "ended", "error"),
    [
        ({}, {"subject": "ada-1", "sid": None}, "TokenRevoked"),
        ({}, {"subject": "bob-1", "sid": None}, ""),
        ({"sid": "one"}, {"subject": None, "sid": "one"}, "TokenRevoked"),
        ({"sid": "one"}, {"subject": "ada-1", "sid": "other"}, ""),
        ({}, {"subject": "ada-1", "sid": "other"}, "TokenRevoked"),
    ],
)
def test_back_channel_logout_ends_what_came_of_the_session(
    claims: dict[str, str], ended: dict[str, str | None], error: str
) -> None:
    """OpenID Connect Back-Channel Logout 1.0 section 2.7: as it does the session itself."""
    auth = parts(Clock())
    token = granted(auth, **claims)
    auth.sessions.end_at_provider("https://id.acme.example", **ended)
    assert error_at(auth, token) == error


CONFIGURED = {
    "other people are allowed": {"allowed_emails": ("bob@example.com",)},
    "another domain is allowed": {"allowed_domains": ("example.org",)},
    "another group is allowed": {"allowed_groups": ("staff",)},
}


@pytest.mark.parametrize("changes", CONFIGURED.values(), ids=CONFIGURED)
def test_who_may_enter_is_asked_anew(changes: dict[str, Any]) -> None:
    clock = Clock()
    token = granted(parts(clock))
    assert error_at(parts(clock), token) == ""
    assert error_at(parts(clock, **changes), token) == "TokenRevoked"


def test_a_provider_that_is_configured_no_more_vouches_for_nobody() -> None:
    clock = Clock()
    token = granted(parts(clock))
    other = sound_settings().providers[0].model_copy(update={"name": "other"})
    assert error_at(parts(clock, providers=(other,)), token) == "TokenRevoked"


def test_tokens_outlive_a_restart_and_a_new_key_as_sessions_do() -> None:
    clock = Clock()
    token = granted(parts(clock, secret_key=OLDER_KEY))
    assert error_at(parts(clock, secret_key=KEY, secret_key_fallbacks=(OLDER_KEY,)), token) == ""
    assert error_at(parts(clock, secret_key=KEY), token) == "TokenMalformed"


def test_what_cannot_be_checked_is_neither_in_nor_out() -> None:
    """With Redis not yet heard, a grant from before this process may have been ended."""
    clock = Clock()
    token = granted(parts(clock))
    clock.advance(5)
    assert error_at(parts(clock, redis_url="redis://127.0.0.1:1/0"), token) == "SessionUnchecked"
    assert issubclass(SessionUnchecked, AuthError) and not issubclass(SessionUnchecked, TokenRevoked)


@pytest.mark.anyio
async def test_a_code_is_not_used_up_while_it_cannot_be_checked() -> None:
    """The program may come with it once more."""
    clock = Clock()
    grants, grant = agreed(parts(clock))
    code = grants.open_code(grants.code(grant, redirect_uri="", code_challenge=""))
    clock.advance(5)
    after = parts(clock, redis_url="redis://127.0.0.1:1/0")
    assert code and after.programs
    with pytest.raises(SessionUnchecked):
        await after.programs.grants.use_up(code)
    assert not vars(after.revocations)["_ended"]


@pytest.mark.anyio
async def test_what_has_ended_is_remembered_once() -> None:
    """However many of its refresh tokens come after that."""
    auth = parts(Clock())
    grants, grant = agreed(auth)
    token = grants.open_refresh_token(grants.tokens(grant).refresh_token)
    assert token
    grants.end(grant)
    with pytest.raises(TokenRevoked):
        await grants.renewed(token)
    assert len(vars(auth.revocations)["_ended"]) == 1


@pytest.mark.anyio
async def test_what_is_remembered_is_bounded_by_the_grants_and_given_back() -> None:
    """One fact for each grant that is renewed, however often, and one more for a minute."""
    clock = Clock()
    auth = parts(clock)
    grants, grant = agreed(auth)
    tokens = grants.tokens(grant)
    for _ in range(40):
        clock.advance(61)
        token = grants.open_refresh_token(tokens.refresh_token)
        assert token
        tokens = await grants.renewed(token)
    assert len(vars(auth.revocations)["_ended"]) <= 3
    clock.advance(9 * 3600)
    auth.revocations.revoke("any", until=clock() + 1)
    assert len(vars(auth.revocations)["_ended"]) == 1


def test_settings_are_what_turns_it_on() -> None:
    assert Settings(_env_file=None).has_people_tokens is False  # type: ignore[call-arg]
    assert sound_settings(mcp_server=True).has_people_tokens is True
    assert sound_settings(mcp_server=True, people_tokens=False).has_people_tokens is False
    assert sound_settings(people_tokens=True).has_people_tokens is True
    assert json.dumps(sound_settings(people_tokens=True).people_tokens) == "true"


def test_what_one_app_gave_is_nothing_to_another_with_the_same_keys() -> None:
    """Where a program's client id is an address, it is the same at both."""
    auth = parts(Clock(), public_url="https://app.example.com")
    grants, grant = agreed(auth)
    programs, other = auth.programs, parts(Clock(), public_url="https://other.example.com").programs
    assert programs and other
    code, tokens = grants.code(grant, redirect_uri="", code_challenge=""), grants.tokens(grant)
    assert grants.open_code(code) and grants.open_refresh_token(tokens.refresh_token)
    assert other.grants.open_code(code) is None
    assert other.grants.open_refresh_token(tokens.refresh_token) is None
    assert other.grants.open_any(tokens.access_token) is None
    client_id = programs.registered({"redirect_uris": CLIENT.redirect_uris})["client_id"]
    assert programs.query_client(client_id) and other.query_client(client_id) is None
    with pytest.raises(ConsentInvalid):
        other.asked_on(programs.consent("client_id=https://client.example/client.json", "session"), "session")


def test_a_client_id_is_made_by_who_has_the_key_alone() -> None:
    """Else what a registration is checked for could be left out."""
    apps = [parts(Clock(), public_url="https://app.example.com", secret_key=key).programs for key in (KEY, OLDER_KEY)]
    one, other = (programs for programs in apps if programs)
    client_id = one.registered({"redirect_uris": CLIENT.redirect_uris})["client_id"]
    assert one.query_client(client_id) and other.query_client(client_id) is None


def test_what_is_remembered_of_tokens_that_were_seen_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.grants.grant.KNOWN_TOKENS", 3)
    clock = Clock()
    grants, grant = agreed(parts(clock))
    for number in range(9):
        assert grants.identity(grants.tokens(grant, at=clock() + number).access_token.encode())
    assert len(vars(grants)["_known"]) == 3


def test_a_program_has_no_session() -> None:
    """So nothing that asks for one, such as consent, takes it for the person in front of a browser."""
    grants, grant = agreed(parts(Clock()))
    assert grants.identity(grants.tokens(grant).access_token.encode()).session_id is None
