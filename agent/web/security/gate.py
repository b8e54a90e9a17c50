"""The gate before every request and every socket.

In this order: the Host header names us · the body is not too large · the one who asks is known, by a bearer
token or by a session's cookie · a request with a cookie that changes something, and every socket, comes from
our own pages. Open to all: the login page, and what is the same in every installation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response

from agent.web.security import identity as identities
from agent.web.security.hosts import Origin, UnknownHostError, origin_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agent.web.context import Context

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
API: Final = "/api/"
LOGIN: Final = "/login"
CSRF_HEADER: Final = "x-csrf-token"
MAX_BODY_BYTES: Final = 64 << 20
MAX_LOGIN_BYTES: Final = 16 << 10
"""Of the form that anybody may send."""
_OPEN: Final = ("/_nicegui/", "/favicon.ico")
"""Scripts, styles and fonts: what every installation has."""
_ORIGIN: Final = "aispool.origin"


class TooLargeError(HTTPException):
    """The body is larger than is taken; an HTTP exception, so that no framework takes it for a bug."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(413, f"a body has at most {most_bytes} bytes here: copy large files to the host")


class Gate:
    """Lets a request through to the app, with the identity of who sent it, or answers it.

    Args:
        app: what lies behind.
        context: whose tokens and sessions count.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        refused = self._judge(scope)
        if refused is not None:
            await _refuse(refused, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        await _limited(self.app, scope, receive, send)

    def _judge(self, scope: Scope) -> Response | None:
        """Return why it is not let through; None when it is."""
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        try:
            origin = origin_of(self.context.settings, headers, peer)
        except UnknownHostError as error:
            return _problem(scope, 421, "Misdirected Request", str(error))
        scope[_ORIGIN] = origin
        if int(_digits(headers.get("content-length"))) > most_bytes(scope):
            return too_large(scope)
        path = str(scope["path"])
        if path == LOGIN:
            return None if _is_own(scope, headers, origin) else _foreign(scope)
        if path.startswith(_OPEN) and scope["type"] == "http" and scope["method"] in SAFE:
            return None
        return self._admit(scope, headers, origin)

    def _admit(self, scope: Scope, headers: Headers, origin: Origin) -> Response | None:
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind:
            identity = self.context.access.tokens.identity(text.strip()) if kind.lower() == "bearer" else None
            if identity is None:
                return _unknown(scope)
            identities.attach(scope, identity)
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(self.context), "")
        identity = self.context.access.sessions.identity(cookie) if cookie else None
        if identity is None:
            return _unknown(scope)
        if not _is_own(scope, headers, origin):
            return _foreign(scope)
        changes = scope["type"] == "http" and scope["method"] not in SAFE
        if changes and str(scope["path"]).startswith(API):
            given = headers.get(CSRF_HEADER, "")
            if not identity.csrf or given != identity.csrf:
                return _problem(
                    scope, 403, "Forbidden",
                    "a request with a session's cookie needs the header X-CSRF-Token of its page; "
                    "a program sends a bearer token instead",
                )  # fmt: skip
        identities.attach(scope, identity)
        return None


def cookie_name(context: Context) -> str:
    """Return the session cookie's name; cookies do not know ports, so that the port is in it."""
    name = f"aispool-{context.settings.port}"
    return f"__Host-{name}" if context.settings.secure else name


def origin_at(scope: Scope) -> Origin:
    """Return where a request that passed the gate comes from."""
    origin = scope[_ORIGIN]
    assert isinstance(origin, Origin)
    return origin


def _is_own(scope: Scope, headers: Headers, origin: Origin) -> bool:
    """Tell whether a page of ours sends this, or nothing can come of it.

    Browsers send Origin with each request that is no plain GET, and with each socket; Sec-Fetch-Site always.
    A GET that has one is a script's: NiceGUI's long polling lets scripts of all origins read its answers.
    """
    given = headers.get("origin")
    if given is not None:
        return given.lower() == origin.text
    if scope["type"] == "websocket":
        return False
    return scope["method"] in SAFE or headers.get("sec-fetch-site") == "same-origin"


async def _limited(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request on, as long as its body is not too large."""
    taken, answered = 0, False
    most = most_bytes(scope)

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise TooLargeError(most)
        return message

    async def noted(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        await app(scope, counted, noted)
    except TooLargeError:
        if answered:
            raise
        await too_large(scope)(scope, receive, send)


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": "log in first"})


def _problem(scope: Scope, status: int, title: str, detail: str, **headers: str) -> Response:
    """Return an answer as RFC 9457 has it."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body["instance"] = scope["path"]
    content = json.dumps(body, ensure_ascii=False)
    return Response(
        content, status, {name.replace("_", "-"): value for name, value in headers.items()},
        media_type="application/problem+json",
    )  # fmt: skip


def most_bytes(scope: Scope) -> int:
    """Return how large a body may be."""
    return MAX_LOGIN_BYTES if scope["path"] == LOGIN else MAX_BODY_BYTES


def too_large(scope: Scope) -> Response:
    """Return the answer to a body that is too large."""
    return _problem(scope, 413, "Content Too Large", TooLargeError(most_bytes(scope)).detail)


def _unknown(scope: Scope) -> Response:
    path = str(scope["path"])
    wants_page = (
        scope["type"] == "http" and scope["method"] in SAFE and not path.startswith((API, "/_nicegui"))
    )
    if wants_page:
        back = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"{LOGIN}?next={quote(back, safe='/')}", 303)
    return _problem(
        scope, 401, "Unauthorized",
        "no valid token or session: send `Authorization: Bearer TOKEN`; `aispool token create` makes one",
        www_authenticate='Bearer realm="aispool"',
    )  # fmt: skip


def _foreign(scope: Scope) -> Response:
    return _problem(scope, 403, "Forbidden", "this request does not come from a page of this server")


def _digits(text: str | None) -> str:
    return text if text is not None and text.isascii() and text.isdecimal() else "0"
