"""The terminal of a running task: its session's own attach command, on a terminal here, drawn in the browser.

To look takes `read`: tmux is told that this client only looks (`attach-session -r`), and no key typed
goes anywhere. To type takes `operate` and `submit` (tmux starts a shell for who types to it), is asked for
with a button, and stands in the audit log. On another host the command runs through ssh, as `aispool attach`
runs it.
"""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nicegui import ui

from agent import audit
from agent.fleet import ssh
from agent.launchers.base import LaunchError
from agent.launchers.calls import ask, environment
from agent.sanitize import one_line
from agent.service.errors import ServiceError
from agent.web.context import ForbiddenError, LoggedOutError
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.pane import Pane

if TYPE_CHECKING:
    from nicegui.events import XtermDataEventArguments, XtermResizeEventArguments

    from agent.web.context import Context, Identity, Scope

COLUMNS: Final = 80
ROWS: Final = 24
"""What a session has before anybody attaches to it (tmux(1), default-size)."""
THEME: Final = {"background": "#10151b", "foreground": "#d8dee6", "cursor": "#82b1ff"}
DRAWING_S: Final = 0.05
DRAWING_TRIES: Final = 100
TO_TYPE: Final[tuple[Scope, ...]] = ("operate", "submit")
LOOKING: Final = "You look on; keys typed here go nowhere."
NO_SCOPE: Final = "You look on; to type takes a token with the scopes operate and submit."
TYPING: Final = "Unlocked: what you type goes to the task, and to tmux (C-b d leaves it)."


class Terminal:
    """The terminal of one task, on its page."""

    def __init__(self, context: Context, identity: Identity, task_id: str, host: str | None) -> None:
        self._context = context
        self._identity = identity
        self._task_id = task_id
        self._host = host
        self._pane: Pane | None = None
        self._is_unlocked = False
        self._asked = self._shown = 0
        with ui.element("div").classes("line-of wide").style("margin-bottom: 0.6rem"):
            self._standing = ui.label("Not attached.").classes("muted grow").props('role="status"')
            self._attach = ui.button("Attach", color=None, on_click=self.look).classes("line")
            self._unlock = ui.button("Unlock", icon="lock_open", color=None, on_click=self.unlock).classes(
                "line"
            )
            self._lock = ui.button("Lock", icon="lock", color=None, on_click=self.look).classes("line")
        for button in (self._attach, self._unlock, self._lock):
            button.props("unelevated dense")
        self._box = ui.element("div").classes("terminal-box")
        with self._box:
            options = {
                "cols": COLUMNS,
                "rows": ROWS,
                "fontSize": 13,
                "scrollback": 1000,
                "theme": THEME,
                "minimumContrastRatio": 4.5,
                "cursorBlink": False,
            }
            self._screen = ui.xterm(options).on_data(self._typed).on_resize(self._resized)
        ui.context.client.on_delete(self.close)
        self._show_buttons()

    async def look(self) -> None:
        """Attach without being able to type."""
        await self._open(unlocked=False)

    async def unlock(self) -> None:
        """Attach so that keys arrive."""
        await self._open(unlocked=True)

    def close(self) -> None:
        """Let go of the session, which goes on; what was asked for and is not open yet never is."""
        self._asked += 1
        self._let_go()

    def _let_go(self) -> None:
        if self._pane is not None:
            self._pane.close()
            self._pane = None

    async def _open(self, *, unlocked: bool) -> None:
        self._asked += 1
        mine = self._asked  # more may be asked for while we wait: the last one counts
        prepared = await attempt(
            self._identity, TO_TYPE[0] if unlocked else "read", lambda: self._prepare(unlocked=unlocked)
        )
        if prepared is None or mine != self._asked:
            return
        argv, columns, rows = prepared
        self._let_go()
        is_drawn = await self._is_drawn()
        if mine != self._asked:
            return
        if not is_drawn:
            self._stand("The browser does not draw the terminal: load the page again.")
            return
        self._screen.run_terminal_method("reset")
        if unlocked:
            await self._screen.fit()
            columns, rows = await self._screen.get_columns(), await self._screen.get_rows()
        else:
            self._screen.run_terminal_method("resize", columns, rows)
        if mine != self._asked:
            return
        self._is_unlocked, self._shown = unlocked, mine
        try:
            self._pane = Pane(argv, columns, rows, self._printed, lambda status: self._ended(mine, status))
        except OSError as error:
            self._stand(f"It cannot be attached: {one_line(error)}")
            return
        self._stand(TYPING if unlocked else LOOKING if self._may_type() else NO_SCOPE)
        if unlocked:
            self._screen.run_terminal_method("focus")

    async def _is_drawn(self) -> bool:
        """Wait until the browser has made the terminal: it does when its tab is first turned to."""
        for _ in range(DRAWING_TRIES):
            if await self._screen.get_rows():
                return True
            await asyncio.sleep(DRAWING_S)
        return False

    def _prepare(self, *, unlocked: bool) -> tuple[list[str], int, int]:
        """Return the command that attaches, and the size of the session's window where we can ask for it.

        Raises:
            ServiceError: there is no session, or no way to its host.
            ForbiddenError: to type takes more than they may.
            LoggedOutError: their session has ended.
            OSError: the audit log cannot be written: then nobody types.
        """
        found = self._context.desk.find(self._task_id, self._host)
        view, place = found.view, found.place
        command = view.status.attach if view.status and not view.state.is_over else None
        if not command:
            raise ServiceError("conflict", f"{self._task_id} has no session now: it is {view.state}")
        words = shlex.split(command)
        if unlocked:
            self._require_to_type()
            audit.append(
                self._context.desk.workspace,
                "terminal",
                who=self._identity.name,
                task_id=self._task_id,
                host=place.host or "here",
            )
        else:
            words = looking(words)
        if place.is_mirror:
            # a connection of its own, as `agent.fleet.attach` has it: ssh_config(5), ControlPath
            link = replace(place.link("attach to"), socket=Path("none"))
            return ssh.command(link, shlex.join(words), terminal=True), COLUMNS, ROWS
        return words, *_size(words)

    def _printed(self, text: str) -> None:
        self._screen.write(text)

    def _ended(self, which: int, status: int) -> None:
        if which != self._shown:
            return  # another one was opened meanwhile
        self._pane = None
        self._is_unlocked = False
        with self._box:
            self._stand("Detached." if status == 0 else f"It ended with {status}: attach again.")

    def _typed(self, event: XtermDataEventArguments) -> None:
        if self._pane is None or not self._is_unlocked:
            return
        try:
            self._require_to_type()
        except (LoggedOutError, ForbiddenError) as error:
            self.close()
            self._is_unlocked = False
            self._stand(one_line(error))
            return
        self._pane.type(str(event.data))

    def _resized(self, event: XtermResizeEventArguments) -> None:
        if self._pane is not None:
            self._pane.resize(int(event.cols), int(event.rows))

    def _may_type(self) -> bool:
        return all(self._identity.may(scope) for scope in TO_TYPE)

    def _require_to_type(self) -> None:
        for scope in TO_TYPE:
            self._identity.require(scope)

    def _stand(self, what: str) -> None:
        self._standing.set_text(what)
        self._show_buttons()

    def _show_buttons(self) -> None:
        attached = self._pane is not None
        self._attach.set_visibility(not attached)
        self._lock.set_visibility(attached and self._is_unlocked)
        self._unlock.set_visibility(attached and not self._is_unlocked and self._may_type())
        self._box.classes(
            add="unlocked" if self._is_unlocked else "", remove="" if self._is_unlocked else "unlocked"
        )


def looking(words: list[str]) -> list[str]:
    """Return the command so that tmux takes no key and no size from us; others get no key from us anyway."""
    if "attach-session" not in words:
        return words
    at = words.index("attach-session") + 1
    return [*words[:at], "-r", *words[at:]]


def _size(words: list[str]) -> tuple[int, int]:
    """Return columns and rows of the session's window, where it is tmux that runs here."""
    if words[0] != "tmux" or "attach-session" not in words:
        return COLUMNS, ROWS
    at = words.index("attach-session")
    target = next((word for word in words[at:] if word.startswith("-t")), "")
    try:
        answer = ask(
            [*words[:at], "display-message", "-p", target, "#{window_width} #{window_height}"],
            env=environment(),
        )
        columns, rows = answer.text.split()
        return int(columns), int(rows)
    except (LaunchError, ValueError):
        return COLUMNS, ROWS
