"""A line that says so when tasks wait here and no agent is there to take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import run, ui

from agent.inspect.agents import any_alive
from agent.service.places import HERE
from agent.service.submitting import NO_AGENT
from agent.web.pages.frame import text

if TYPE_CHECKING:
    from agent.web.context import Context

LOOK_S: Final = 5.0
"""An agent that dies changes no task: nothing else tells."""


class IdleNotice:
    """Shown, on a page that is open, for as long as it is true."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._line = text("p", NO_AGENT, "notice").props('role="status"')
        self._line.set_visibility(False)
        ui.timer(LOOK_S, self._look)

    async def _look(self) -> None:
        self._line.set_visibility(bool(await run.io_bound(self._waits)))

    def _waits(self) -> bool:
        queued = self._context.index.counts((HERE,)).get("queued", 0)
        return queued > 0 and not any_alive(self._context.desk.workspace)
