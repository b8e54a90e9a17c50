"""The page of one task: how it stands, its log, terminal, result, files, attempts, and what can be done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui

from agent.amounts import size
from agent.sanitize import one_line, plain
from agent.service import listing, logs
from agent.service.errors import ServiceError
from agent.web.pages import frame
from agent.web.pages.edit import EditDialog
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import ACTIONS, act
from agent.web.pages.parts.answering import Answering
from agent.web.pages.parts.attempts import timeline
from agent.web.pages.parts.confirm import confirmed
from agent.web.pages.parts.log_view import LogView
from agent.web.pages.parts.prose import prose
from agent.web.pages.parts.sections import Section
from agent.web.pages.parts.task_table import label_of
from agent.web.pages.terminal import Terminal

if TYPE_CHECKING:
    from agent.service.logs import LogSource
    from agent.web.context import Context

MAX_SHOWN_CHARS: Final = 200_000
MAX_FILES: Final = 500
TABS: Final = {"log": "Log", "terminal": "Terminal", "result": "Result", "files": "Files", "task": "Task"}
FACTS: Final = (
    ("tool", "Tool"),
    ("command", "Command"),
    ("host", "Host"),
    ("group", "Group"),
    ("labels", "Labels"),
    ("source_name", "File"),
    ("path", "Folder"),
    ("attach", "Attach with"),
)


class TaskPage:
    """One open page of one task."""

    def __init__(self, page: frame.Shown, document: dict[str, Any]) -> None:
        self._context = page.context
        self._identity = page.identity
        self._task_id: str = document["task_id"]
        self._host: str | None = document["host"]
        self._where = self._host or "here"
        self._state = ""
        self._draw()
        self.show(document)

    def _draw(self) -> None:
        with ui.element("div").classes("head"):
            with ui.element("div").classes("grow"):
                with ui.element("div").classes("line-of"):
                    text("h1", one_line(self._task_id))
                    self._chip = text("span", "", "chip")
                self._standing = text("div", "", "muted").props('role="status"')
            self._draw_buttons()
        self._answering = Answering(self._context, self._identity, self._task_id, self._where)
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("stack"):
                self._draw_tabs()
            with ui.element("div").classes("stack"):
                for title, section in (("Attempts", timeline), ("Facts", _facts), ("Usage", _usage)):
                    with ui.element("section").classes("panel").props(f'aria-label="{title}"') as panel:
                        text("h2", title)
                        drawn = Section(section)
                    if title == "Attempts":
                        self._attempts = drawn
                    elif title == "Facts":
                        self._facts = drawn
                    else:
                        self._usage, self._usage_panel = drawn, panel

    def _draw_buttons(self) -> None:
        self._buttons: dict[str, ui.button] = {}
        self._edit: ui.button | None = None
        if not self._identity.may("operate"):
            return
        if self._identity.may("submit"):  # what an edit says is run
            edit = EditDialog(self._context, self._identity, self._task_id, self._where)
            self._edit = ui.button("Edit", color=None, on_click=edit.open)
            self._edit.classes("line").props("unelevated")
        for action in ACTIONS:
            button = ui.button(action.label, color=None).props("unelevated")
            button.classes("line danger" if action.name == "cancel" else "line")
            button.on_click(lambda name=action.name: self._act(name))
            self._buttons[action.name] = button

    def _draw_tabs(self) -> None:
        with ui.tabs().props("dense align=left no-caps inline-label") as tabs:
            for name, label in TABS.items():
                ui.tab(name, label)
        with ui.tab_panels(tabs, value="log", animated=False, keep_alive=True).classes("wide"):
            with _panel("log"):
                self._log = LogView(self._open_log)
            with _panel("terminal"):
                self._terminal = Terminal(self._context, self._identity, self._task_id, self._where)
            with _panel("result"):
                self._result = Section(_result, "panel")
            with _panel("files"):
                self._files = Section(self._draw_files, "panel")
            with _panel("task"):
                self._task = Section(_as_json, "panel")
        tabs.on_value_change(lambda event: self._turned(str(event.value)))

    async def _turned(self, tab: str) -> None:
        if tab == "terminal" and self._state in {"running", "waiting_input"}:
            await self._terminal.look()
        else:
            self._terminal.close()

    def _open_log(self) -> LogSource:
        return logs.log(self._context.desk, self._task_id, self._where)

    async def _act(self, name: str) -> None:
        if name == "cancel" and not await confirmed(
            f"Cancel {self._task_id}?", f"It is {label_of(self._state)} now.", "Cancel it", "Leave it"
        ):
            return
        await act(self._context, self._identity, name, [f"{self._host or ''}/{self._task_id}"])

    async def refresh(self) -> None:
        """Look at the task again and draw what is new."""
        try:
            document = await run.io_bound(listing.task, self._context.desk, self._task_id, self._where)
        except ServiceError as error:
            self._standing.set_text(one_line(error.message))
            return
        if document is not None:
            self.show(document)

    def show(self, document: dict[str, Any]) -> None:
        """Draw what is new."""
        state = document["state"]
        if state != self._state:
            self._chip.classes(replace=f"chip s-{state}")
            self._chip.set_text(label_of(state))
            if state in {"running", "waiting_input", "queued"} or not self._state:
                self._log.follow()
        self._state = state
        self._standing.set_text(one_line(document["standing"]))
        for action in ACTIONS:
            if action.name in self._buttons:
                self._buttons[action.name].set_visibility(state in action.states)
        if self._edit is not None:
            self._edit.set_visibility(document["place"] in {"tasks", "held"})
        asking = state == "waiting_input" and document["place"] == "sessions"
        self._answering.show((document["question"] or "") if asking else None)
        self._attempts.show(document)
        self._facts.show({name: document[name] for name, _ in FACTS})
        usage = (document["result"] or {}).get("usage") or {}
        self._usage_panel.set_visibility(any(value is not None for value in usage.values()))
        self._usage.show(usage)
        self._result.show(document["result"] or {})
        self._files.show(document["files"])
        self._task.show(document["task"])

    def _draw_files(self, files: list[dict[str, Any]]) -> None:
        if not files:
            text("div", "There are no files yet.", "empty")
            return
        with ui.element("table").classes("task-table"), ui.element("tbody"):
            for file in files[:MAX_FILES]:
                with ui.element("tr"):
                    with ui.element("td").classes("name"):
                        address = file_address(self._task_id, self._where, file["path"])
                        ui.link(one_line(file["path"]), address).props("download")
                    text("td", size(file["bytes"]), "number")
        if len(files) > MAX_FILES:
            text("div", f"and {len(files) - MAX_FILES:,} more in the task's folder", "muted")


def _panel(name: str) -> ui.tab_panel:
    return ui.tab_panel(name).props(f'aria-label="{TABS[name]}"')


def file_address(task_id: str, host: str, path: str) -> str:
    """Return where a file of a task is downloaded from."""
    return f"/api/v1/tasks/{quote(task_id, safe='')}/files/{quote(path)}?host={quote(host)}"


def _facts(document: dict[str, Any]) -> None:
    with ui.element("dl").classes("facts"):
        for name, label in FACTS:
            value = document[name]
            if name == "host":
                value = value or "here"
            if isinstance(value, list):
                value = ", ".join(value)
            if value:
                text("dt", label)
                text("dd", plain(str(value))[:2000], "mono" if name in {"command", "path", "attach"} else "")


def _usage(usage: dict[str, Any]) -> None:
    with ui.element("dl").classes("facts"):
        for name, label in (("input_tokens", "Tokens in"), ("output_tokens", "Tokens out")):
            if usage.get(name) is not None:
                text("dt", label)
                text("dd", f"{usage[name]:,}")
        if usage.get("cost_usd") is not None:
            text("dt", "Cost")
            text("dd", f"${usage['cost_usd']:.4f}")


def _result(result: dict[str, Any]) -> None:
    if not result:
        text("div", "It has no result yet.", "empty")
        return
    output = result.get("output") or {}
    said = output.get("text") or ""
    if output.get("truncated"):
        text("div", "This is its end: the files have all of it.", "notice calm")
    if not said.strip():
        text("div", "It said nothing.", "empty")
    elif result["tool"] == "shell":
        text("pre", plain(said)[-MAX_SHOWN_CHARS:], "text")
    else:
        prose(said[-MAX_SHOWN_CHARS:])


def _as_json(task: dict[str, Any] | None) -> None:
    if task is None:
        text("div", "The task cannot be read.", "empty")
        return
    text("pre", plain(json.dumps(task, indent=2, ensure_ascii=False))[:MAX_SHOWN_CHARS], "text")


def register(context: Context) -> None:
    """Declare the page."""

    @frame.route("/task/{task_id:path}")
    async def task(request: Request, task_id: str, host: str | None = None) -> None:
        with frame.shown(context, request, task_id, here="/tasks") as page:
            try:
                document = await run.io_bound(listing.task, context.desk, task_id, host)
            except ServiceError as error:
                text("h1", one_line(task_id))
                text("div", one_line(error.message), "notice bad")
                ui.context.client.status_code = 404
                return
            if document is None:
                return  # the server is on its way out
            drawn = TaskPage(page, document)
            page.on_change(drawn.refresh)
