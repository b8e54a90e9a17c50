"""The server's parts, put together.

Gate ─▶ GZip ─▶ Headers ─▶ /api/v1   the public API, an app of its own
                           /login    the way in
                           /         the pages (NiceGUI)
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from agent.service.index import Index
from agent.service.live import Live
from agent.service.places import Desk
from agent.web import api, login
from agent.web.context import Context, Settings
from agent.web.security.access import Access
from agent.web.security.gate import Gate
from agent.web.security.headers import Headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp


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
    site.mount("/api/v1", api.build(context))
    site.include_router(login.router(context))
    if pages:
        _add_pages(site, context)
    headers = Headers(site, secure=context.settings.secure)
    return Gate(GZipMiddleware(headers, minimum_size=1000), context)


def _add_pages(site: FastAPI, context: Context) -> None:
    # NiceGUI would make a folder for its storage wherever the server is started; we keep nothing there
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(context.desk.workspace.root / "cache" / "nicegui"))
    from nicegui import ui  # noqa: PLC0415 - heavy, and not for the API alone

    from agent.web.pages import register  # noqa: PLC0415

    register(context)
    ui.run_with(
        site,
        title="aispool",
        language="en-US",
        dark=None,
        gzip_middleware_factory=None,  # the nonces are set in what is not compressed yet
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
