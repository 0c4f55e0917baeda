"""The routes of programs that act as people: OAuth 2.1, and what ends it."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7591 import InvalidClientMetadataError
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from msgspec.json import decode
from starlette.datastructures import QueryParams
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from auth.errors import AuthError, NotFound, ProgramRequestInvalid
from auth.events import log_event
from auth.gate import for_people
from auth.grants import AskedRequests, GrantServer, is_own_machine, place_of
from auth.identity import Identity, credential_in
from auth.oauth import OAuthRequest, body_of, params_of
from auth.sessions import Sessions
from auth.urls import Site
from auth.web import READ, Answers, Pages, ProtectedResources

REQUEST_BYTES = 4096
NOT_FRAMED = {
    # No form-action: Chromium applies it to the redirect that follows the answer too.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


class CrossOriginRoute(APIRoute):
    """A route that programs written as web pages use too, from their own origin, such as the MCP Inspector.

    Without cookies, so that such a page gets what any program gets. Never the authorization endpoint (RFC 9700 section
    2.6), where the person is.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here, so that a preflight request is answered and errors can be read too. Those are JSON: that a program takes
        # pages (Java's clients say so unless they are told not to) makes nobody of it who reads one.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept"]
        route = CORSMiddleware(
            super().handle,
            allow_origins=["*"],
            allow_methods=["GET", "POST"],
            allow_headers=["MCP-Protocol-Version"],
        )
        await route({**scope, "headers": headers}, receive, send)


def resource_routes(resources: ProtectedResources) -> APIRouter:
    """`/.well-known/oauth-protected-resource`, with the path of each resource after it (RFC 9728 section 3.1)."""
    router = APIRouter(include_in_schema=False, route_class=CrossOriginRoute)

    @router.api_route("/.well-known/oauth-protected-resource", methods=READ)
    @router.api_route("/.well-known/oauth-protected-resource{path:path}", methods=READ)
    async def protected_resource(path: str = "") -> Mapping[str, Any]:
        document = resources.document(path)
        if document is None:
            raise NotFound("no such resource")
        return document

    return router


def oauth_routes(*, site: Site, pages: Pages, answers: Answers, sessions: Sessions, server: GrantServer) -> APIRouter:
    """`/oauth/authorize`, `/oauth/token`, `/oauth/register`, `/oauth/revoke`, `/oauth/end-all`, and the metadata."""
    router = APIRouter(include_in_schema=False, route_class=CrossOriginRoute)
    people = APIRouter(dependencies=[Depends(for_people)])
    kept = AskedRequests(path=f"{site.prefix}/oauth", is_https=site.is_https)

    # -- for people ---------------------------------------------------------------------------------------------------

    async def said_in(request: Request) -> QueryParams:
        try:
            return await params_of(request)
        except OAuth2Error as error:
            raise ProgramRequestInvalid(str(error.description)) from None

    @people.get("/oauth/authorize")
    async def authorize(request: Request) -> Response:
        """RFC 6749 section 4.1.1: a program sends the person here to be asked."""
        if len(request.scope["query_string"]) > REQUEST_BYTES:
            raise ProgramRequestInvalid(f"the request is longer than {REQUEST_BYTES} bytes")
        person = credential_in(request.scope).outcome
        asked = OAuthRequest(request, await said_in(request))
        if isinstance(person, AuthError):
            return to_sign_in(request, asked, person)
        try:
            await server.find_client(asked.payload.client_id or "")
            grant = server.checked(asked)
        except OAuth2Error as error:
            return server.handle_error_response(asked, error)
        return consent_page(request, grant.request, person)

    def to_sign_in(request: Request, asked: OAuthRequest, error: AuthError) -> Response:
        """Nobody is redirected to a program, and no document of one is fetched, before somebody has signed in (RFC 9700
        section 4.11.2); what is wrong with the program itself is said at once."""
        server.check_client(asked)
        path, query = f"{site.prefix}/oauth/continue", f"request={kept.name_for(request)}"
        scope = {**request.scope, "path": path, "raw_path": path.encode(), "query_string": query.encode()}
        response = answers.to(error, scope)
        kept.keep(request, response)
        return response

    @people.get("/oauth/continue")
    async def signed_in(request: Request) -> Response:
        """Where a sign-in leads that an authorization request made necessary."""
        name = request.query_params.get("request", "")
        query = kept.read(request, name)
        if query is None:
            raise ProgramRequestInvalid("this browser keeps no such request")
        response = RedirectResponse(f"{site.base_url}/oauth/authorize?{query}", 303, {"Cache-Control": "no-store"})
        kept.forget(request, response, name)
        return response

    def consent_page(request: Request, asked: OAuthRequest, person: Identity) -> Response:
        redirect_uri = asked.payload.redirect_uri
        assert person.session_id is not None
        return pages.response(
            "consent.html",
            headers=NOT_FRAMED,
            heading="Let a program act as you?",
            program=asked.client.called_at(redirect_uri),
            vouched_for_by=asked.client.host,
            place=place_of(redirect_uri),
            own_machine=is_own_machine(redirect_uri),
            person=person.display_name,
            action=f"{site.prefix}/oauth/authorize",
            consent=server.consent(request.scope["query_string"].decode("latin-1"), person.session_id),
        )

    @people.post("/oauth/authorize")
    async def answer(request: Request) -> Response:
        """What the person says to the consent page."""
        identity = credential_in(request.scope).identity  # nobody's, where another site's page posts here
        person = sessions.held_in(request.session)
        said = await said_in(request)
        asked = OAuthRequest(request, server.asked_on(said.get("consent", ""), identity.session_id or ""))
        try:
            await server.find_client(asked.payload.client_id or "")
            grant = server.checked(asked)
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        agreed = said.get("answer") == "agree"
        event, message = ("program_connected", "agreed to") if agreed else ("program_refused", "not agreed to")
        log_event(event, f"a program was {message}", request.scope, client=asked.client.called_at(grant.redirect_uri))
        return server.answer(asked, grant, person if agreed else None)

    @people.post("/oauth/end-all")
    async def end_all(request: Request) -> Response:
        """Ends all that the person lets programs do."""
        identity = credential_in(request.scope).identity
        server.grants.end_all(identity)
        log_event("programs_ended", "a person ended what they let programs do", request.scope)
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    # -- for programs -------------------------------------------------------------------------------------------------

    @router.post("/oauth/register")
    async def register(request: Request) -> Response:
        """RFC 7591 section 3."""
        try:
            try:
                metadata = decode(await body_of(request))
            except (ValueError, RecursionError):
                raise InvalidClientMetadataError("The body is not JSON.") from None
            return server.handle_response(201, server.registered(metadata), [("Cache-Control", "no-store")])
        except OAuth2Error as error:
            return server.handle_error_response(None, error)

    @router.post("/oauth/token")
    async def token(request: Request) -> Response:
        """RFC 6749 section 3.2."""
        return await server.token_response(request)

    @router.post("/oauth/revoke")
    async def revoke(request: Request) -> Response:
        """RFC 7009 section 2."""
        try:
            asked = OAuthRequest(request, await params_of(request))
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        response: Response = server.create_endpoint_response("revocation", asked)
        return response

    # -- as clients look for it (RFC 8414 sections 3 and 5) -----------------------------------------------------------

    for path in dict.fromkeys(("", site.prefix)):

        @router.api_route(AUTHORIZATION_SERVER + path, methods=READ)
        async def metadata() -> Mapping[str, Any]:
            return server.metadata()

        @router.api_route(OPENID + path, methods=READ)
        async def neighbour() -> Mapping[str, Any]:
            """Clients that read this address want members that only an OpenID provider has a use for."""
            keys = {"jwks_uri": f"{site.base_url}/oauth/jwks.json", "subject_types_supported": ["public"]}
            return server.metadata() | keys | {"id_token_signing_alg_values_supported": ["RS256"]}

    @router.api_route("/oauth/jwks.json", methods=READ)
    async def no_keys() -> Mapping[str, Any]:
        """Nothing is signed for others to verify."""
        return {"keys": []}

    router.include_router(people)
    return router
