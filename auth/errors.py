"""Everything that can be wrong with a caller, a token or a sign-in: one tree, the leaf names the fault.

Each class says how it is answered (`status`, `code`), what a person reads (`title`, `sentence`) and by which name it is
logged (`event`). An instance adds what only the operator reads: `reason`, for a failed comparison `actual` and
`expected`, and `who` it happened to (issuer#subject) where that is known. No instance ever carries a token, a secret
or an authorization code. `auth.web.answers` alone turns these into HTTP.
"""

from typing import ClassVar, Self


class AuthError(Exception):
    """Base of the tree. `str(error)` is the operator's line, never shown to the caller."""

    status: ClassVar[int] = 401
    code: ClassVar[str] = "unauthenticated"
    event: ClassVar[str] = "call_refused"
    title: ClassVar[str] = "Please sign in"
    sentence: str = "You need to sign in first."
    who: str | None = None

    def __init__(self, reason: str = "", *, actual: object = None, expected: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.actual = actual
        self.expected = expected

    def __str__(self) -> str:
        parts = [self.reason] if self.reason else []
        if self.expected is not None:
            parts.append(f"expected {_short(self.expected)}, got {_short(self.actual)}")
        return "; ".join(parts) or type(self).__name__


def subclasses(error: type[AuthError]) -> list[type[AuthError]]:
    """All classes below `error` in the tree."""
    return [below for child in error.__subclasses__() for below in (child, *subclasses(child))]


def _short(value: object) -> str:
    """`repr`, cut to what a log line bears: the value came from outside."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


# -- nobody, or nobody any more ---------------------------------------------------------------------------------------


class NotSignedIn(AuthError):
    """The request carries no credentials at all, or a cookie that is not ours."""


class SessionExpired(NotSignedIn):
    code = "session_expired"
    event = "session_ended"
    title = "Your session has ended"
    sentence = "You were signed in for as long as one session lasts. Please sign in again."


class SessionIdle(NotSignedIn):
    code = "session_idle"
    event = "session_ended"
    title = "Your session has ended"
    sentence = "You were away for a while, so you were signed out. Please sign in again."


class SessionRevoked(NotSignedIn):
    code = "session_revoked"
    event = "session_ended"
    title = "You are signed out"
    sentence = "This session was signed out. Please sign in again."


class SessionUnchecked(AuthError):
    """The session may have been signed out elsewhere, and what was cannot be known just now: neither in nor out."""

    status = 503
    code = "session_unchecked"
    title = "Try again in a moment"
    sentence = "Whether you are still signed in cannot be checked just now. Please try again in a moment."


# -- Bearer tokens (RFC 6750 section 3.1) -----------------------------------------------------------------------------


class TokenAbsent(AuthError):
    """No Bearer token came to a route that takes nothing else, whoever is signed in."""

    title = "For programs"
    sentence = "This address is for programs: it takes a Bearer token and nothing else."


class TokenUnwanted(AuthError):
    """A Bearer token came to a step of signing in or out, which needs the session that such a request does not have."""

    status = 400
    code = "invalid_request"
    title = "For people"
    sentence = "This address is for people: it takes no Bearer token."


class BearerError(AuthError):
    """A fault of the Bearer credentials. `code` is the RFC 6750 error code."""

    event = "token_refused"


class BearerMalformed(BearerError):
    """The Authorization header is malformed or there are two of them (RFC 6750 section 3.1, invalid_request)."""

    status = 400
    code = "invalid_request"
    title = "Malformed request"
    sentence = "The Authorization header must be there once, as: Bearer <token>."


class BearerRefused(BearerError):
    """No Cognito issuer is configured, so no Bearer token can be accepted."""

    code = "invalid_token"
    title = "Token refused"
    sentence = "This app accepts no Bearer tokens: no Cognito user pool is configured."


class ScopeTooNarrow(BearerError):
    """The token is good and its scopes do not cover the route; `expected` holds the scopes required."""

    status = 403
    code = "insufficient_scope"
    title = "Not enough rights"
    sentence = "The token does not have the scope that this needs."


class KeysUnavailable(BearerError):
    """The issuer's keys cannot be had, so nothing can be said about the token."""

    status = 503
    code = "temporarily_unavailable"
    event = "provider_fault"
    title = "Try again in a moment"
    sentence = "The keys that tokens are checked with cannot be fetched just now."


class TokenInvalid(BearerError):
    """The token does not verify. Raised for access tokens and, inside a sign-in, for ID tokens."""

    code = "invalid_token"
    title = "Token refused"
    sentence = "The token is not valid here."


class TokenMalformed(TokenInvalid):
    """Not a JWS in strict compact serialization (RFC 7515 section 7.1), or its parts are not JSON objects."""

    sentence = "The token is malformed."


class WrongAlgorithm(TokenInvalid):
    sentence = "The token is signed with an algorithm that is not accepted here."


class WrongType(TokenInvalid):
    """`typ` (RFC 7515 section 4.1.9) is not one a token of this use has."""

    sentence = "The token is of another type than the one needed here."


class UnknownKey(TokenInvalid):
    sentence = "The token is signed with a key that its issuer does not publish."


class BadSignature(TokenInvalid):
    sentence = "The token's signature does not verify."


class ClaimMissing(TokenInvalid):
    sentence = "The token lacks a claim that is needed here."


class ClaimMalformed(TokenInvalid):
    sentence = "The token has a claim of the wrong type."


class ClaimForbidden(TokenInvalid):
    sentence = "The token has a claim that a token of this use must not have."


class TokenReplayed(TokenInvalid):
    sentence = "The token was used before."


class TokenRevoked(TokenInvalid):
    """What a person let a program do has ended: they ended it, signed out everywhere, or may not enter any more."""

    sentence = "The token was revoked."


class TokenExpired(TokenInvalid):
    sentence = "The token has expired."


class TokenNotYetValid(TokenInvalid):
    sentence = "The token is not valid yet."


class WrongIssuer(TokenInvalid):
    sentence = "The token was issued by somebody else."


class WrongAudience(TokenInvalid):
    sentence = "The token was issued for somebody else."


class WrongClient(TokenInvalid):
    sentence = "The token was issued to an app client that is not accepted here."


class WrongTokenUse(TokenInvalid):
    sentence = "This is not an access token. Send the access token; an ID token is no API credential."


class WrongNonce(TokenInvalid):
    sentence = "The token belongs to another sign-in."


class NonceMissing(TokenInvalid):
    sentence = "The token belongs to no sign-in."


class WrongHash(TokenInvalid):
    """`at_hash` does not match the access token it came with (OpenID Connect Core 3.1.3.8)."""

    sentence = "The token does not belong to the access token it came with."


# -- signing in through a provider ------------------------------------------------------------------------------------


class SignInError(AuthError):
    """A sign-in that did not end in a session. The person gets a page and can try again.

    Attributes:
        next_path: where the person was going, empty where that is not known.
        account: the e-mail address they came with, where the page is to say it.
        description: the provider's own words, in one short line, or empty.
        provider: with whom they were signing in, by its name.
    """

    status = 400
    code = "sign_in_failed"
    event = "sign_in_refused"
    title = "Sign-in did not work"
    sentence = "Something went wrong while signing you in. Please try again."
    next_path: str = ""
    account: str | None = None
    description: str = ""
    provider: str | None = None


class UnknownProvider(SignInError):
    status = 404
    code = "unknown_provider"
    title = "No such sign-in"
    sentence = "There is no sign-in provider of that name here."


class ConsentDenied(SignInError):
    """`error=access_denied` or the like: the person or the provider denied the request."""

    status = 403
    code = "denied"
    title = "You were not signed in"
    sentence = (
        "The sign-in was cancelled, or the provider does not let this account use this app. Nothing was shared with it."
    )


class SignInUnknown(SignInError):
    """The callback's `state` names no sign-in that this browser has begun, or one that was already used."""

    code = "sign_in_unknown"
    title = "This sign-in is over"
    sentence = (
        "This sign-in was already used, or it was begun in another browser, or the browser's cookies were cleared. "
        "Please start again."
    )


class SignInTimedOut(SignInError):
    code = "sign_in_timed_out"
    title = "This sign-in took too long"
    sentence = "Too much time passed between starting and finishing the sign-in. Please start again."


class CallbackMalformed(SignInError):
    """The callback is not an authorization response (RFC 6749 section 4.1.2)."""

    code = "callback_malformed"
    sentence = "The sign-in provider's answer was incomplete. Please start again."


class ProviderMixedUp(SignInError):
    """The callback's `iss` is not the provider the sign-in was begun with (RFC 9207 section 2.4)."""

    code = "provider_mixed_up"
    sentence = "The answer came from another sign-in provider than the one you chose. Please start again."


class ProviderUnavailable(SignInError):
    """The provider cannot be reached, or answers with something that is not an OpenID provider's answer."""

    status = 503
    code = "provider_unavailable"
    event = "provider_fault"
    title = "The sign-in provider does not answer"
    sentence = "The sign-in provider cannot be reached just now. Please try again in a moment."


class ProviderMisconfigured(ProviderUnavailable):
    """What is configured does not fit what the provider publishes: that does not pass by itself."""

    status = 502
    code = "provider_misconfigured"
    title = "Sign-in is not set up rightly"
    sentence = (
        "This app's sign-in does not fit its provider. Trying again does not help: only whoever runs this app can "
        "mend that."
    )


class ProviderRefused(SignInError):
    """The provider sent an error other than a denied consent."""

    status = 502
    code = "provider_refused"
    event = "provider_fault"
    title = "The sign-in provider refused"
    sentence = "The sign-in provider reported an error. If this happens again, tell whoever runs this app."


class ClientRefused(ProviderRefused):
    """`invalid_client` or `unauthorized_client`: the client id or secret is wrong (RFC 6749 section 5.2)."""

    code = "client_refused"
    sentence = (
        "The sign-in provider does not accept this app's own credentials. "
        "Only whoever runs this app can mend that: the client id or client secret is wrong."
    )


class TokenResponseInvalid(SignInError):
    """The token or userinfo response breaks the protocol; the cause, where there is one, names the check."""

    status = 502
    code = "provider_answer_invalid"
    event = "provider_fault"
    title = "The sign-in provider's answer was refused"
    sentence = (
        "The sign-in provider's answer did not pass a security check, so you were not signed in. "
        "If this happens again, tell whoever runs this app."
    )


class NonceUnsupported(TokenResponseInvalid):
    """The ID token has no `nonce` (OpenID Connect Core 3.1.3.7 (11)): some providers never send one."""

    code = "nonce_unsupported"
    sentence = (
        "The sign-in provider's answer does not say to which sign-in it belongs (it has no nonce), so it was refused. "
        "Trying again does not help: this provider cannot be used with this app."
    )


class NotAllowed(SignInError):
    """The person is who they say they are and is not among those who may enter."""

    status = 403
    code = "not_allowed"
    title = "This account may not enter"
    sentence = "You signed in, but this account is not on the list of those who may use this app."


class EmailUnknown(NotAllowed):
    code = "email_unknown"
    sentence = (
        "You signed in, but your provider did not say your e-mail address, and only certain addresses may use this app."
    )


class EmailUnverified(NotAllowed):
    code = "email_unverified"
    sentence = (
        "You signed in, but your provider has not verified your e-mail address, "
        "and only verified addresses may use this app."
    )


class EmailUnvouched(EmailUnverified):
    """There is no `email_verified` at all: some providers never send it."""

    code = "email_unvouched"
    sentence = (
        "You signed in, but your provider does not vouch for your e-mail address (it does not say whether it has "
        "verified it), and only verified addresses may use this app. Only whoever runs this app can change that."
    )


class GroupsUnlisted(NotAllowed):
    """The groups came as a link to where they can be read (OpenID Connect Core 5.6.2), which nobody here can follow."""

    code = "groups_unlisted"
    sentence = (
        "You signed in, but your account is in more groups than your provider lists, so whether you may use this app "
        "cannot be told. Whoever runs it can have the provider list only the groups that matter here."
    )


# -- requests that fit nothing here ------------------------------------------------------------------------------------


class RequestError(AuthError):
    """The caller may be anybody; what was asked cannot be done."""

    status = 400
    code = "invalid_request"
    title = "Not possible"
    sentence = "What was asked cannot be done."


class NotPermitted(RequestError):
    """The caller is known, and is none of those whom a rule lets do this."""

    status = 403
    code = "not_permitted"
    title = "Not for this account"
    sentence = "Your account may not do this. Whoever runs this app decides who may."


class CallMalformed(RequestError):
    """The call fits no function of the Blocks; the cause says why."""

    sentence = "The call fits no function here: check its name and arguments."


class BodyMalformed(RequestError):
    title = "Malformed request"
    sentence = "The body is neither JSON nor a form."


class NotFound(RequestError):
    """There is nothing at this address, or nothing that is the caller's: the answer is the same."""

    status = 404
    code = "not_found"
    title = "Not found"
    sentence = "There is nothing at this address."


class BodyTooLarge(RequestError):
    """The body is longer than this address reads."""

    status = 413
    code = "too_large"
    title = "Too large"
    sentence = "What was sent is too large."

    @classmethod
    def than(cls, limit: int) -> Self:
        """The body is longer than so many bytes."""
        error = cls(f"the body is longer than {limit} bytes")
        error.sentence = f"What was sent is longer than {limit} bytes."
        return error


class TooManyRequests(RequestError):
    """The caller already has as much under way as anybody may have."""

    status = 429
    code = "too_many_requests"
    title = "Too much at once"
    sentence = "You have too much under way here. Please wait a few minutes."


class NotThisMachine(RequestError):
    """The local issuers were asked by somebody who may be elsewhere."""

    status = 403
    code = "not_this_machine"
    title = "For this machine only"
    sentence = (
        "No sign-in provider is configured, so whoever sits at the machine that runs this app enters without a "
        "password. Your request came through a proxy, so you may be anywhere. Whoever runs this app has to set "
        "PUBLIC_URL, SECRET_KEY and a provider, such as GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET."
    )


class Misdirected(RequestError):
    """The request names another host than `PUBLIC_URL` (RFC 9110 section 15.5.20)."""

    status = 421
    code = "misdirected_request"
    title = "Another address"
    sentence = "This app does not answer at this address."

    @classmethod
    def to(cls, host: str, base_url: str) -> Self:
        """The request names `host` where the app is at `base_url`."""
        error = cls("Host", actual=host, expected=base_url)
        error.sentence = f"This app answers at {base_url} only."
        return error


# -- programs of people -----------------------------------------------------------------------------------------------


class ProgramUnknown(RequestError):
    """The client id is none of this app's, or not any more (RFC 6749 section 4.1.2.1: the browser goes nowhere)."""

    code = "invalid_client"
    title = "Please connect anew"
    sentence = (
        "This app does not know the program that sent you here, or does not know it any more. "
        "Remove the connection in that program and connect anew."
    )


class ProgramRequestInvalid(RequestError):
    """What the program asks cannot be answered, and there is no address that it could safely be told at."""

    title = "This program cannot be connected"
    sentence = "The program that sent you here asked for something that this app cannot answer."


class ConsentInvalid(RequestError):
    """The answer to a consent page that this person was not shown, or that was shown too long ago."""

    status = 403
    code = "access_denied"
    title = "Nothing was agreed to"
    sentence = "This answer does not belong to a page that you were shown. Please connect anew in the program."


# -- leaving ----------------------------------------------------------------------------------------------------------


class SignOutUnknown(AuthError):
    """The `state` that came back from the provider's end-session endpoint is not one this browser was sent with."""

    status = 400
    code = "sign_out_unknown"
    title = "Unknown sign-out"
    sentence = "This address belongs to a sign-out that this browser has not begun."
