"""Whose socket speaks for which page.

NiceGUI takes an event from any socket that names the page and the element, both by random ids. Here a socket
is let in to a page only when who opened the page opens the socket, and speaks for no page but its own: ids
that came to light in some way open nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import (  # type: ignore[import-untyped]
    ConnectionRefusedError as RefusedError,
)
from starlette.requests import HTTPConnection

from agent.web.context import who

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_NAMESPACE: Final = "/"
_SPOKEN: Final = ("event", "javascript_response", "ack", "log")
"""What a socket says of a page that it was let in to before."""


def guard() -> None:
    """Put this before NiceGUI's own handlers; called once, when the pages are declared."""
    handlers = core.sio.handlers[_NAMESPACE]
    for name in _SPOKEN:
        core.sio.on(name, _of_its_page(handlers[name]))
    core.sio.on("connect", _connecting(handlers["connect"]))
    core.sio.on("handshake", _shaking_hands(handlers["handshake"]))


def _of_its_page(handle: Callable[[str, dict[str, Any]], None]) -> Callable[[str, dict[str, Any]], None]:
    def hear(sid: str, message: dict[str, Any]) -> None:
        if message["client_id"] in core.sio.rooms(
            sid
        ):  # a socket is in its page's room from the handshake on
            handle(sid, message)

    return hear


def _connecting(handle: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def connect(sid: str, environ: dict[str, Any], sent: Any = None) -> None:
        named = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
        if not _is_theirs(named, environ):
            raise RefusedError("Implicit handshake failed")  # NiceGUI's browser loads the page anew
        await handle(sid, environ, sent)

    return connect


def _shaking_hands(
    handle: Callable[[str, dict[str, Any]], Awaitable[bool]],
) -> Callable[[str, dict[str, Any]], Awaitable[bool]]:
    async def shake(sid: str, data: dict[str, Any]) -> bool:
        return _is_theirs(data["client_id"], core.sio.get_environ(sid)) and await handle(sid, data)

    return shake


def _is_theirs(client_id: str, environ: dict[str, Any]) -> bool:
    """Tell whether who opened a page opens this socket; a page that is not there is left to NiceGUI."""
    client = Client.instances.get(client_id)
    if client is None:
        return True
    page, socket = who(client.request), who(HTTPConnection(environ["asgi.scope"]))
    return (page.name, page.session) == (socket.name, socket.session)
