"""Who is asking, and the scopes that say what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from starlette.requests import HTTPConnection

Scope = Literal["read", "submit", "operate", "approve"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""read: see all of the workspace but secrets · submit: drop tasks and questions · operate: hold, cancel,
retry, answer, pause, reassign; with submit, edit and type in terminals · approve: let a proposed command run.
None of them contains another."""

_KEY: Final = "aispool.identity"
"""Where the gate leaves the identity in an ASGI scope."""


class ForbiddenError(Exception):
    """The one who asks may not do this; the message says which scope it takes."""

    def __init__(self, identity: Identity, scope: Scope) -> None:
        super().__init__(
            f"{identity.name} has no scope {scope!r}: "
            f"`aispool token create --scope {scope}` makes a token that has it"
        )
        self.scope: Scope = scope


class LoggedOutError(Exception):
    """The session or token ended while the page was open: log in again."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Identity:
    """One who asks.

    Args:
        name: for people and for the audit log: a user of this machine, or `token:NAME`.
        scopes: what they may do.
        session: the session's id when a cookie brought it; None for a bearer token.
        csrf: what a form of this session must hold.
        lasts: tells whether the token or session still stands; a page that stays open asks again.
    """

    name: str
    scopes: frozenset[Scope]
    session: str | None = None
    csrf: str | None = None
    lasts: Callable[[], bool] = _always

    def may(self, scope: Scope) -> bool:
        """Tell whether they may do what takes this scope, now."""
        return scope in self.scopes and self.lasts()

    def require(self, scope: Scope) -> None:
        """Return when they may do what takes this scope.

        Raises:
            LoggedOutError: their session or token has ended.
            ForbiddenError: they may not.
        """
        if not self.lasts():
            raise LoggedOutError(f"the session of {self.name} has ended: log in again")
        if scope not in self.scopes:
            raise ForbiddenError(self, scope)


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these names; names that are none are left out."""
    given = frozenset(names)
    return frozenset(scope for scope in SCOPES if scope in given)


def attach(connection: MutableMapping[str, Any], identity: Identity) -> None:
    """Leave in an ASGI scope who is asking."""
    connection[_KEY] = identity


def who(connection: HTTPConnection) -> Identity:
    """Return who sent a request, or opened the page; every page and route lies behind the gate.

    Raises:
        LoggedOutError: nobody is known: the request did not pass the gate.
    """
    identity = connection.scope.get(_KEY)
    if not isinstance(identity, Identity):
        raise LoggedOutError("nobody is logged in here: open /login")
    return identity
