"""What all pages share: the rail, keys, theme, the banner of a lost connection, and following the disk.

A page:

    def register(context: Context) -> None:
        @frame.route("/tasks")
        async def tasks(request: Request) -> None:
            with frame.shown(context, request, "Tasks") as page:
                label = ui.label()

                async def refresh() -> None:
                    label.text = ...

                await refresh()
                page.on_change(refresh)   # again whenever something changed on disk

Looks are classes of `static/aispool.css` (`panel`, `columns`, `chip`, `facts` …), colours its variables.
Buttons are made with `color=None` and one of the classes `main`, `line`, `plain`, `danger`.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import RedirectResponse
from nicegui import app, background_tasks, run, ui
from nicegui.elements.mixins.text_element import TextElement

from agent.web.context import who

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from fastapi import Request

    from agent.web.context import Context, Identity

STATIC: Final = Path(__file__).parents[1] / "static"
ASSETS: Final = "/assets"
PATIENCE_S: Final = 60.0
"""How long a page may take to be drawn: a machine at its limit answers late, not with an error."""
LOOK_S: Final = 5.0
"""How often an open page asks whether its session still stands, when nothing changes."""
LEAVE_S: Final = 1.0
SETTLE_S: Final = 0.2
"""How long after one refresh the next may follow: a burst of changes is drawn a few times, not a thousand."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page in the rail; `key` opens it after `g`."""

    path: str
    title: str
    icon: str
    key: str


LINKS: Final = (
    Link("/fleet", "Fleet", "dns", "f"),
    Link("/tasks", "Tasks", "checklist", "t"),
    Link("/collab", "Collaborative", "handshake", "c"),
    Link("/chat", "Chat", "forum", "h"),
    Link("/metrics", "Metrics", "insights", "m"),
    Link("/audit", "Audit", "policy", "a"),
)

KEYS: Final = (
    *((f"g {link.key}", f"{link.title} page") for link in LINKS),
    ("/", "search"),
    ("n", "new task"),
    ("j k", "next, previous task of the table"),
    ("x", "choose the task"),
    ("Enter", "open the task"),
    ("?", "this list"),
)


@dataclass(slots=True)
class Shown:
    """A page that is open in one browser tab.

    Args:
        context: the parts to work with.
        identity: who opened it.
    """

    context: Context
    identity: Identity
    _refreshes: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def on_change(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Call it whenever something changed on disk, as long as the page is open."""
        self._refreshes.append(refresh)

    async def follow(self, seen: int) -> None:
        """Refresh at each change after a revision, until the tab is closed or the session has ended."""
        client = ui.context.client
        await client.connected()
        while not client.is_deleted:
            now = await self.context.live.changed(seen, LOOK_S)
            if not self.identity.may("read"):
                ui.navigate.to("/login")
                await asyncio.sleep(LEAVE_S)
                client.delete()  # with its log and its terminal, also when the browser stays
                return
            if now != seen:
                seen = now
                for refresh in self._refreshes:
                    await refresh()
            await asyncio.sleep(SETTLE_S)  # also when the server ends, and nothing is waited for any more


def route(path: str) -> ui.page:
    """Declare a page: `@ui.page` in our language, with the theme of the reader's system."""
    return ui.page(path, language="en-US", dark=None, response_timeout=PATIENCE_S)


@contextmanager
def shown(context: Context, request: Request, title: str, here: str | None = None) -> Iterator[Shown]:
    """Draw the frame; the body is the page's content.

    Args:
        context: the parts.
        request: of the page.
        title: of the tab.
        here: the path of the page in the rail; by default the request's own.

    Raises:
        LoggedOutError: nobody is logged in.
        ForbiddenError: they may not read.
    """
    identity = who(request)
    identity.require("read")
    page = Shown(context, identity)
    seen = context.index.revision
    client = ui.context.client
    client.title = f"{title} · aispool"
    _head()
    count = _rail(page, here or request.url.path)
    ui.skip_link("Skip to the page", target=client.content)

    async def recount() -> None:
        counts = await run.io_bound(context.index.counts) or {}
        waiting = counts.get("waiting_input", 0)
        count.set_text(str(waiting) if waiting else "")

    page.on_change(recount)
    client.on_exception(_tell)
    yield page
    following = background_tasks.create(page.follow(seen - 1), context=client, name=f"follow {title}")
    client.on_delete(following.cancel)


def serve_static() -> None:
    """Serve the style sheet and the script of the frame, and the way in."""
    app.add_static_files(ASSETS, STATIC)

    @app.get("/", include_in_schema=False)
    def home() -> RedirectResponse:
        return RedirectResponse("/tasks")


def _head() -> None:
    stamp = int(max(file.stat().st_mtime for file in STATIC.iterdir()))
    ui.add_head_html(
        f'<link rel="stylesheet" href="{ASSETS}/aispool.css?{stamp}">'
        f'<link rel="stylesheet" href="{ASSETS}/collab.css?{stamp}">'
        f'<script src="{ASSETS}/aispool.js?{stamp}" defer></script>'
    )


def _tell(error: Exception) -> None:
    """Say on the page what went wrong in it; the log has the rest."""
    from agent.service.errors import ServiceError  # noqa: PLC0415 - cheap, and only where it is needed
    from agent.web.context import ForbiddenError, LoggedOutError  # noqa: PLC0415

    if isinstance(error, LoggedOutError):
        ui.navigate.to("/login")
    elif isinstance(error, ServiceError | ForbiddenError):
        ui.notify(str(error), type="negative", multi_line=True, close_button="Close")
    else:
        ui.notify(f"This did not work: {type(error).__name__}. The server's log says more.", type="negative")


def _rail(page: Shown, here: str) -> ui.label:
    """Draw the rail and return the label that counts the tasks that wait for a person."""
    count = None
    with ui.context.client.layout, ui.element("header").classes("rail") as rail:
        with ui.element("div").classes("brand"):
            ui.label("ai").classes("mark")
            ui.label("aispool")
        with ui.element("nav").props('aria-label="Pages"'):
            for link in LINKS:
                count = _link(link, here) or count
        with ui.element("div").classes("foot"):
            _foot(page)
    rail.move(target_index=0)
    assert count is not None
    return count


def _link(link: Link, here: str) -> ui.label | None:
    with ui.element("a").classes("page-link").props(f'href="{link.path}" data-key="{link.key}"') as anchor:
        ui.icon(link.icon).props("aria-hidden=true")
        ui.label(link.title)
        count = None
        if link.path == "/tasks":
            count = ui.label().classes("count").props('title="waiting for an answer"')
    if here.startswith(link.path):
        anchor.props('aria-current="page"')
    return count


def _foot(page: Shown) -> None:
    ui.label(page.identity.name).classes("who muted")
    with ui.element("div").classes("row-of-buttons"):
        theme = ui.button(icon="contrast", color=None).props('flat dense round aria-label="Light or dark"')
        theme.on("click", js_handler="() => aispool.nextTheme()")
        keys = _keys_dialog()
        _log_out(page.identity)
        ui.button(icon="keyboard", color=None, on_click=keys.open).classes("keys-button").props(
            'flat dense round aria-label="Keys" data-keys'
        )


def _log_out(identity: Identity) -> None:
    if identity.csrf is None:
        return  # a bearer token has no session to end
    with ui.element("form").props('method=post action="/logout"').style("display: contents"):
        hidden = ui.element("input").props("type=hidden name=csrf")
        hidden.props["value"] = identity.csrf
        ui.button(icon="logout", color=None).props('type=submit flat dense round aria-label="Log out"')


def _keys_dialog() -> ui.dialog:
    with ui.dialog().props('aria-label="Keys"') as dialog, ui.card():
        text("h2", "Keys")
        with ui.element("dl").classes("facts"):
            for key, what in KEYS:
                text("dt", key).classes("mono")
                text("dd", what)
    return dialog


def text(tag: str, content: Any, classes: str = "") -> TextElement:
    """Make an element that holds text, as text: what it says is never taken for HTML."""
    return TextElement(tag=tag, text=str(content)).classes(classes)
