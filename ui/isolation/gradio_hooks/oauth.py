"""Who is signed in, as Gradio's own sign-in with Hugging Face would say it."""

from typing import Any, NoReturn

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.identity import Identity, identity_in


class OAuthInfo(dict[str, Any]):
    """What Gradio would keep of a sign-in with Hugging Face, made from who is signed in here."""

    def __init__(self, identity: Identity) -> None:
        userinfo = {
            "name": identity.display_name,
            "preferred_username": identity.username,
            "profile": "",
            "picture": identity.picture or "",
        }
        super().__init__(userinfo=userinfo, expires_at=identity.expires_at)

    def __missing__(self, name: str) -> NoReturn:
        """Of a `gr.OAuthToken`, which events in a `gr.render` may ask for, unseen at the start."""
        raise gr.Error("This app asks for your Hugging Face token, which there is none of here.")


class OAuthSession:
    """ASGI middleware behind the gate: `gr.OAuthProfile` and `gr.LoginButton` find who is signed in here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "session": {"oauth_info": OAuthInfo(identity_in(scope))}}
        await self._app(scope, receive, send)


def lead_to_sign_out(blocks: gr.Blocks, path: str) -> None:
    """A `gr.LoginButton`, which reads "Logout" for all who are in, leads to this path."""
    for function in blocks.fns.values():
        if isinstance(function.js, str):
            function.js = function.js.replace("'/logout?_target_url=", f"'{path}?_target_url=")
