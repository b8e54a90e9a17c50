"""Changing a task while it waits: its file as text, put back only if nobody changed it meanwhile."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nicegui import ui

from agent.sanitize import one_line
from agent.service import actions
from agent.service.errors import ServiceError
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt, tell
from spool.files import read_regular

if TYPE_CHECKING:
    from agent.service.actions import Said
    from agent.web.context import Context, Identity


class EditDialog:
    """The dialog behind "Edit"."""

    def __init__(self, context: Context, identity: Identity, task_id: str, host: str) -> None:
        self._context = context
        self._identity = identity
        self._task_id = task_id
        self._host = host
        self._before = b""
        with ui.dialog().props('aria-label="Edit the task"') as self._dialog:  # noqa: SIM117 - deep enough
            with ui.card().classes("dialog-card"):
                text("h2", f"Edit {one_line(task_id)}")
                text(
                    "div",
                    "It may start meanwhile; then nothing is changed. Hold it first to be sure.",
                    "muted",
                )
                self._text = (
                    ui.textarea("The task as JSON")
                    .props('outlined input-class="mono" rows=18 spellcheck=false debounce=150')
                    .classes("wide")
                )
                self._verdict = ui.element("div").classes("wide").props('role="status"')
                with ui.row().classes("wide").style("justify-content: flex-end"):
                    ui.button("Close", color=None, on_click=self._dialog.close).classes("plain").props("flat")
                    ui.button("Save", color=None, on_click=self._save).classes("main").props("unelevated")

    async def open(self) -> None:
        """Open it with the task as it is now."""
        content = await attempt(self._identity, "submit", self._read)
        if content is None:
            return
        self._before = content
        self._verdict.clear()
        self._text.value = content.decode(errors="replace")
        self._dialog.open()

    def _read(self) -> bytes:
        view = self._context.desk.find(self._task_id, self._host).view
        if view.place not in {"tasks", "held"}:
            raise ServiceError("conflict", f"{self._task_id} does not wait any more: it is {view.state}")
        return read_regular(view.path, self._context.desk.config.max_task_bytes)

    async def _save(self) -> None:
        self._verdict.clear()
        content = (self._text.value or "").encode()
        if content == self._before:
            self._dialog.close()
            return
        refused: list[ServiceError] = []

        def work() -> Said | None:
            digest = hashlib.sha256(self._before).hexdigest()
            try:
                return actions.edit(
                    self._context.desk,
                    self._task_id,
                    digest,
                    content,
                    host=self._host,
                    by=self._identity.name,
                )
            except ServiceError as error:
                refused.append(error)
                return None

        said = await attempt(self._identity, "submit", work)
        for error in refused:
            with self._verdict:
                text("div", one_line(error.message), "notice bad")
        if said is not None:
            self._dialog.close()
            tell(said)
