"""This app as the authorization server of its own resources, for programs that act as the people who let them.

OAuth 2.1 as MCP authorization (revision 2025-11-25) asks for it, on Authlib's grants.
"""

# mypy: allow-subclassing-any
# Authlib ships no types.

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import InvalidRedirectURIError
from msgspec import Struct
from starlette.datastructures import QueryParams
from starlette.responses import Response

from auth.errors import ConsentInvalid, ProgramRequestInvalid, ProgramUnknown, TokenRevoked
from auth.grants.addresses import is_resource
from auth.grants.documents import Documents, is_document_address
from auth.grants.grant import Code, Grant, Grants, Tokens, is_of
from auth.grants.program import Program, read_metadata
from auth.oauth import S256, CodeGrant, OAuthRequest, OAuthServer, Seal
from auth.sessions import Person

PUBLIC_CLIENTS = ["none"]
CLIENT_ID_AT_MOST = 2048
CONSENT_SECONDS = 600


class Registration(Struct, frozen=True, array_like=True):
    """What a client id holds. `salt` makes it another one each time."""

    name: str | None
    redirect_uris: tuple[str, ...]
    salt: bytes


class Consent(Struct, frozen=True, array_like=True):
    """A consent page that was shown: what was asked (a query), in which session, and until when it may be answered."""

    asked: str
    session_id: str
    until: float


class InvalidTargetError(OAuth2Error):
    """RFC 8707 section 2."""

    error = "invalid_target"


class _Code(CodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = PUBLIC_CLIENTS


class _Resources:
    """Resource indicators, as an extension of the code grant (RFC 8707)."""

    def __call__(self, grant: CodeGrant) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check_asked)
        grant.register_hook("after_validate_token_request", self.check_redeemed)

    def check_asked(self, grant: CodeGrant, redirect_uri: str) -> None:
        grant.server.check_resources(grant.request)

    def check_redeemed(self, grant: CodeGrant, _: Any) -> None:
        grant.server.check_resources(grant.request, grant.request.authorization_code.grant)


class _Refresh(RefreshTokenGrant):
    """RFC 6749 section 6, each token for one turn (RFC 9700 section 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = PUBLIC_CLIENTS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> "_Taken | None":
        taken: _Taken | None = self.request.taken
        return taken

    def authenticate_user(self, refresh_token: "_Taken") -> Tokens:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: "_Taken") -> None:
        """It is remembered as used."""


class _Revocation(RevocationEndpoint):
    """RFC 7009: with one of its tokens the whole grant ends."""

    CLIENT_AUTH_METHODS = PUBLIC_CLIENTS

    def check_params(self, request: OAuthRequest, client: Program) -> None:
        """Any `token_type_hint` will do: each token says itself what it is."""
        if not request.form.get("token"):
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> "_Ended | None":
        grant = self.server.grants.open_any(token_string)
        return _Ended(grant) if grant else None

    def revoke_token(self, token: "_Ended", request: OAuthRequest) -> None:
        self.server.grants.end(token.grant)


class _Ended:
    """A token to be revoked, as Authlib takes it."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    def check_client(self, client: Program) -> bool:
        return is_of(self.grant, client)


class _Taken:
    """A refresh token that was turned, as Authlib takes it, with its successors as the `user`."""

    def __init__(self, grant: Grant, tokens: Tokens, scopes: Sequence[str]) -> None:
        self.grant = grant
        self.user = tokens
        self._scopes = scopes

    def check_client(self, client: Program) -> bool:
        """It was, before the token was turned."""
        return True

    def get_scope(self) -> str:
        return " ".join(self._scopes)


class _TakenCode(_Taken):
    """A code that was used for the first time."""

    def __init__(self, code: Code, tokens: Tokens, scopes: Sequence[str]) -> None:
        super().__init__(code.grant, tokens, scopes)
        self.code_challenge = code.code_challenge
        self.code_challenge_method = "S256"
        self._redirect_uri = code.redirect_uri

    def get_redirect_uri(self) -> str:
        return self._redirect_uri


class GrantServer(OAuthServer):
    """The endpoints' work; `auth.routes.oauth` has the routes.

    Args:
        base_url: this app, which is the issuer and all of its resources.
        registration_keys: what client ids are sealed with.
        consent_keys: what consent pages are sealed with.
        scopes: what every grant covers.
        now: epoch seconds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        grants: Grants,
        documents: Documents,
        registration_keys: Sequence[str],
        consent_keys: Sequence[str],
        scopes: tuple[str, ...],
        now: Callable[[], float],
    ) -> None:
        super().__init__(base_url)
        self.grants = grants
        self._documents = documents
        self._registrations = Seal(
            Registration, keys=registration_keys, purpose=f"registration {base_url}", prefix="program-"
        )
        self._consents = Seal(Consent, keys=consent_keys, purpose=f"consent {base_url}", prefix="")
        self._scopes = scopes
        self._now = now
        self.register_grant(_Code, [S256(), _Resources()])
        self.register_grant(_Refresh)
        self.register_endpoint(_Revocation)
        self.register_token_generator("default", self._answer)

    # -- registration (RFC 7591) --------------------------------------------------------------------------------------

    def registered(self, metadata: object) -> dict[str, Any]:
        """The client information response (section 3.2.1). Nothing is kept: the client id holds the registration.

        Raises:
            InvalidClientMetadataError, InvalidRedirectURIError: section 3.2.2.
        """
        name, redirect_uris = read_metadata(metadata)
        client_id = self._registrations.seal(Registration(name, redirect_uris, secrets.token_bytes(9)))
        if len(client_id) > CLIENT_ID_AT_MOST:
            raise InvalidRedirectURIError("The redirect URIs are too long together.")
        return {
            "client_id": client_id,
            "client_id_issued_at": int(self._now()),
            "redirect_uris": list(redirect_uris),
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            **({"client_name": name} if name else {}),
            **({"scope": " ".join(self._scopes)} if self._scopes else {}),
        }

    def query_client(self, client_id: str) -> Program | None:
        """A client id that is an address stands for itself where a code or token is redeemed; what its document says
        counts where one is asked for, after `find_client`."""
        if is_document_address(client_id):
            program = self._documents.known(client_id) or Program(client_id=client_id)
        else:
            registration = self._registrations.open(client_id)
            if registration is None:
                return None
            program = Program(client_id=client_id, name=registration.name, redirect_uris=registration.redirect_uris)
        return replace(program, scopes=self._scopes)

    async def find_client(self, client_id: str) -> None:
        """Fetch what a client id that is an address stands for.

        Raises:
            ProgramUnknown.
        """
        if is_document_address(client_id):
            await self._documents.find(client_id)

    # -- authorization ------------------------------------------------------------------------------------------------

    def checked(self, asked: OAuthRequest) -> CodeGrant:
        """An authorization request that a person can be asked about.

        Raises:
            ProgramUnknown, ProgramRequestInvalid: there is no address to tell of it.
            OAuth2Error: with the `redirect_uri` where the program is to be told.
        """
        try:
            grant: CodeGrant = self.get_consent_grant(asked)
        except OAuth2Error as error:
            if error.redirect_uri:
                raise
            if error.error == "invalid_client":
                raise ProgramUnknown("the client id is none of this app's") from None
            raise ProgramRequestInvalid(error.error) from None  # Authlib quotes the query, which is not to be logged
        except ValueError:  # it does so in characters that an error may not have
            raise ProgramRequestInvalid("invalid_request") from None
        return grant

    def check_client(self, asked: OAuthRequest) -> None:
        """What can be found wrong before anybody has signed in, and without asking another host.

        Raises:
            ProgramUnknown, ProgramRequestInvalid.
        """
        if not is_document_address(asked.payload.client_id or ""):
            with suppress(OAuth2Error):  # the program is told once the person has signed in
                self.checked(asked)

    def consent(self, asked: str, session_id: str) -> str:
        """What the consent page for an authorization request (a query) is answered with."""
        return self._consents.seal(Consent(asked, session_id, self._now() + CONSENT_SECONDS))

    def asked_on(self, consent: str, session_id: str) -> QueryParams:
        """The authorization request that this session was shown.

        Raises:
            ConsentInvalid: it was shown another, or none, or long ago.
        """
        shown = self._consents.open(consent)
        if shown is None or not secrets.compare_digest(shown.session_id, session_id):
            raise ConsentInvalid("the consent is none of this session's")
        if self._now() >= shown.until:
            raise ConsentInvalid("the consent page was shown too long ago")
        return QueryParams(shown.asked)

    def answer(self, asked: OAuthRequest, grant: CodeGrant, person: Person | None) -> Response:
        """Back to the program: with a code from a person who agreed, with a refusal where there is None."""
        response: Response = self.create_authorization_response(asked, person, grant)
        return response

    def make_code(self, request: OAuthRequest) -> str:
        asked = request.payload.data
        redirect_uri = asked["redirect_uri"]
        grant = self.grants.begin(request.user, request.client, redirect_uri, asked.getlist("resource"))
        return self.grants.code(grant, redirect_uri=redirect_uri, code_challenge=asked["code_challenge"])

    def check_resources(self, request: OAuthRequest, grant: Grant | None = None) -> None:
        """
        Raises:
            InvalidTargetError: a resource is none of this app, or none of those that were agreed to (section 2.2).
        """
        resources = request.payload.data.getlist("resource")
        agreed = {resource.rstrip("/") for resource in grant.resources} if grant else set()
        for resource in resources:
            if not is_resource(resource, self.issuer):
                raise InvalidTargetError("The resource is no address of this app.")
            if agreed and resource.rstrip("/") not in agreed:
                raise InvalidTargetError("The resource is none of those that were agreed to.")

    # -- tokens -------------------------------------------------------------------------------------------------------

    async def prepared(self, request: OAuthRequest) -> OAuthRequest:
        """A code is used up by the first who brings it, whatever else is wrong with what they bring."""
        request.taken = None
        by = Program(client_id=request.payload.client_id or "")
        try:
            if request.payload.grant_type == CodeGrant.GRANT_TYPE:
                code = self.grants.open_code(request.form.get("code"))
                if code and is_of(code.grant, by) and await self.grants.use_up(code):
                    request.taken = _TakenCode(code, self.grants.tokens(code.grant), self._scopes)
            elif request.payload.grant_type == RefreshTokenGrant.GRANT_TYPE:
                token = self.grants.open_refresh_token(request.form.get("refresh_token"))
                if token and is_of(token.grant, by):
                    self.check_resources(request, token.grant)
                    request.taken = _Taken(token.grant, await self.grants.renewed(token), self._scopes)
        except TokenRevoked:
            raise InvalidGrantError("What was granted has ended.") from None
        return request

    def take_code(self, request: OAuthRequest, client: Program) -> _TakenCode | None:
        taken: _TakenCode | None = request.taken
        return taken

    def _answer(self, *, user: Tokens, **_: Any) -> dict[str, Any]:
        """RFC 6749 section 5.1."""
        return {
            "access_token": user.access_token,
            "token_type": "Bearer",
            "expires_in": max(round(user.expires_at - self._now()), 0),
            "refresh_token": user.refresh_token,
            "scope": " ".join(self._scopes),
        }

    # -- metadata -----------------------------------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        """RFC 8414 section 2."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/oauth/authorize",
            "token_endpoint": f"{self.issuer}/oauth/token",
            "registration_endpoint": f"{self.issuer}/oauth/register",
            "revocation_endpoint": f"{self.issuer}/oauth/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": PUBLIC_CLIENTS,
            "revocation_endpoint_auth_methods_supported": PUBLIC_CLIENTS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
            **({"scopes_supported": list(self._scopes)} if self._scopes else {}),
        }
