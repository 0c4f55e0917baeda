"""Pages, with a policy that names their own scripts."""

import re
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any

import gradio as gr
from gradio import routes
from jinja2 import FunctionLoader
from starlette.requests import Request
from starlette.templating import Jinja2Templates
from starlette.types import Scope

from ui.isolation.gradio_hooks import patch

PAGE = "frontend/index.html"
SCRIPT_TAG = re.compile(r"<script(?=[\s>])")


class PolicyPages(Jinja2Templates):
    """Gradio's templates, whose own scripts have a nonce that the page's policy names."""

    def __init__(self, templates: Jinja2Templates) -> None:
        loader: Any = templates.env.loader

        def with_nonces(name: str) -> str:
            source: str = loader.get_source(templates.env, name)[0]
            marked, scripts = SCRIPT_TAG.subn(r'\g<0> nonce="{{ nonce }}"', source)
            if not scripts:
                raise RuntimeError(f"Gradio {gr.__version__} makes its pages in another way than the versions tried.")
            return marked

        super().__init__(env=templates.env.overlay(loader=FunctionLoader(with_nonces)))
        self.get_template(PAGE)

    def TemplateResponse(self, request: Request, name: str, context: dict[str, Any]) -> Any:  # type: ignore[override]  # noqa: N802
        nonce = token_urlsafe(16)
        response = super().TemplateResponse(request, name, {**context, "nonce": nonce})
        if policy := getattr(request.app.state, "page_policy", None):  # else it is a Gradio app beside this one
            response.headers["Content-Security-Policy"] = policy(request.scope, nonce)
            response.headers["Cache-Control"] = "no-store"
        return response


def with_policy(app: routes.App, policy: Callable[[Scope, str], str]) -> None:
    """Have each page of mounted Blocks come with the policy that is made for its request and its scripts' nonce."""
    if not isinstance(routes.templates, PolicyPages):
        patch.replace(routes, "templates", PolicyPages(routes.templates))
    app.state.page_policy = policy
