"""The plain pages (errors, leaving, the local provider): one look, no script needed, nothing from another host."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from auth.content_policy import Policy, hash_of
from auth.web.security_headers import SecurityHeaders

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders `auth/templates`; every value is escaped. Templates see `app_title`, `prefix` (the path of
    `PUBLIC_URL`, without a slash at its end), `style`, `logo` (there is a picture at /logo), `contact` (an e-mail
    address or an address of whom to ask, or empty) and what the caller passes."""

    def __init__(
        self, *, app_title: str, prefix: str, security: SecurityHeaders, logo: bool = False, contact: str = ""
    ) -> None:
        self._security = security
        self._jinja = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = "".join((TEMPLATES / name).read_text("utf-8") for name in ("look.css", "page.css"))
        self._style = hash_of(style)
        own = Markup(style)  # noqa: S704
        self._jinja.globals.update(app_title=app_title, prefix=prefix, style=own, logo=logo, contact=contact)
        self._policy = self.policy({})

    def policy(self, directives: Policy, *, without: tuple[str, ...] = ()) -> str:
        """A Content-Security-Policy for pages that need more than the others, or less (`SecurityHeaders.page`)."""
        page = self._security.page({"img-src": "'self'", **directives}, without=without)
        return page.value({"style-src": self._style})

    def response(
        self,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        policy: str | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """The page as an answer that no cache keeps and that runs and loads nothing from another host."""
        body = self._jinja.get_template(template).render(context)
        own = {"Cache-Control": "no-store", "Content-Security-Policy": policy or self._policy}
        return HTMLResponse(body, status, own | dict(headers or {}))
