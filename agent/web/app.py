"""The server's parts, put together.

GZip ─▶ Headers ─▶ Gate ─▶ /api/v1   the public API, an app of its own
                           /login    the way in
                           /         the pages (NiceGUI)
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from agent.service.index import Index
from agent.service.live import Live
from agent.service.places import Desk
from agent.web import api, login, plain
from agent.web.context import Context, Settings
from agent.web.security.access import Access
from agent.web.security.gate import Gate
from agent.web.security.headers import Headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send


API: Final = "/api/v1"


def open_context(root: Path, settings: Settings | None = None) -> Context:
    """Open a workspace for a server.

    Raises:
        WorkspaceError: there is none, or it is damaged or newer.
    """
    desk = Desk(root)
    index = Index(desk)
    return Context(desk, index, Live(index), Access(desk.workspace), settings or Settings())


def build(context: Context, *, pages: bool = True) -> ASGIApp:
    """Return the server's app; its lifespan starts and stops what watches the folder.

    Args:
        context: what its routes work with.
        pages: False for the API alone. NiceGUI keeps one app a process, so that pages are built once.
    """

    @asynccontextmanager
    async def lifespan(_site: FastAPI) -> AsyncIterator[None]:
        context.live.start()
        try:
            yield
        finally:
            context.live.stop()
            context.index.close()

    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    site.include_router(login.router(context))
    if pages:
        _add_pages(site, context)
    parts = _Split(api.build(context), site)
    guarded = Headers(Gate(parts, context), secure=context.settings.secure)
    return GZipMiddleware(guarded, minimum_size=1000)


class _Split:
    """Sends a request to the API or to the rest, by how its path begins.

    Not a mount: that is a pattern, which a line break in a path does not match.
    """

    def __init__(self, first: ASGIApp, rest: ASGIApp) -> None:
        self._api = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "http" and scope["path"].startswith(API + "/"):
            scope["root_path"] = scope.get("root_path", "") + API
            await self._api(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def _add_pages(site: FastAPI, context: Context) -> None:
    # NiceGUI would make a folder for its storage wherever the server is started; we keep nothing there
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(context.desk.workspace.root / ".cache" / "nicegui"))
    from nicegui import app, ui  # noqa: PLC0415 - heavy, and not for the API alone

    from agent.web.pages import register  # noqa: PLC0415

    register(context)
    plain.install(app)
    ui.run_with(
        site,
        title="aispool",
        language="en-US",
        dark=None,
        gzip_middleware_factory=None,  # the nonces are set in what is not compressed yet
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
