"""Behind nginx, with https and under a prefix, every address is the one that people type, whatever a request says."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest

from tests.replicas.servers import Nginx
from tests.replicas.visitor import OWN, Visitor
from tests.support.app_server import AppServer, agree
from tests.support.provider import Provider

ORIGIN = "https://app.example.com"
EVIL = {
    "a foreign Host": {"Host": "evil.example"},
    "a foreign Host with our port": {"Host": "app.example.com:8443"},
    "X-Forwarded-Host": {"X-Forwarded-Host": "evil.example"},
    "X-Forwarded-Proto": {"X-Forwarded-Proto": "http"},
    "X-Forwarded-Prefix": {"X-Forwarded-Prefix": "/evil"},
    "X-Forwarded-For": {"X-Forwarded-For": "203.0.113.9"},
    "X-Forwarded-Port": {"X-Forwarded-Port": "444"},
    "X-Forwarded-Server": {"X-Forwarded-Server": "evil.example"},
    "X-Original-URL": {"X-Original-URL": "https://evil.example/"},
    "X-Rewrite-URL": {"X-Rewrite-URL": "/evil"},
    "X-Script-Name": {"X-Script-Name": "/evil"},
    "x-gradio-server": {"x-gradio-server": "https://evil.example"},
    "Forwarded": {"Forwarded": "for=203.0.113.9;host=evil.example;proto=http"},
    "all at once": {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
    },
}


@dataclass(frozen=True)
class Way:
    """How people reach the app: `location` and `proxy_pass` in nginx, and the prefix of `PUBLIC_URL`."""

    name: str
    prefix: str
    location: str = "/"
    passes_to: str = "http://app"


WAYS = [
    Way("at the root", ""),
    Way("prefix kept", "/app", "/app/"),
    Way("prefix stripped", "/app", "/app/", "http://app/"),
    Way("a deep prefix stripped", "/teams/one/app", "/teams/one/app/", "http://app/"),
]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def front(request: pytest.FixtureRequest) -> Iterator[tuple[AppServer, Nginx]]:
    way: Way = request.param
    with ExitStack() as stack:
        acme = stack.enter_context(Provider())
        app = stack.enter_context(AppServer({"acme": acme}, public_url=ORIGIN + way.prefix))
        nginx = Nginx(app.port, app.port, location=way.location, passes_to=way.passes_to)
        yield app, stack.enter_context(nginx)


@pytest.fixture
def visitor(front: tuple[AppServer, Nginx]) -> Iterator[Visitor]:
    with Visitor(*front) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def cookie(front: tuple[AppServer, Nginx]) -> str:
    """Of somebody who is signed in."""
    with Visitor(*front) as visitor:
        visitor.sign_in()
        return visitor.cookie


def prefix(visitor: Visitor) -> str:
    return urlsplit(visitor.app.url).path


def test_the_whole_way_of_a_sign_in_stays_at_the_public_address(visitor: Visitor) -> None:
    public = visitor.app.url
    assert visitor.get("/").headers["location"] == f"{public}/login-demo/"
    wanted = visitor.get("/gradio/?a=1&b=%2F")
    assert wanted.headers["location"] == f"{public}/login-demo/?next=/gradio/%3Fa%3D1%26b%3D%252F"
    page = visitor.get("/login-demo/?next=/gradio/%3Fa%3D1")
    assert page.status_code == 200
    to_provider = visitor.begin(next="/gradio/?a=1")
    assert parse_qs(urlsplit(to_provider).query)["redirect_uri"] == [f"{public}/auth/acme"]
    back = visitor.come_back(agree(to_provider))
    assert back.headers["location"] == f"{public}/gradio/?a=1"
    assert visitor.get("/gradio").headers["location"] == f"{public}/gradio/"
    assert visitor.person["subject"] == "alice-1"
    page = visitor.sign_out()
    assert f'href="{prefix(visitor)}/"' in page.text
    assert parse_qs(urlsplit(_link(page, "end_session")).query)["post_logout_redirect_uri"] == [f"{public}/logout"]
    assert visitor.who() is None


def test_the_cookie_is_for_https_and_this_host_alone(visitor: Visitor) -> None:
    begun = visitor.get("/login", params={"provider": "acme"})
    (ours,) = [value for value in begun.headers.get_list("set-cookie") if "session" in value.partition("=")[0]]
    name, _, rest = ours.partition("=")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name.startswith("__Host-session")
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
    (sticky,) = visitor.get("/login-demo/").headers.get_list("set-cookie") or [""]
    assert sticky == "" or "replica=" in sticky


def test_every_file_that_a_page_asks_for_is_found_below_the_prefix(visitor: Visitor) -> None:
    for path in ("/login-demo/", "/gradio/"):
        if path == "/gradio/":
            visitor.sign_in()
        page = visitor.get(path)
        assert page.status_code == 200
        assert "127.0.0.1" not in page.text.replace(visitor.app.settings.providers[0].issuer, "")
        files = [html.unescape(found) for found in re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)]
        files = [urljoin(str(page.url), file) for file in files if not file.startswith(("data:", "blob:", "#"))]
        assert files
        for file in files:
            # Gradio's page names a manifest at the origin's root, with a prefix or without one, and there is none.
            assert file.startswith(f"{visitor.app.url}/") or file == f"{ORIGIN}/manifest.json", file
        for file in [file for file in files if re.search(r"\.(js|css|ico|svg)$", urlsplit(file).path)]:
            assert visitor.get(file).status_code == 200, file
        (config,) = re.findall(r"window\.gradio_config = (\{.*?\});</script>", page.text)
        assert json.loads(config)["root"] == f"{visitor.app.url}{path.rstrip('/')}"


def test_events_and_uploads_work_below_the_prefix(visitor: Visitor) -> None:
    visitor.sign_in()
    assert visitor.run("answer", "good morning") == [("complete", ["Alice Example wrote: good morning"])]
    path = visitor.upload(b"hello")
    shown = visitor.get(f"/gradio/gradio_api/file={path}", headers=OWN)
    assert (shown.status_code, shown.content) == (200, b"hello")


@pytest.mark.parametrize("headers", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("through_nginx", [True, False], ids=["through nginx", "past nginx"])
def test_no_header_changes_where_anybody_is_sent(
    front: tuple[AppServer, Nginx], cookie: str, headers: dict[str, str], through_nginx: bool
) -> None:
    app, nginx = front
    with Visitor(app, nginx if through_nginx else app) as visitor:
        for path in ("/", "/gradio", "/gradio/", "/login-demo"):
            response = visitor.get(path, headers=headers)
            assert response.headers["location"].startswith(f"{app.url}/"), path
        begun = visitor.get("/login", params={"provider": "acme"}, headers=headers)
        assert parse_qs(urlsplit(begun.headers["location"]).query)["redirect_uri"] == [f"{app.url}/auth/acme"]
        visitor.cookie = cookie
        page = visitor.get("/gradio/", headers=headers)
        assert page.status_code == 200
        assert "evil" not in page.text
        config = visitor.get("/gradio/config", headers={**OWN, **headers}).json()
        assert config["root"] == f"{app.url}/gradio"


def test_plain_http_is_led_to_the_public_name_and_no_other(front: tuple[AppServer, Nginx]) -> None:
    _, nginx = front
    url = f"http://127.0.0.1:{nginx.plain_port}/gradio/?a=1"
    assert httpx2.get(url, headers={"Host": "evil.example"}).headers["location"] == f"{ORIGIN}/gradio/?a=1"


def _link(page: httpx2.Response, part: str) -> str:
    (link,) = [found for found in re.findall(r'href="([^"]+)"', page.text) if part in found]
    return html.unescape(link)
