"""What every answer tells browsers to hold back from, and the policy of a page."""

from starlette.types import Message

from auth.content_policy import Policy, serialized

Header = tuple[bytes, bytes]

HSTS_SECONDS = 365 * 24 * 3600
OFF = (
    "accelerometer browsing-topics geolocation gyroscope hid idle-detection magnetometer midi payment "
    "publickey-credentials-create publickey-credentials-get screen-wake-lock serial usb xr-spatial-tracking"
)
PERMISSIONS = ", ".join(["camera=(self)", "microphone=(self)", *(f"{name}=()" for name in OFF.split())])
"""The value of Permissions-Policy (w3.org/TR/permissions-policy). Gradio's components record sound and pictures."""


class PagePolicy:
    """The Content-Security-Policy of one page."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def value(self, also: Policy | None = None) -> str:
        """The header's value.

        Args:
            also: sources to add to directives, to configured ones too.
        """
        policy = dict(self._policy)
        for name, sources in (also or {}).items():
            for directive in (name, f"{name}-elem"):
                if directive in policy or directive == name:
                    policy[directive] = _joined(policy.get(directive, ""), sources, is_script=name == "script-src")
        return serialized(policy)


class SecurityHeaders:
    """The policies of pages, and the headers that an answer gets unless it has its own.

    Args:
        framed: the cookie is sent in other sites' frames. Those of Hugging Face may be one: it shows Spaces so.
        configured: directives in place of the host's own of the same name.
    """

    def __init__(self, *, is_https: bool, framed: bool, configured: Policy) -> None:
        self._configured = configured
        self._frame_ancestors = "'self' https://huggingface.co" if framed else "'self'"
        self._headers: list[Header] = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", PERMISSIONS.encode()),
        ]
        if is_https:
            self._headers.append((b"strict-transport-security", b"max-age=%d" % HSTS_SECONDS))
        if not framed and "frame-ancestors" not in configured:
            self._headers.append((b"x-frame-options", b"SAMEORIGIN"))
        own = {"default-src": "'self' data: blob:", "style-src": "'self' 'unsafe-inline'", "script-src": "'self'"}
        self._page = self._with(self.page(own))
        # A worker has the policy that its script comes with (CSP3 section 4.2.1).
        self._script = self._with(self.page({**own, "script-src": "'self' blob: 'wasm-unsafe-eval'"}))
        self._data = self._with(self.page({"form-action": "'none'"}, without=("script-src-attr", "object-src")))
        self._names = frozenset(name for name, _ in self._data)

    def _with(self, policy: PagePolicy) -> list[Header]:
        return [*self._headers, (b"content-security-policy", policy.value().encode())]

    def page(self, directives: Policy, *, without: tuple[str, ...] = ()) -> PagePolicy:
        """The policy of a page.

        Args:
            directives: what the page needs. Everything else is closed.
            without: directives that the page has to do without, whatever is configured.
        """
        closed = {
            "default-src": "'none'",
            "script-src-attr": "'none'",
            "object-src": "'none'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": self._frame_ancestors,
        }
        policy = {**closed, **directives, **self._configured}
        return PagePolicy({name: sources for name, sources in policy.items() if name not in without})

    def add(self, start: Message) -> None:
        """To an `http.response.start`."""
        own: list[Header] = start["headers"]
        said = dict(own)
        kind = said.get(b"content-type", b"")
        added = self._page if b"html" in kind else self._script if b"javascript" in kind else self._data
        if not self._names.isdisjoint(said):
            added = [header for header in added if header[0] not in said]
        if b"set-cookie" in said and b"public" in said.get(b"cache-control", b""):
            own = [header for header in own if header[0] != b"set-cookie"]  # whoever asks next would get it
        start["headers"] = [*own, *added]


def _joined(said: str, sources: str, *, is_script: bool) -> str:
    if is_script and "'unsafe-inline'" in said:  # which a nonce or a hash would switch off (CSP3 section 6.7.3.2)
        return said
    return " ".join([*said.replace("'none'", "").split(), sources])
