"""What browsers are told with every answer, and the policies of pages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from auth.content_policy import parse_policy
from auth.web.public_address import PublicAddress
from auth.web.security_headers import OFF
from tests.support.asgi import Answer, Recorder, ask, http_scope, made_answers, made_pages, made_security
from tests.support.settings import sound_settings

PUBLIC = {"host": "0.0.0.0", "public_url": "https://app.example.com"}
HERE = {"Host": "127.0.0.1:8000"}


async def answered(said: dict[str, str] | None = None, /, host: str = HERE["Host"], **settings: Any) -> Answer:
    """An answer that has these headers of its own."""
    made = sound_settings(**settings)
    outermost = PublicAddress(
        Recorder({"content-length": "6"} | (said or {})),
        site=made.site,
        answers=made_answers(made),
        security=made_security(made),
    )
    return await ask(outermost, http_scope(headers={"Host": host}))


def policy_of(answer: Answer) -> dict[str, str]:
    (policy,) = answer.headers.getlist("content-security-policy")
    return dict(parse_policy(policy))


# -- on every answer --------------------------------------------------------------------------------------------------

KINDS = {
    "none": {},
    "page": {"content-type": "text/html; charset=utf-8"},
    "data": {"content-type": "application/json"},
    "text": {"content-type": "text/plain"},
    "stream": {"content-type": "text/event-stream"},
}


@pytest.mark.anyio
@pytest.mark.parametrize("said", KINDS.values(), ids=KINDS)
async def test_every_answer_tells_browsers_what_to_hold_back_from(said: dict[str, str]) -> None:
    answer = await answered(said)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    policy = policy_of(answer)
    assert policy["frame-ancestors"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] in ("'self'", "'none'")


@pytest.mark.anyio
async def test_so_does_the_refusal_of_another_sites_name() -> None:
    answer = await answered(host="evil.example")
    assert answer.status == 421
    assert policy_of(answer)["default-src"] == "'none'"
    assert {"permissions-policy", "cross-origin-opener-policy", "x-frame-options"} <= set(answer.headers)


@pytest.mark.anyio
async def test_a_page_may_use_the_camera_and_the_microphone_and_nothing_else_of_the_device() -> None:
    policy = (await answered()).headers["permissions-policy"].split(", ")
    assert {"camera=(self)", "microphone=(self)", "geolocation=()", "usb=()"} <= set(policy)
    assert len(policy) == len(OFF.split()) + 2


@pytest.mark.anyio
async def test_https_is_kept_to_where_it_is_spoken_and_only_for_this_host() -> None:
    assert (await answered(**PUBLIC)).headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in (await answered()).headers


@pytest.mark.anyio
async def test_data_is_no_document_and_may_do_nothing_as_one() -> None:
    assert policy_of(await answered(KINDS["data"]))["default-src"] == "'none'"


@pytest.mark.anyio
async def test_a_page_without_a_policy_of_its_own_runs_and_loads_what_is_this_apps_alone() -> None:
    policy = policy_of(await answered(KINDS["page"]))
    assert policy["script-src"] == "'self'"
    assert policy["script-src-attr"] == policy["object-src"] == "'none'"
    assert not any("*" in sources or "https:" in sources for sources in policy.values())


@pytest.mark.anyio
async def test_what_an_answer_says_itself_is_left_as_it_is() -> None:
    own = {
        "content-security-policy": "sandbox",
        "cross-origin-opener-policy": "unsafe-none",
        "permissions-policy": "usb=(self)",
    }
    answer = await answered(own)
    assert {name: answer.headers.getlist(name) for name in own} == {name: [value] for name, value in own.items()}
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


# -- in frames --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("configured", "may_frame"),
    [("", "'self' https://huggingface.co"), ("frame-ancestors https://intranet.example", "https://intranet.example")],
)
async def test_an_app_for_frames_is_framed_by_a_space_or_by_who_is_named(configured: str, may_frame: str) -> None:
    answer = await answered(**PUBLIC, cookie_samesite="none", content_security_policy=configured)
    assert policy_of(answer)["frame-ancestors"] == may_frame
    assert "x-frame-options" not in answer.headers


@pytest.mark.anyio
async def test_who_is_named_may_frame_the_app_with_the_usual_cookie_too() -> None:
    answer = await answered(content_security_policy="frame-ancestors 'none'")
    assert policy_of(answer)["frame-ancestors"] == "'none'"
    assert "x-frame-options" not in answer.headers


# -- cookies and caches -----------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(("cache", "kept"), [("public, max-age=86400", False), ("private", True), ("no-store", True)])
async def test_what_may_be_cached_by_all_sets_nobodys_cookie(cache: str, kept: bool) -> None:
    answer = await answered({"cache-control": cache, "set-cookie": "session=1", "etag": "x"})
    assert ("set-cookie" in answer.headers) == kept
    assert answer.headers["etag"] == "x"


# -- the policy of a page ---------------------------------------------------------------------------------------------


def page(directives: dict[str, str], also: dict[str, str] | None = None, /, configured: str = "", **options: Any):
    security = made_security(sound_settings(content_security_policy=configured))
    return parse_policy(security.page(directives, **options).value(also))


def test_what_a_page_does_not_ask_for_is_closed() -> None:
    policy = page({"img-src": "'self'"})
    assert policy["default-src"] == policy["base-uri"] == policy["object-src"] == policy["script-src-attr"] == "'none'"
    assert policy["img-src"] == policy["form-action"] == "'self'"


def test_configured_directives_stand_in_place_of_the_pages_own() -> None:
    policy = page({"img-src": "'self'", "font-src": "data:"}, configured="img-src https:; report-uri /reports")
    assert (policy["img-src"], policy["font-src"], policy["report-uri"]) == ("https:", "data:", "/reports")


def test_a_page_can_do_without_a_directive_whatever_is_configured() -> None:
    assert "form-action" not in page({}, configured="form-action 'self'", without=("form-action",))


def test_the_scripts_that_came_with_a_page_run_with_configured_sources_too() -> None:
    also = {"script-src": "'nonce-abc'", "img-src": "https://pictures.example/me"}
    configured = "script-src https://cdn.example; script-src-elem 'none'; img-src 'none'"
    policy = page({"script-src": "'self'"}, also, configured=configured)
    assert policy["script-src"] == "https://cdn.example 'nonce-abc'"
    assert policy["script-src-elem"] == "'nonce-abc'"
    assert policy["img-src"] == "https://pictures.example/me"


def test_a_nonce_does_not_take_back_that_every_inline_script_may_run() -> None:
    policy = page({}, {"script-src": "'nonce-abc'"}, configured="script-src 'self' 'unsafe-inline'")
    assert policy["script-src"] == "'self' 'unsafe-inline'"


def test_a_plain_page_has_its_style_and_no_script() -> None:
    pages = made_pages(sound_settings())
    answer = pages.response("message.html", heading="h", sentence="s", detail="", ask=False, actions=[])
    policy = parse_policy(answer.headers["content-security-policy"])
    assert policy["style-src"].startswith("'sha256-")
    assert "script-src" not in policy
    assert policy["default-src"] == "'none'"


# -- the setting ------------------------------------------------------------------------------------------------------

WRONG = {
    "image-src 'self'": "there is no directive 'image-src'; is img-src meant?",
    "img-src self": "in img-src, self needs its quotes: 'self'",
    "img-src 'self'; IMG-SRC https:": "img-src is there twice",
    "img-src \"'self'\"": "is no source",
    "img-src 'self', https:": "a comma or an unusual character",
    "img-src https://ex\u00e4mple.com": "a comma or an unusual character",
    "report-uri /a\0b": "a comma or an unusual character",
    "default": "there is no directive 'default'; is default-src meant?",
}


@pytest.mark.parametrize(("text", "problem"), WRONG.items(), ids=WRONG)
def test_a_policy_that_browsers_would_not_understand_is_refused_in_words(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_policy(text)


RIGHT = {
    "": {},
    " img-src  'self'   https: ;; ": {"img-src": "'self' https:"},
    "script-src 'sha256-abc=' 'nonce-x' *.example.com https://a.example:8443/b/": {
        "script-src": "'sha256-abc=' 'nonce-x' *.example.com https://a.example:8443/b/"
    },
    "sandbox allow-scripts; upgrade-insecure-requests": {"sandbox": "allow-scripts", "upgrade-insecure-requests": ""},
    "img-src * data: 'none'": {"img-src": "* data: 'none'"},
}


@pytest.mark.parametrize(("text", "policy"), RIGHT.items(), ids=RIGHT)
def test_a_policy_is_read_as_browsers_read_it(text: str, policy: dict[str, str]) -> None:
    assert parse_policy(text) == policy
