"""All that one app's sign-in needs of routes."""

from fastapi import APIRouter

from auth.assembly import Auth
from auth.routes.backchannel import backchannel_routes
from auth.routes.login import login_routes
from auth.routes.oauth import oauth_routes, resource_routes


def sign_in_routes(auth: Auth) -> APIRouter:
    """`/login`, `/auth` and `/logout` for people, `/auth/{provider}/backchannel-logout` for their providers and, where
    programs may come, `/oauth/...` and `/.well-known/...` for them.
    """
    router = APIRouter()
    router.include_router(
        login_routes(
            site=auth.site,
            pages=auth.pages,
            providers=auth.providers,
            sessions=auth.sessions,
            cookies=auth.step_cookies,
            admit=auth.admit,
            home=auth.home,
            now=auth.now,
        )
    )
    router.include_router(
        backchannel_routes(
            answers=auth.answers, providers=auth.providers, sessions=auth.sessions, revocations=auth.revocations
        )
    )
    if auth.resources:
        router.include_router(resource_routes(auth.resources))
    if auth.programs:
        router.include_router(
            oauth_routes(
                site=auth.site, pages=auth.pages, answers=auth.answers, sessions=auth.sessions, server=auth.programs
            )
        )
    return router
