"""Rules: who of those who are in may do what."""

import functools
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, aclosing
from typing import Any, ClassVar, TypeVar, get_args, overload

from starlette.requests import HTTPConnection

from auth.errors import NotPermitted
from auth.identity import Identity, Kind, caller, credential_in, lower_ascii

Function = TypeVar("Function", bound=Callable[..., Any])
Part = AbstractContextManager[Any]
EMAIL = re.compile(r"[^\s@]+@[^\s@]+")

_named_groups: set[str] = set()


def named_groups() -> frozenset[str]:
    """Every group that a rule of this process names. A session keeps of its person's groups only these."""
    return frozenset(_named_groups)


class Access:
    """A rule, made while the app is put together: whoever has any of what it names is let in.

    Args:
        groups: as the provider or the user pool spells them.
        emails: count only where the provider has verified them.
        domains: of verified addresses, exactly and without their subdomains; from Google the organisation that manages
            the account (see `auth.people.admission`).
        kinds: "person", "program".

    Raises:
        ValueError: it names nothing, or something that nobody could have.
    """

    guard_part: ClassVar[Callable[["Access", Part | None], Part] | None] = None
    """How a part of Blocks is guarded; `ui` says so."""

    def __init__(
        self,
        *,
        groups: Iterable[str] = (),
        emails: Iterable[str] = (),
        domains: Iterable[str] = (),
        kinds: Iterable[Kind] = (),
    ) -> None:
        self.groups = _names("groups", groups)
        self.emails = frozenset(lower_ascii(email) for email in _names("emails", emails))
        self.domains = frozenset(lower_ascii(domain).removeprefix("@") for domain in _names("domains", domains))
        self.kinds = _names("kinds", kinds)
        if not (self.groups or self.emails or self.domains or self.kinds):
            raise ValueError("Access names nobody: give it groups, emails, domains or kinds.")
        for names, are_right in (
            (self.emails, EMAIL.fullmatch),
            (self.domains, re.compile(r"[^\s@]+").fullmatch),
            (self.kinds, get_args(Kind).__contains__),
        ):
            if wrong := sorted(name for name in names if not are_right(name)):
                raise ValueError(f"Access cannot be by {wrong[0]!r}.")
        _named_groups.update(self.groups)

    def __repr__(self) -> str:
        named = {name: sorted(names) for name, names in vars(self).items() if names}
        return f"Access({', '.join(f'{name}={names}' for name, names in named.items())})"

    def allows(self, identity: Identity) -> bool:
        """Whether the caller has any of what the rule names."""
        return (
            identity.kind in self.kinds
            or not self.groups.isdisjoint(identity.groups)
            or (identity.email_verified and lower_ascii(identity.email or "") in self.emails)
            or (identity.email_verified and identity.domain in self.domains)
        )

    def check(self, identity: Identity) -> Identity:
        """The same identity.

        Raises:
            NotPermitted: the rule does not allow it.
        """
        if not self.allows(identity):
            raise NotPermitted("access", actual=identity.identity, expected=self)
        return identity

    async def __call__(self, request: HTTPConnection) -> Identity:
        """FastAPI dependency, of a route or a router: the caller, whom the rule allows.

        Raises:
            AuthError: there is no caller, or they may not; answered by the app's handler.
        """
        return self.check(credential_in(request.scope).identity)

    @overload
    def only(self, guarded: Function, /) -> Function: ...

    @overload
    def only(self, guarded: Part | None = None, /) -> Part: ...

    def only(self, guarded: Any = None, /) -> Any:
        """Keeps a function, or a part of the Blocks, for those whom the rule allows.

        As a decorator: of the function of an event, of any kind. It has the same signature, so that Gradio fills in
        what it filled in before, and it runs only in a request or an event of a caller who may run it.

        In a `with` statement: around what is made or rendered in it, or in the page, tab or row that it is given.
        """
        if guarded is None or hasattr(guarded, "__enter__"):
            if Access.guard_part is None:
                raise RuntimeError("A part of Blocks can be guarded only where `ui` mounts them: use Access.allows.")
            return Access.guard_part(self, guarded)
        if isinstance(guarded, (staticmethod, classmethod)):
            return type(guarded)(self.only(guarded.__func__))
        return self._guarded(guarded)

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(function, "__name__", type(function).__name__)
        if not inspect.isroutine(function) and not isinstance(function, functools.partial):
            function = function.__call__  # type: ignore[operator]  # the method, whose annotations can be read
        guarded = _of_its_kind(function, lambda: self.check(caller().identity))
        guarded.__annotations__ = {}  # a partial has none
        functools.update_wrapper(guarded, function)
        guarded.__name__ = name
        return guarded


def _of_its_kind(function: Callable[..., Any], check: Callable[[], object]) -> Callable[..., Any]:
    """`function` after a check. Gradio tells four kinds of function apart by what they are."""
    if inspect.isasyncgenfunction(function):

        async def results_later(*args: Any, **more: Any) -> AsyncIterator[Any]:
            check()
            async with aclosing(function(*args, **more)) as results:
                async for result in results:
                    yield result

        return results_later

    if inspect.iscoroutinefunction(function):

        async def later(*args: Any, **more: Any) -> Any:
            check()
            return await function(*args, **more)

        return later

    if inspect.isgeneratorfunction(function):

        def results(*args: Any, **more: Any) -> Iterator[Any]:
            check()
            yield from function(*args, **more)

        return results

    def result(*args: Any, **more: Any) -> Any:
        check()
        return function(*args, **more)

    return result


def _names(what: str, names: Iterable[str]) -> frozenset[str]:
    found = [names] if isinstance(names, str) else list(names)
    if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in found):
        raise ValueError(f"Access takes {what} as several texts: {what}=({found[0]!r},), not {names!r}.")
    return frozenset(found)
