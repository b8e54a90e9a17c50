"""Where the server listens, and what it says to the person who started it.

Loopback by default. Anywhere else a token must exist, and what is sent must be unreadable on the way: the
server speaks TLS itself, or a named proxy in front of it does. The port is bound before anything is printed,
so that the printed link works.
"""

from __future__ import annotations

import getpass
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from agent.web.app import build, open_context
from agent.web.context import Settings
from agent.web.security.hosts import is_loopback
from agent.web.security.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.web.context import Context
    from spool.workspace import Workspace

GRACE_S: Final = 2
"""How long open streams may go on when the server is told to stop; their readers take up where they were."""
BACKLOG: Final = 512
LOCAL: Final = ("127.0.0.1", "::1")


class ServeError(Exception):
    """The server cannot listen so; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What the person asked for.

    Args:
        cert, key: of TLS, both or none.
        proxy: the name under which a proxy in front of us is reached, which speaks TLS.
        proxy_addresses: where it connects from.
        names: further names in a Host header that are ours.
        link: make and print a login link.
    """

    host: str = "127.0.0.1"
    port: int = 8377
    cert: Path | None = None
    key: Path | None = None
    proxy: str | None = None
    proxy_addresses: tuple[str, ...] = LOCAL
    names: tuple[str, ...] = ()
    link: bool = True


def check(listening: Listening, workspace: Workspace) -> None:
    """Return when the server may listen so.

    Raises:
        ServeError: what is sent could be read on the way, or nobody could come in.
    """
    if (listening.cert is None) != (listening.key is None):
        raise ServeError("--cert and --key go together: give both, or none")
    if is_loopback(listening.host):
        return
    if listening.cert is None and listening.proxy is None:
        raise ServeError(
            f"on {listening.host} others could read what is sent: give --cert FILE and --key FILE, or "
            "--behind-proxy NAME when a proxy speaks TLS for it; or leave out --host and use ssh -L"
        )
    if not Tokens(workspace).usable():
        raise ServeError(
            f"on {listening.host} others could come in, and there is no token yet: "
            "`aispool token create NAME --scope read` makes one"
        )


def settings_of(listening: Listening, port: int) -> Settings:
    """Return what the parts of the server need to know."""
    return Settings(
        host=listening.host,
        port=port,
        tls=listening.cert is not None,
        proxy=listening.proxy,
        proxy_addresses=listening.proxy_addresses,
        names=listening.names,
    )


def bind(listening: Listening) -> socket.socket:
    """Return the socket that listens.

    Raises:
        ServeError: the address or port cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"{listening.host} is no address of this machine: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ServeError(
            f"{listening.host} port {listening.port} cannot be had ({error.strerror}): "
            "choose another with --port, 0 takes any"
        ) from None
    return bound


def greeting(context: Context, listening: Listening, user: str) -> list[str]:
    """Return what is printed when the server listens; this makes the login link."""
    settings = context.settings
    scheme = "https" if settings.tls else "http"
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"https://{settings.proxy}" if settings.proxy else f"{scheme}://{name}:{settings.port}"
    lines = [f"{context.desk.workspace.root} is served at {base}"]
    if listening.link:
        lines.append(
            f"Log in (once, within ten minutes): {base}/login?key={context.access.links.create(user)}"
        )
    if is_loopback(settings.host) and not settings.proxy:
        where = f"{settings.port}:{name}:{settings.port}"
        lines.append(
            f"From another machine: ssh -N -L {where} {user}@{socket.gethostname()}, then the same address"
        )
    lines.append("Stop it with Ctrl-C: tasks go on without it.")
    return lines


class _Server(uvicorn.Server):
    """Says that it listens once it does."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._say()


def run(workspace: Workspace, listening: Listening, say: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        workspace: what is served.
        listening: where.
        say: prints a line for the person.

    Raises:
        ServeError: it cannot listen so.
    """
    check(listening, workspace)
    bound = bind(listening)
    try:
        context = open_context(workspace.root, settings_of(listening, bound.getsockname()[1]))
        server = _Server(_config(context, listening), lambda: _greet(context, listening, say))
        server.run([bound])
    finally:
        bound.close()


def _greet(context: Context, listening: Listening, say: Callable[[str], None]) -> None:
    for line in greeting(context, listening, getpass.getuser()):
        say(line)


def _config(context: Context, listening: Listening) -> uvicorn.Config:
    config = uvicorn.Config(
        build(context),
        ssl_certfile=listening.cert,
        ssl_keyfile=listening.key,
        proxy_headers=False,  # the gate believes them, and only a named proxy's
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ServeError(f"{listening.cert} and {listening.key} cannot be used for TLS: {error}") from None
    return config
