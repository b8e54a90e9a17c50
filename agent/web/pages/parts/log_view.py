"""The live log of a task, painted on the server and drawn as text in the browser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nicegui import background_tasks, run, ui
from nicegui.element import Element

from agent.sanitize import one_line
from agent.service.errors import ServiceError
from agent.web.pages.parts.colours import Painter, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.service.logs import LogSource

LOOK_S: Final = 0.3
PIECE_BYTES: Final = 1 << 20
MOST_BEHIND_BYTES: Final = 1 << 20
"""A browser that is further behind goes on near the end: nobody reads a flood, and the file has all of it."""
NOTE: Final = "color:#f2bf5b"


@dataclass(frozen=True, slots=True)
class Caught:
    """What a log had since the last look.

    Args:
        content: of it, no more than a browser takes at once.
        offset: where the next look begins.
        over: nothing more will come.
        skipped: how many bytes before `content` are left out.
    """

    content: bytes
    offset: int
    over: bool
    skipped: int


def catch_up(source: LogSource, offset: int) -> Caught:
    """Read all that a log has behind an offset, and keep its end.

    Raises:
        ServiceError: the task is not known any more.
        OSError: it cannot be read.
    """
    kept, skipped = b"", 0
    while True:
        piece, offset, over = source.read(offset, PIECE_BYTES)
        kept += piece
        if len(kept) > MOST_BEHIND_BYTES:
            cut = len(kept) - MOST_BEHIND_BYTES
            line = kept.find(b"\n", cut)
            cut = cut if line < 0 else line + 1
            skipped += cut
            kept = kept[cut:]
        if over or not piece:
            return Caught(kept, offset, over, skipped)


class LogView(Element, component="log_view.js"):
    """Shows what a log has and what it gets, as long as the page is open.

    Args:
        open_source: gives the log; asked again when the task runs again.
    """

    def __init__(self, open_source: Callable[[], LogSource]) -> None:
        super().__init__()
        self._open_source = open_source
        self._following: asyncio.Task[None] | None = None
        self._props["standing"] = "reading"
        self.classes("wide")

    def follow(self) -> None:
        """Show the log from here on; call it again when it was over and the task runs once more."""
        if self._following is not None and not self._following.done():
            return
        self._following = background_tasks.create(self._follow(), context=self, name="log")
        ui.context.client.on_delete(self._following.cancel)

    async def _follow(self) -> None:
        client = ui.context.client
        await client.connected()
        self.run_method("clear")
        painter, offset, over = Painter(), 0, False
        try:
            source = await run.io_bound(self._open_source)
            while source is not None and not over and not client.is_deleted:
                caught = await run.io_bound(catch_up, source, offset)
                if caught is None:
                    return  # the server is on its way out
                self._send(painter, caught)
                offset, over = caught.offset, caught.over
                await asyncio.sleep(LOOK_S)
        except (ServiceError, OSError) as error:
            self._stand(one_line(error))
        else:
            self._stand("the task is over: this is all of it" if offset else "it printed nothing")

    def _send(self, painter: Painter, caught: Caught) -> None:
        spans: list[Span] = []
        if caught.skipped:
            spans += [*painter.end(), (f"\n[… {caught.skipped:,} bytes are not shown here]\n", NOTE)]
        spans += painter.feed(caught.content)
        if caught.over:
            spans += painter.end()
        if spans:
            self.run_method("append", spans)
        self._stand("live" if not caught.over else "")

    def _stand(self, what: str) -> None:
        if self._props["standing"] != what:
            self._props["standing"] = what
            self.update()
