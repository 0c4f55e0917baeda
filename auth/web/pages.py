"""The plain pages (errors, leaving, the local provider): one look, no script needed, nothing from another host."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders `auth/templates`; every value is escaped. Templates see `app_title`, `prefix` (the path of
    `PUBLIC_URL`, without a slash at its end), `logo` (there is a picture at /logo), `contact` (an e-mail address or an
    address of whom to ask, or empty) and what the caller passes."""

    def __init__(self, *, app_title: str, prefix: str, logo: bool = False, contact: str = "") -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(app_title=app_title, prefix=prefix, logo=logo, contact=contact)

    def response(
        self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> HTMLResponse:
        """The page as an answer that no cache keeps and that runs and loads nothing from another host."""
        body = self._jinja.get_template(template).render(context)
        return HTMLResponse(body, status, {"Cache-Control": "no-store"} | dict(headers or {}))
