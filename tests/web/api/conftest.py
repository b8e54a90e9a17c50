"""A server in this process, on a port of its own, and a client that may do everything."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from agent.web.app import build, open_context
from agent.web.context import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.web.context import Context, Scope
    from spool.workspace import Workspace

DEADLINE_S = 30.0


@pytest.fixture
def context(workspace: Workspace) -> Context:
    return open_context(workspace.root)


@pytest.fixture
def served(context: Context) -> Iterator[str]:
    """The address of a server of the workspace: the API and the login, without pages."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            started.set()

    config = uvicorn.Config(
        build(context, pages=False),
        port=0,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(DEADLINE_S)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def token(context: Context) -> Callable[..., str]:
    """Make a token with these scopes; with none, all."""
    made: list[str] = []

    def make(*scopes: Scope) -> str:
        made.append("")
        secret, _ = context.access.tokens.create(f"t{len(made)}", scopes or SCOPES, by="ada")
        return secret

    return make


@pytest.fixture
def client_of(served: str) -> Iterator[Callable[..., httpx.Client]]:
    """Make clients that send a token, or none."""
    clients: list[httpx.Client] = []

    def make(secret: str | None = None, **options: object) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        clients.append(httpx.Client(base_url=served, headers=headers, timeout=DEADLINE_S, **options))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def api(client_of: Callable[..., httpx.Client], token: Callable[..., str]) -> httpx.Client:
    """A client that may do everything."""
    return client_of(token())
