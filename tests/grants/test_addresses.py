"""Where answers may go (RFC 8252 sections 7 and 8, RFC 9700 section 4.1), and what is an address of this app."""

from __future__ import annotations

import pytest

from auth.grants.addresses import is_redirect_uri, is_resource, is_same_redirect_uri, place_of

GOOD = {
    "https": "https://claude.ai/api/mcp/auth_callback",
    "https with a query": "https://client.example/cb?tenant=1",
    "https on a port": "https://client.example:8443/cb",
    "https on loopback": "https://localhost:3118/cb",
    "a name of other letters, as it is sent": "https://xn--mnchen-3ya.example/cb",
    "loopback address": "http://127.0.0.1:33418/",
    "loopback without a port": "http://127.0.0.1/",
    "loopback name": "http://localhost:3118/callback",
    "loopback of IPv6": "http://[::1]:8080/cb",
    "scheme with a dot": "com.example.app:/oauth2redirect",
    "scheme without one": "cursor://anysphere.cursor-retrieval/oauth/user-x/callback",
    "scheme with an empty host": "myapp:///callback",
}
BAD = {
    "nothing": "",
    "no scheme": "client.example/cb",
    "relative": "/callback",
    "http off loopback": "http://client.example/cb",
    "http to a name that begins like loopback": "http://127.0.0.1.evil.example/cb",
    "http to a name that ends like localhost": "http://evil-localhost/cb",
    "http to localhost with a dot": "http://localhost./cb",
    "http to loopback in IPv6": "http://[::ffff:127.0.0.1]/cb",
    "http to loopback in decimal": "http://2130706433/cb",
    "http to loopback in short": "http://127.1/cb",
    "http to all addresses": "http://0.0.0.0/cb",
    "credentials": "https://client.example@evil.example/cb",
    "an empty user": "https://@evil.example/cb",
    "credentials before loopback": "http://localhost@evil.example/cb",
    "fragment": "https://client.example/cb#x",
    "an empty fragment": "https://client.example/cb#",
    "backslash": "https://client.example\\@evil.example/cb",
    "tab": "https://client.example/\tcb",
    "newline": "https://client.example/\ncb",
    "space": "https://client.example/a b",
    "space before": " https://client.example/cb",
    "quote": 'https://client.example/"onclick="x',
    "angle brackets": "https://client.example/<script>",
    "not ASCII": "https://cli\u0435nt.example/cb",
    "no host": "https:///cb",
    "no slashes": "https:client.example",
    "escape in the host": "https://%65vil.example/cb",
    "broken escape": "https://client.example/%zz",
    "wildcard host": "https://*.example/cb",
    "port that is none": "https://client.example:99999/cb",
    "bracket without an end": "https://[::1/cb",
    "javascript": "javascript:alert(1)",
    "javascript in capitals": "JavaScript:alert(1)",
    "javascript with slashes": "javascript://x/%0aalert(1)",
    "data": "data:text/html,x",
    "file": "file:///etc/passwd",
    "blob": "blob:https://client.example/x",
    "about": "about:blank",
    "vbscript": "vbscript:x",
    "view-source": "view-source:https://client.example/",
    "filesystem": "filesystem:https://client.example/x",
    "websocket": "wss://client.example/cb",
    "ftp": "ftp://client.example/cb",
    "mail": "mailto:x@client.example",
    "an intent": "intent://x#Intent;end",
    "an extension": "chrome-extension://abcdef/cb",
    "too long": "https://client.example/" + "x" * 512,
}


@pytest.mark.parametrize("uri", GOOD.values(), ids=GOOD)
def test_an_answer_may_go_there(uri: str) -> None:
    assert is_redirect_uri(uri)
    assert is_same_redirect_uri(uri, uri)


@pytest.mark.parametrize("uri", BAD.values(), ids=BAD)
def test_an_answer_never_goes_there(uri: str) -> None:
    assert not is_redirect_uri(uri)


@pytest.mark.parametrize(
    ("asked", "registered", "same"),
    [
        ("http://127.0.0.1:5/cb", "http://127.0.0.1:9/cb", True),
        ("http://127.0.0.1:5/cb", "http://127.0.0.1/cb", True),
        ("http://localhost:5/cb", "http://localhost/cb", True),
        ("http://[::1]:5/cb", "http://[::1]/cb", True),
        ("http://localhost:5/cb", "http://127.0.0.1:5/cb", False),
        ("http://127.0.0.1:5/cb/", "http://127.0.0.1:5/cb", False),
        ("http://127.0.0.1:5/cb?x", "http://127.0.0.1:5/cb", False),
        ("http://x@127.0.0.1:5/cb", "http://127.0.0.1:5/cb", False),
        ("http://127.0.0.1:5/cb#x", "http://127.0.0.1:5/cb", False),
        ("https://127.0.0.1:5/cb", "http://127.0.0.1:5/cb", False),
        ("http://127.0.0.1:5/cb", "https://127.0.0.1:5/cb", False),
        ("https://client.example:5/cb", "https://client.example/cb", False),
        ("https://client.example/cb/../x", "https://client.example/x", False),
        ("https://client.example/CB", "https://client.example/cb", False),
        ("https://client.example/cb?x=1", "https://client.example/cb", False),
        ("https://evil.example/cb", "https://client.example/cb", False),
        ("https://client.example.evil.example/cb", "https://client.example/cb", False),
        ("http://client.example/cb", "https://client.example/cb", False),
        ("cursor://x/cb?y", "cursor://x/cb", False),
        ("vscode://x/cb", "cursor://x/cb", False),
    ],
)
def test_addresses_are_compared_whole_but_for_the_port_of_loopback(asked: str, registered: str, same: bool) -> None:
    assert is_same_redirect_uri(asked, registered) is same


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://claude.ai/api/mcp/auth_callback", "claude.ai"),
        ("https://xn--pple-43d.com/cb", "xn--pple-43d.com"),
        ("http://127.0.0.1:5123/cb", "127.0.0.1:5123"),
        ("cursor://anysphere.cursor-retrieval/cb", "cursor:"),
    ],
)
def test_a_person_is_told_the_host(uri: str, place: str) -> None:
    assert place_of(uri) == place


BASE = "https://example.com/app"


@pytest.mark.parametrize("path", ["", "/", "/gradio", "/gradio/", "/gradio/gradio_api/mcp", "/gradio/gradio_api/mcp/"])
def test_a_resource_is_an_address_of_this_app(path: str) -> None:
    assert is_resource(BASE + path, BASE)


def test_a_resource_may_be_spelled_with_the_port_that_goes_without_saying() -> None:
    assert is_resource("HTTPS://Example.com:443/app/", BASE)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "https://example.com",
        "https://example.com/",
        "https://example.com/application",
        "https://example.com/app/../other",
        "https://example.com/app/%2e%2e/other",
        "https://example.com/other/app",
        "https://example.com:8443/app",
        "https://example.com.evil.example/app",
        "https://evil.example/app",
        "https://evil.example/https://example.com/app",
        "https://example.com@evil.example/app",
        "https://user@example.com/app",
        "http://example.com/app",
        "https://example.com/app#x",
        "https://example.com:x/app",
        "https://example.com\\/app",
        "urn:example:app",
    ],
)
def test_another_address_is_none(address: str) -> None:
    """RFC 8707 section 2: a fragment is never part of one."""
    assert not is_resource(address, BASE)
