from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from itsdangerous import BadSignature, SignatureExpired, TimestampSigner
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import SessionExpired, SessionIdle, SessionRevoked
from auth.identity import Identity
from auth.people.pending import begin_sign_in
from auth.sessions.cookie import KNOWN_COOKIES, cookie_name, session_signer
from auth.sessions.revocations import MemoryRevocations
from auth.sessions.session import Sessions
from tests.support.asgi import ask, http_scope
from tests.support.clock import NOW, Clock
from tests.support.house import ADA, OTHER, House
from tests.support.settings import ACME, KEY, OLDER_KEY, session_cookie_of, sessions_of, signed_cookie, sound_settings
from tests.support.strange import ANY_TEXT, STRANGE

HOUR = 3600.0


@pytest.fixture
def house() -> House:
    return House()


# -- beginning and reading --------------------------------------------------------------------------------------------


def test_a_session_gives_back_the_identity_it_was_begun_with(house: House) -> None:
    session: dict[str, Any] = {}
    begun = house.sessions.begin(session, "acme", ADA | {"picture": "https://p.example/ada.png"})
    assert begun == house.read(session)
    assert begun == Identity(
        username="ada-1",
        name="Ada Lovelace",
        email="ada@example.com",
        picture="https://p.example/ada.png",
        issuer=ACME.issuer,
        subject="ada-1",
        kind="person",
        expires_at=int(NOW + 8 * HOUR),
        session_id=session["person"]["id"],
    )


def test_a_cookie_without_a_session_is_nobody(house: House) -> None:
    assert house.read({}) is None
    assert house.read({"begun": {}, "left": "x"}) is None


def test_the_cookie_holds_no_more_of_the_claims_than_is_shown(house: House) -> None:
    session = house.sign_in(
        address="hush", phone_number="hush", groups=["hush"], at_hash="hush", sid="hush", azp="hush"
    )
    assert "hush" not in json.dumps(session)
    assert set(session["person"]) == {"id", "provider", "config", "subject", "sid", "name", "email", "begun", "seen"}


def test_two_sessions_of_one_person_are_two(house: House) -> None:
    one, two = house.sign_in(), house.sign_in()
    assert one["person"]["id"] != two["person"]["id"]


def test_pictures_are_left_out_where_the_operator_says_so() -> None:
    house = House(profile_pictures=False)
    assert house.read(house.sign_in(picture="https://p.example/ada.png")).picture is None


@pytest.mark.parametrize(
    "picture",
    [
        "http://p.example/a.png",
        "//p.example/a.png",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "",
        7,
        None,
        ["x"],
    ],
)
def test_a_picture_is_at_an_https_address_or_left_out(house: House, picture: object) -> None:
    assert house.read(house.sign_in(picture=picture)).picture is None


NAMES = {
    "as-it-is": ("Ada Lovelace", "Ada Lovelace"),
    "hindi": ("क्\u200dष", "क्\u200dष"),
    "persian": ("می\u200cخوریم", "می\u200cخوریم"),
    "emoji-family": ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    "combining": ("Zoe\u0308", "Zoe\u0308"),
    "markup-is-text": ("<b>Ada</b>", "<b>Ada</b>"),
    "newline": ("Ada\r\nSet-Cookie: x", "Ada Set-Cookie: x"),
    "nul": ("Ada\0Lovelace", "Ada Lovelace"),
    "escape": ("\x1b[31mAda", "[31mAda"),
    "c1-control": ("Ada\x85\x9bLovelace", "Ada Lovelace"),
    "bidi-override": ("\u202eadA", "adA"),
    "bidi-isolate": ("\u2066Ada\u2069", "Ada"),
    "bidi-mark": ("\u200fAda\u200e", "Ada"),
    "zero-width-space": ("A\u200bda", "A da"),
    "byte-order-mark": ("\ufeffAda", "Ada"),
    "line-separator": ("Ada\u2028Lovelace", "Ada Lovelace"),
    "no-break-space": ("Ada\u00a0Lovelace", "Ada Lovelace"),
    "lone-surrogate": ("Ada\ud800", "Ada"),
    "private-use": ("Ada\ue000", "Ada"),
    "spaces-around": ("  Ada   Lovelace  ", "Ada Lovelace"),
    "only-spaces": (" \t ", None),
    "only-controls": ("\u202e\0", None),
    "empty": ("", None),
    "number": (7, None),
    "list": (["Ada"], None),
    "object": ({"en": "Ada"}, None),
    "true": (True, None),
    "missing": (None, None),
}


@pytest.mark.parametrize(("claim", "shown"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("name", ["name", "email"])
def test_a_name_is_one_line_of_text(house: House, name: str, claim: object, shown: str | None) -> None:
    assert getattr(house.read(house.sign_in(**{name: claim})), name) == shown


@pytest.mark.parametrize("sid", ["\ud800", 7, None, ["x"], {"x": 1}, True, ""], ids=repr)
def test_a_provider_may_send_any_sid_without_stopping_the_sign_in(house: House, sid: object) -> None:
    assert house.read(house.sign_in(sid=sid)) is not None


# -- what rules go by -------------------------------------------------------------------------------------------------

NAMED = ("admins", "staff", "émigrés")


def ruled(*named: str, clock: Clock | None = None) -> Sessions:
    """Sessions of an app whose rules name these groups."""
    settings = sound_settings(providers=(ACME,))
    revocations = MemoryRevocations(now=clock or Clock())
    return sessions_of(settings, revocations, named_groups=lambda: named, now=clock or Clock())


def admitted(**changes: Any) -> Identity:
    """Whom the provider named when they signed in."""
    known = {"username": "ada-1", "issuer": ACME.issuer, "subject": "ada-1", "kind": "person", "expires_at": 0}
    return Identity(**known | changes)


@pytest.mark.parametrize("groups", [(), ("admins",), ("staff",), NAMED])
def test_a_session_knows_the_groups_that_rules_name(groups: tuple[str, ...]) -> None:
    session: dict[str, Any] = {}
    ruled(*NAMED).begin(session, "acme", ADA, admitted(groups=("else", *groups)))
    assert ruled(*reversed(NAMED)).read(session).groups == groups  # whichever rule was made first
    assert "else" not in json.dumps(session)


@pytest.mark.parametrize(
    ("email_verified", "domain", "known"),
    [(True, "example.com", (True, "example.com")), (True, None, (True, None)), (False, "example.com", (False, None))],
)
def test_a_session_knows_what_its_address_counts_for(email_verified: bool, domain: str | None, known: object) -> None:
    session: dict[str, Any] = {}
    person = admitted(email=ADA["email"], email_verified=email_verified, domain=domain)
    begun = ruled().begin(session, "acme", ADA, person)
    assert begun == ruled().read(session)
    assert (begun.email_verified, begun.domain) == known


def test_an_address_that_did_not_fit_counts_for_nothing() -> None:
    session: dict[str, Any] = {}
    long = f"{'e' * 64}@{'d' * 185}.com"
    claims = {"sub": "s" * 255, "name": "N" * 300, "email": long}
    begun = ruled().begin(session, "acme", claims, admitted(email=long, email_verified=True, domain="example.com"))
    assert (begun.email, begun.email_verified, begun.domain) == (None, False, None)


@pytest.mark.parametrize("now_named", [(*NAMED, "auditors"), NAMED[:2], ("else",), ()])
def test_a_session_from_before_the_rules_named_these_groups_has_ended(now_named: tuple[str, ...]) -> None:
    session: dict[str, Any] = {}
    ruled(*NAMED).begin(session, "acme", ADA, admitted(groups=("admins",)))
    with pytest.raises(SessionExpired):
        ruled(*now_named).read(session)
    assert not ruled(*now_named).is_still_valid(session)


def test_a_group_that_is_named_while_the_app_serves_changes_nothing_for_who_is_in() -> None:
    named = ["admins"]
    settings = sound_settings(providers=(ACME,))
    sessions = sessions_of(settings, MemoryRevocations(), named_groups=lambda: named, now=Clock())
    session: dict[str, Any] = {}
    sessions.begin(session, "acme", ADA, admitted(groups=("admins", "a-late-one")))
    named.insert(0, "a-late-one")
    assert sessions.read(session).groups == ("admins",)


@pytest.mark.parametrize("groups", ["-1", "0x1", "g", "1\n", " 1", 1, None, ["1"], "1_0"], ids=repr)
def test_groups_of_another_shape_are_no_session(groups: object) -> None:
    session: dict[str, Any] = {}
    ruled(*NAMED).begin(session, "acme", ADA, admitted(groups=("admins",)))
    session["person"]["groups"] = groups
    assert ruled(*NAMED).read(session) is None


def test_more_bits_than_groups_are_no_groups() -> None:
    session: dict[str, Any] = {}
    ruled(*NAMED).begin(session, "acme", ADA, admitted(groups=NAMED))
    session["person"]["groups"] = "f" * 64
    assert ruled(*NAMED).read(session).groups == tuple(sorted(NAMED))


# -- how long ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_at_its_lifetime_however_busy_it_is(house: House) -> None:
    session = house.sign_in()
    for _ in range(8 * 2 - 1):
        house.clock.advance(HOUR / 2)
        assert house.sessions.read(session)
    house.clock.advance(HOUR / 2 - 0.001)
    assert house.sessions.read(session)
    house.clock.advance(0.001)
    with pytest.raises(SessionExpired):
        house.sessions.read(session)


def test_a_session_ends_after_its_idle_time(house: House) -> None:
    session = house.sign_in()
    house.clock.advance(HOUR)
    assert house.another_process().read(dict(session))
    house.clock.advance(0.001)
    with pytest.raises(SessionIdle):
        house.read(session)


def test_a_request_is_a_sign_of_life_before_the_cookie_says_so(house: House) -> None:
    session = house.sign_in()
    house.clock.advance(30)
    house.read(session)
    house.clock.advance(HOUR)
    assert house.read(session)


def test_a_refused_request_is_no_sign_of_life(house: House) -> None:
    session = house.sign_in()
    house.clock.advance(HOUR + 1)
    for _ in range(2):
        with pytest.raises(SessionIdle):
            house.read(session)


@pytest.mark.parametrize(("idle_minutes", "interval"), [(60, 60), (10, 60), (5, 30), (1, 6)])
def test_the_cookie_is_written_anew_a_minute_later_or_a_tenth_of_the_idle_time(idle_minutes, interval) -> None:
    house = House(session_idle_minutes=idle_minutes)
    session = house.sign_in()
    first = dict(session)
    house.clock.advance(interval)
    house.sessions.read(session)
    assert session == first
    house.clock.advance(0.01)
    house.sessions.read(session)
    assert session["person"] == first["person"] | {"seen": round(house.clock(), 3)}


def test_another_process_knows_of_a_sign_of_life_from_the_cookie(house: House) -> None:
    old = house.sign_in()
    house.clock.advance(120)
    anew = dict(old)
    house.sessions.read(anew)
    house.clock.advance(HOUR - 60)
    assert house.another_process().read(dict(anew))
    with pytest.raises(SessionIdle):
        house.another_process().read(dict(old))


def test_reading_keeps_what_the_person_did_not_change(house: House) -> None:
    session = house.sign_in() | {"left": "somewhere", "begun": {}}
    first = json.loads(json.dumps(session))
    house.clock.advance(120)
    house.sessions.read(session)
    assert {**session, "person": None} == {**first, "person": None}
    assert {**session["person"], "seen": 0} == {**first["person"], "seen": 0}


@pytest.mark.parametrize(("ahead", "stands"), [(59, True), (61, False)])
def test_a_session_begun_in_the_future_is_none_but_for_a_minute_between_clocks(house, ahead, stands) -> None:
    session = house.sign_in()
    house.clock.advance(-ahead)
    if stands:
        assert house.another_process().read(session)
    else:
        with pytest.raises(SessionExpired):
            house.another_process().read(session)


def test_what_was_seen_of_sessions_is_forgotten_after_the_idle_time_and_not_before(house: House) -> None:
    for number in range(100):
        house.sign_in(sub=f"person-{number}")
    house.clock.advance(HOUR - 100)
    alive = house.sign_in()
    house.clock.advance(101)
    house.read(alive)
    assert set(house.sessions._seen) == {alive["person"]["id"]}


# -- a stream's session -----------------------------------------------------------------------------------------------


def test_a_session_stands_until_it_is_signed_out(house: House) -> None:
    session = house.sign_in()
    copied = dict(session)
    assert house.sessions.is_still_valid(copied)
    house.sessions.end(session)
    assert not house.sessions.is_still_valid(copied)


def test_where_there_is_no_session_none_stands(house: House) -> None:
    assert not house.sessions.is_still_valid({})


def test_a_session_stands_no_longer_than_its_lifetime(house: House) -> None:
    session = house.sign_in()
    for _ in range(16):
        assert house.sessions.is_still_valid(session)
        house.clock.advance(HOUR / 2)
        if house.clock() < NOW + 8 * HOUR:
            house.read(session)
    assert not house.sessions.is_still_valid(session)


def test_to_ask_whether_a_session_stands_is_no_sign_of_life(house: House) -> None:
    session = house.sign_in()
    house.clock.advance(HOUR)
    assert house.sessions.is_still_valid(session)
    house.clock.advance(1)
    assert not house.sessions.is_still_valid(session)


def test_a_request_keeps_the_session_of_a_stream_alive(house: House) -> None:
    session = house.sign_in()
    of_the_stream = dict(session)
    house.clock.advance(HOUR - 1)
    house.read(session)
    house.clock.advance(HOUR)
    assert house.sessions.is_still_valid(of_the_stream)


# -- signing out ------------------------------------------------------------------------------------------------------


def test_a_cookie_copied_before_sign_out_is_refused_after_it(house: House) -> None:
    session = house.sign_in()
    copied = dict(session)
    ended = house.sessions.end(session)
    assert (ended.provider, ended.subject) == ("acme", "ada-1")
    assert session == {}
    with pytest.raises(SessionRevoked):
        house.read(copied)
    house.clock.advance(7 * HOUR)
    house.sessions.end(house.sign_in())
    with pytest.raises(SessionRevoked):
        house.another_process().read(copied)


def test_a_cookie_that_was_signed_out_ends_nothing_any_more(house: House) -> None:
    session, other = house.sign_in(), house.sign_in()
    copied = dict(session)
    house.sessions.end(session)
    assert house.sessions.end(copied, everywhere=True) is None
    assert copied == {}
    assert house.read(other)


def test_signing_out_leaves_the_persons_other_sessions_alone(house: House) -> None:
    here, there = house.sign_in(), house.sign_in()
    house.sessions.end(here)
    assert house.read(there)


def test_signing_out_everywhere_ends_every_session_begun_before_and_none_begun_after(house: House) -> None:
    here, there, somebody = house.sign_in(), house.sign_in(), house.sign_in(sub="bob-1")
    elsewhere = house.sign_in(provider="other")
    house.clock.advance(1)
    copied = dict(here)
    house.sessions.end(here, everywhere=True)
    for ended in (copied, there):
        with pytest.raises(SessionRevoked):
            house.read(ended)
    assert house.read(somebody)
    assert house.read(elsewhere), "the same subject at another issuer is another person"
    house.clock.advance(1)
    assert house.read(house.sign_in())


def test_a_provider_ends_its_own_session_by_its_sid(house: House) -> None:
    one, two, other = house.sign_in(sid="s-1"), house.sign_in(sid="s-2"), house.sign_in(provider="other", sid="s-1")
    house.sessions.end_at_provider(ACME.issuer, subject=None, sid="s-1")
    with pytest.raises(SessionRevoked):
        house.read(one)
    assert house.read(two)
    assert house.read(other)


def test_signing_in_ends_the_session_that_this_browser_had(house: House) -> None:
    session = house.sign_in()
    copied = dict(session)
    house.clock.advance(1)
    house.sessions.begin(session, "acme", ADA | {"sub": "bob-1"})
    assert house.read(session).subject == "bob-1"
    with pytest.raises(SessionRevoked):
        house.read(copied)


@pytest.mark.parametrize("everywhere", [False, True], ids=["here", "everywhere"])
@pytest.mark.parametrize("behind", [0.0004, 2.0, 50.0], ids=lambda seconds: f"{seconds} s")
def test_signing_out_works_where_the_clock_is_behind_that_of_the_sign_in(house, behind, everywhere) -> None:
    house.clock.advance(0.0006)
    session = house.sign_in()
    copied = dict(session)
    house.clock.advance(-behind)
    house.sessions.end(session, everywhere=everywhere)
    with pytest.raises(SessionRevoked):
        house.another_process().read(copied)


def test_a_session_that_has_ended_can_still_be_signed_out(house: House) -> None:
    session = house.sign_in()
    house.clock.advance(9 * HOUR)
    assert house.sessions.end(session).subject == "ada-1"


@pytest.mark.parametrize("session", [{}, {"person": None}, {"person": "ada"}, {"person": {"id": "x"}}], ids=repr)
def test_where_there_is_no_session_none_is_ended(house: House, session: dict[str, Any]) -> None:
    assert house.sessions.end(session) is None
    assert session == {}


def test_a_session_of_a_provider_that_is_gone_is_taken_out_of_the_cookie(house: House) -> None:
    session = house.sign_in(provider="other")
    without = House(house.clock, providers=(ACME,)).sessions
    assert without.end(session) is None
    assert session == {}


# -- settings that change ---------------------------------------------------------------------------------------------

ANEW = {
    "allowed-emails": {"allowed_emails": ("bob@example.com",)},
    "allowed-domains": {"allowed_domains": ("example.org",)},
    "client-id": {"providers": (ACME.model_copy(update={"client_id": "another-app"}), OTHER)},
    "issuer": {"providers": (ACME.model_copy(update={"issuer": "https://id.new.example"}), OTHER)},
    "provider-gone": {"providers": (OTHER,)},
}


@pytest.mark.parametrize("changes", ANEW.values(), ids=ANEW)
def test_a_session_must_be_proved_anew_when_who_may_enter_has_changed(house: House, changes: dict[str, Any]) -> None:
    session = house.sign_in()
    with pytest.raises(SessionExpired):
        House(house.clock, **changes).read(session)


AS_BEFORE = {
    "label": (ACME.model_copy(update={"label": "Acme Corp."}), OTHER),
    "client-secret": (ACME.model_copy(update={"client_secret": "turned over"}), OTHER),
    "another-provider": (ACME,),
}


@pytest.mark.parametrize("providers", AS_BEFORE.values(), ids=AS_BEFORE)
def test_a_session_outlives_a_restart_that_does_not_concern_it(house: House, providers) -> None:
    assert House(house.clock, providers=providers).read(house.sign_in())


def test_the_order_of_a_list_is_nothing_new() -> None:
    house = House(allowed_emails=("a@x.example", "b@x.example"))
    assert House(house.clock, allowed_emails=("b@x.example", "a@x.example")).read(house.sign_in())


# -- authentic, and of another shape ----------------------------------------------------------------------------------

PERSON: dict[str, Any] = House(Clock(time.time())).sign_in(sid="s", picture="https://p.example/a")["person"]
MAY_BE_MISSING = ("sid", "name", "email", "picture")
SOUND = {
    *((field, kind) for field in MAY_BE_MISSING for kind in ("none", *ANY_TEXT)),
    *(("subject", kind) for kind in ("number-as-text", "text", "long-text")),
    *(("seen", kind) for kind in ("number", "float", "far")),
    ("id", "long-text"),
}
"""What may stand in a field: of its type, however odd, for the app itself signed it."""


ENDED = {
    *((field, kind) for field in ("provider", "config") for kind in ANY_TEXT),
    *(("begun", kind) for kind in ("number", "float", "far", "negative")),
    *(("seen", kind) for kind in ("negative",)),
}
"""What is of its type, and of no session that stands: there was one, and the person is told so."""


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_a_session_of_another_type_is_none(house: House, value: object) -> None:
    session = {"person": value}
    assert house.read(session) is None
    assert house.sessions.end(session) is None


@pytest.mark.parametrize(
    ("field", "kind"), [(field, kind) for field in PERSON for kind in STRANGE if (field, kind) not in SOUND]
)
def test_a_session_with_a_field_of_another_type_is_none(field: str, kind: str) -> None:
    house = House(Clock(time.time()))
    person = json.loads(json.dumps(PERSON | {field: STRANGE[kind]}))
    if (field, kind) in ENDED:
        with pytest.raises((SessionExpired, SessionIdle)):
            house.read({"person": person})
    else:
        assert house.read({"person": person}) is None
    house.sessions.end({"person": person})


@pytest.mark.parametrize("field", [field for field in PERSON if field not in MAY_BE_MISSING])
def test_a_session_that_lacks_a_field_is_none(house: House, field: str) -> None:
    person = {name: value for name, value in PERSON.items() if name != field}
    assert house.read({"person": person}) is None


# -- the cookie -------------------------------------------------------------------------------------------------------


def cookie_app(settings, act=None) -> ASGIApp:
    """What the app behind the middleware finds in the session; `act` may change it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = HTTPConnection(scope).session
        found = dict(session)
        if act:
            act(session)
        await JSONResponse(found)(scope, receive, send)

    return session_cookie_of(settings, app)


async def found_in(settings, cookie: str) -> Any:
    return (await ask(cookie_app(settings), http_scope(headers={"Cookie": cookie}))).json


@pytest.mark.anyio
async def test_what_was_put_in_comes_back() -> None:
    settings = sound_settings()
    answer = await ask(cookie_app(settings, lambda session: session.update(x=1)), http_scope())
    assert await found_in(settings, answer.headers["set-cookie"].partition(";")[0]) == {"x": 1}


def _with(content: object, *, keys=KEY, salt="session-cookie", digest=hashlib.sha256, at=None) -> str:
    signer = TimestampSigner(keys, salt=salt, digest_method=digest)
    if at is not None:
        signer.get_timestamp = lambda: int(at)
    return signer.sign(base64.b64encode(json.dumps(content).encode())).decode()


SIGNED = _with({"x": 1})
FORGED = {
    "other-key": _with({"x": 1}, keys=OLDER_KEY),
    "empty-key": _with({"x": 1}, keys=""),
    "other-salt": _with({"x": 1}, salt="itsdangerous.Signer"),
    "other-digest": _with({"x": 1}, digest=hashlib.sha1),
    "other-content": _with({"x": 2}).partition(".")[0] + "." + SIGNED.partition(".")[2],
    "other-time": ".".join((SIGNED.split(".")[0], "AAAAAA", SIGNED.split(".")[2])),
    "signature-cut": SIGNED[:-1],
    "signature-changed": SIGNED[:-2] + ("A" if SIGNED[-2] != "A" else "B") + SIGNED[-1],
    "signature-empty": SIGNED.rpartition(".")[0] + ".",
    "signature-missing": SIGNED.rpartition(".")[0],
    "time-missing": ".".join(SIGNED.split(".")[::2]),
    "content-missing": "." + SIGNED.partition(".")[2],
    "too-old": _with({"x": 1}, at=time.time() - 8 * HOUR - 5),
    "from-the-future": _with({"x": 1}, at=time.time() + HOUR),
    "dots": "....",
    "empty": "",
    "garbage": "x" * 4000,
    "latin": "\xff\xfe.\xe9",
    "null": "null",
}


@pytest.mark.anyio
@pytest.mark.parametrize("value", FORGED.values(), ids=FORGED)
async def test_a_cookie_that_is_not_ours_is_none(value: str) -> None:
    settings = sound_settings()
    assert await found_in(settings, f"{cookie_name(settings.site)}={SIGNED}") == {"x": 1}
    assert await found_in(settings, f"{cookie_name(settings.site)}={value}") == {}


def _deep(levels: int) -> bytes:
    return b'{"x":' * levels + b"1" + b"}" * levels


AUTHENTIC = {
    "list": b"[]",
    "full-list": b'[["person", 1]]',
    "text": b'"person"',
    "number": b"7",
    "null": b"null",
    "true": b"true",
    "nan": b"NaN",
    "not-json": b"{",
    "two-documents": b"{}{}",
    "not-utf-8": b'{"x": "\xff"}',
    "empty": b"",
    "huge-number": b"1" * 5000,
    "deep-list": b"[" * 100_000,
    "deep-object": _deep(100_000),
}


@pytest.mark.anyio
@pytest.mark.parametrize("content", AUTHENTIC.values(), ids=AUTHENTIC)
async def test_an_authentic_cookie_of_another_shape_is_none(content: bytes) -> None:
    settings = sound_settings()
    signed = session_signer(settings.signing_keys).sign(base64.b64encode(content)).decode()
    assert await found_in(settings, f"{cookie_name(settings.site)}={signed}") == {}


@pytest.mark.anyio
async def test_an_authentic_cookie_that_is_no_base64_is_none() -> None:
    settings = sound_settings()
    signed = session_signer(settings.signing_keys).sign(b"eyJ4IjogMX0x").decode()
    assert await found_in(settings, f"{cookie_name(settings.site)}={signed}") == {}


class Opened:
    """The middleware on a clock that is set by hand, and how often it has opened a cookie."""

    def __init__(self) -> None:
        self.settings = sound_settings()
        self.clock = Clock(0.0)
        self.times = 0
        self.middleware = session_cookie_of(self.settings, self._app, now=self.clock)
        self.act: Callable[[dict[str, Any]], object] = lambda session: None
        self._unsign = self.middleware.signer.unsign
        self.middleware.signer.unsign = self._count

    def _count(self, *args: Any, **kwargs: Any) -> Any:
        self.times += 1
        return self._unsign(*args, **kwargs)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["session"]
        found = json.dumps(session)
        self.act(session)
        await JSONResponse(found, headers={"Vary": "Accept-Encoding"})(scope, receive, send)

    async def ask(self, *cookies: str) -> tuple[dict[str, Any], str | None]:
        """What was found in the session, and the cookie that was set."""
        scope = http_scope(headers=[("Cookie", cookie) for cookie in cookies])
        answer = await ask(self.middleware, scope)
        sent = answer.headers.get("set-cookie")
        return json.loads(answer.json), sent and sent.partition(";")[0]

    def cookie(self, content: object) -> str:
        return signed_cookie(self.settings, content)


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.mark.anyio
async def test_a_cookie_that_was_opened_within_a_minute_is_known(opened: Opened) -> None:
    cookie = opened.cookie({"x": [1, None, 0.5]})
    for _ in range(3):
        assert await opened.ask(cookie) == ({"x": [1, None, 0.5]}, None)
    opened.clock.advance(59.9)
    await opened.ask(cookie)
    assert opened.times == 1
    opened.clock.advance(0.1)
    assert await opened.ask(cookie) == ({"x": [1, None, 0.5]}, None)
    assert opened.times == 2


@pytest.mark.anyio
@pytest.mark.parametrize(("content", "varies"), [({"x": 1}, True), ({}, False), (None, False)])
async def test_an_answer_that_may_depend_on_the_cookie_says_so(opened: Opened, content: object, varies: bool) -> None:
    scope = http_scope(headers={} if content is None else {"Cookie": opened.cookie(content)})
    for _ in range(2):
        answer = await ask(opened.middleware, scope)
        assert ", ".join(answer.headers.getlist("vary")) == "Accept-Encoding" + ", Cookie" * varies


@pytest.mark.anyio
async def test_what_is_changed_in_a_known_session_is_kept(opened: Opened) -> None:
    cookie = opened.cookie({"x": 1})
    await opened.ask(cookie)
    opened.act = lambda session: session.update(y=2)
    _, changed = await opened.ask(cookie)
    opened.act = lambda session: session.clear()
    found, cleared = await opened.ask(changed or "")
    assert found == {"x": 1, "y": 2}
    again, cleared_again = await opened.ask(changed or "")
    assert cleared == cleared_again == f"{cookie_name(opened.settings.site)}=null"
    assert again == found


@pytest.mark.anyio
async def test_what_is_changed_deep_in_a_known_session_is_seen_by_no_other_request(opened: Opened) -> None:
    cookie = opened.cookie({"x": {"y": 1}})
    opened.act = lambda session: session["x"].update(y=2)
    for _ in range(3):
        assert await opened.ask(cookie) == ({"x": {"y": 1}}, None)


@pytest.mark.anyio
async def test_every_cookie_header_counts_for_what_is_known(opened: Opened) -> None:
    """HTTP/2 lets a browser send one for each cookie (RFC 9113 section 8.2.3)."""
    for number in range(2):
        assert await opened.ask("theme=dark", opened.cookie({"x": number})) == ({"x": number}, None)
    assert await opened.ask("theme=dark") == ({}, None)


@pytest.mark.anyio
async def test_only_so_many_cookies_are_known(opened: Opened) -> None:
    cookies = [opened.cookie({"x": number}) for number in range(KNOWN_COOKIES + 1)]
    for cookie in (*cookies, cookies[-1]):
        await opened.ask(cookie)
    assert opened.times == len(cookies)
    await opened.ask(cookies[0])
    assert opened.times == len(cookies) + 1


@pytest.mark.anyio
async def test_a_strangers_cookies_take_no_room_from_those_that_are_known(opened: Opened) -> None:
    cookie = opened.cookie({"x": 1})
    await opened.ask(cookie)
    for number in range(KNOWN_COOKIES):
        await opened.ask(f"{cookie_name(opened.settings.site)}=garbage-{number}")
    before = opened.times
    await opened.ask(cookie)
    assert opened.times == before


@pytest.mark.anyio
async def test_a_session_of_any_depth_is_opened_or_none(opened: Opened) -> None:
    for levels in range(700, 1000):
        signed = session_signer(opened.settings.signing_keys).sign(base64.b64encode(_deep(levels))).decode()
        for _ in range(2):
            await opened.ask(f"{cookie_name(opened.settings.site)}={signed}")


@pytest.mark.anyio
@pytest.mark.parametrize("content", [{"x": "\ud800"}, {"x": 2**64}], ids=["half-a-character", "a-number-of-65-bits"])
async def test_what_cannot_be_kept_is_opened_each_time(opened: Opened, content: dict[str, Any]) -> None:
    for _ in range(2):
        assert await opened.ask(opened.cookie(content)) == (content, None)


@pytest.mark.anyio
async def test_an_older_key_is_accepted_and_the_newest_signs() -> None:
    before = sound_settings(secret_key=OLDER_KEY)
    after = sound_settings(secret_key=KEY, secret_key_fallbacks=f"{OLDER_KEY[::-1]},{OLDER_KEY}")
    cookie = signed_cookie(before, {"x": 1})
    assert await found_in(after, cookie) == {"x": 1}
    assert await found_in(sound_settings(secret_key=KEY), cookie) == {}

    touched = await ask(cookie_app(after, lambda session: session.update(y=2)), http_scope(headers={"Cookie": cookie}))
    anew = touched.headers["set-cookie"].partition(";")[0]
    assert await found_in(sound_settings(secret_key=KEY), anew) == {"x": 1, "y": 2}
    assert await found_in(before, anew) == {}


HTTPS = {"public_url": "https://app.example.com"}
FLAGS = {
    "loopback": ({}, "session-8000", {"httponly", "samesite=lax"}),
    "https": (HTTPS, "__Host-session", {"httponly", "samesite=lax", "secure"}),
    "iframe": (
        HTTPS | {"cookie_samesite": "none"},
        "__Host-session",
        {"httponly", "samesite=none", "secure", "partitioned"},
    ),
    "prefix": ({"public_url": "https://example.com/a/b"}, "__Host-session-a-b", {"httponly", "samesite=lax", "secure"}),
    "other-port": ({"port": 9000}, "session-9000", {"httponly", "samesite=lax"}),
    "no-port": ({"public_url": "http://localhost"}, "session-80", {"httponly", "samesite=lax"}),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("changes", "name", "flags"), FLAGS.values(), ids=FLAGS)
async def test_the_cookie_is_for_this_app_alone(changes: dict[str, Any], name: str, flags: set[str]) -> None:
    settings = sound_settings(session_hours=8, **changes)
    answer = await ask(cookie_app(settings, lambda session: session.update(x=1)), http_scope())
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    assert pair.partition("=")[0] == name
    assert {attribute.lower() for attribute in attributes} == {"path=/", "max-age=28800", *flags}


@pytest.mark.anyio
async def test_a_session_that_is_emptied_takes_the_cookie_away() -> None:
    settings = sound_settings()
    answer = await ask(
        cookie_app(settings, lambda session: session.clear()),
        http_scope(headers={"Cookie": signed_cookie(settings, {"x": 1})}),
    )
    assert "expires=Thu, 01 Jan 1970" in answer.headers["set-cookie"]


# -- how large --------------------------------------------------------------------------------------------------------

LONGEST_ADDRESS = f"{'e' * 64}@{'d' * 185}.com"
LONGEST = {
    "ascii": {"sub": "s" * 255, "name": "n" * 2000, "email": LONGEST_ADDRESS},
    "latin": {"sub": "s" * 255, "name": "é" * 2000, "email": f"{'é' * 64}@{'ü' * 185}.com"},
    "emoji": {"sub": "s" * 255, "name": "😀" * 2000, "email": f"{'😀' * 64}@example.com"},
    "short-subject": {"sub": "1", "name": "日" * 2000, "email": LONGEST_ADDRESS},
    "no-name": {"sub": "s" * 255, "email": LONGEST_ADDRESS},
    "picture": {"sub": "s" * 255, "name": "Ada", "picture": "https://p.example/" + "x" * 1000},
    "just-fits": {"sub": "s", "email": "e" * 464},
}
LONG = ACME.model_copy(update={"name": "x" * 31})


async def cookie_of(claims: dict[str, Any], *, sign_ins: int = 0, next_path: str = "") -> tuple[str, Identity]:
    settings = sound_settings(public_url="https://app.example.com/some/prefix", providers=(LONG,))
    sessions = sessions_of(settings, MemoryRevocations(), now=Clock(NOW + 0.123))
    identities = []

    def act(session: dict[str, Any]) -> None:
        if sign_ins:
            session["left"] = "x" * 22
        for _ in range(sign_ins):
            begin_sign_in(session, LONG.name, next_path, now=NOW)
        identities.append(sessions.begin(session, LONG.name, claims | {"sid": "sid"}))

    answer = await ask(cookie_app(settings, act), http_scope())
    return answer.headers["set-cookie"].partition(";")[0], identities[0]


@pytest.mark.anyio
@pytest.mark.parametrize("claims", LONGEST.values(), ids=LONGEST)
async def test_the_cookie_is_under_a_kilobyte_for_anybody(claims: dict[str, Any]) -> None:
    cookie, _ = await cookie_of(claims)
    assert len(cookie) < 1024


@pytest.mark.anyio
async def test_the_cookie_is_under_a_kilobyte_for_somebody_in_two_hundred_groups_that_rules_name() -> None:
    named = [f"{number:08x}-1111-2222-3333-444444444444" for number in range(200)]
    settings = sound_settings(public_url="https://app.example.com/some/prefix", providers=(LONG,))
    sessions = sessions_of(settings, MemoryRevocations(), named_groups=lambda: named)
    claims = LONGEST["ascii"]
    person = admitted(email=claims["email"], email_verified=True, domain="x", groups=tuple(named))

    def act(session: dict[str, Any]) -> None:
        assert sessions.begin(session, LONG.name, claims | {"sid": "sid"}, person).groups == tuple(named)

    answer = await ask(cookie_app(settings, act), http_scope())
    assert len(answer.headers["set-cookie"].partition(";")[0]) < 1024


@pytest.mark.anyio
@pytest.mark.parametrize("claims", LONGEST.values(), ids=LONGEST)
async def test_the_cookie_is_under_what_browsers_take_whatever_sign_ins_are_begun(claims: dict[str, Any]) -> None:
    for length in (0, 22, 99, 253, 330, 1023):
        cookie, _ = await cookie_of(claims, sign_ins=21, next_path="/" + "y" * length)
        assert len(cookie) < 4096, length


@pytest.mark.anyio
@pytest.mark.parametrize("claims", LONGEST.values(), ids=LONGEST)
async def test_what_does_not_fit_is_cut_from_what_is_shown_and_never_from_the_subject(claims: dict[str, Any]) -> None:
    _, identity = await cookie_of(claims)
    assert identity.subject == claims["sub"]
    assert identity.picture is None
    assert identity.name is None or (identity.name and claims["name"].startswith(identity.name))
    assert identity.email in (claims.get("email"), None)


def test_what_fits_is_kept_whole(house: House) -> None:
    claims = {"name": "Wolfeschlegelsteinhausenbergerdorff, Hubert", "email": f"{'h' * 64}@example.com"}
    identity = house.read(house.sign_in(sub="1" * 21, picture="https://p.example/" + "x" * 80, **claims))
    assert (identity.name, identity.email) == (claims["name"], claims["email"])
    assert identity.picture == "https://p.example/" + "x" * 80


def test_the_picture_goes_first_then_the_end_of_the_name_then_the_address(house: House) -> None:
    picture = {"picture": "https://p.example/" + "x" * 400}
    assert house.read(house.sign_in(email=f"{'e' * 64}@example.com", **picture)).picture is None
    shortened = house.read(house.sign_in(name="N" * 300, sub="s" * 200, **picture))
    assert (shortened.name, shortened.email) == ("N" * 60, ADA["email"])
    emptied = house.read(house.sign_in(name="N" * 300, sub="s" * 255, email=f"{'e' * 64}@{'d' * 185}.com"))
    assert (emptied.name, emptied.email) == ("N" * 12, None)


def test_a_cookie_that_is_known_already_grows_old_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = session_signer(sound_settings().signing_keys)
    signed = signer.sign(base64.b64encode(b"{}"))
    assert signer.unsign(signed, max_age=60) == signer.unsign(signed, max_age=60)
    for seconds, is_good in {60: True, 61: False, -1: False}.items():
        with monkeypatch.context() as patch:
            later = signer.get_timestamp() + seconds
            patch.setattr(signer, "get_timestamp", lambda later=later: later)
            if is_good:
                signer.unsign(signed, max_age=60)
            else:
                with pytest.raises(SignatureExpired):
                    signer.unsign(signed, max_age=60)


def test_no_cookie_is_known_but_those_that_were_signed() -> None:
    signer = session_signer(sound_settings().signing_keys)
    signed = signer.sign(base64.b64encode(b"{}"))
    signer.unsign(signed)
    for other in (signed[:-1], signed + b"x", signed.replace(b"e30", b"e31"), signed.swapcase(), b""):
        with pytest.raises(BadSignature):
            signer.unsign(other)
