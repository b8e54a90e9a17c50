"""Submitting a task: by form, by paste, or by dropping files on the page.

All three end in the same bytes, which go the way of every dropped file: `agent.service.actions.submit`. A
dropped file is shown before it is submitted, because a task runs commands.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from nicegui import run, ui

from agent.sanitize import one_line
from agent.service import actions
from agent.service.errors import ServiceError
from agent.tools.registry import Registry
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.task_table import href_of
from spool.names import TASK_SUFFIX, new_ulid

if TYPE_CHECKING:
    from nicegui.events import ValueChangeEventArguments

    from agent.service.actions import Submitted
    from agent.web.context import Context, Identity

HERE: Final = "here"
PRIORITIES: Final = ("critical", "high", "normal", "low")
MAX_LISTED: Final = 100


class SubmitDialog:
    """The dialog behind "New task"; `take` fills it with dropped files."""

    def __init__(self, context: Context, identity: Identity) -> None:
        self._context = context
        self._identity = identity
        self._files: list[tuple[str, bytes]] = []
        self._key = new_ulid()
        with ui.dialog().props('aria-label="New task"') as self._dialog, ui.card().classes("dialog-card"):
            text("h2", "New task")
            with ui.tabs().props("dense align=left") as self._tabs:
                ui.tab("form", "Form")
                ui.tab("json", "JSON")
                self._files_tab = ui.tab("files", "Files")
            with ui.tab_panels(self._tabs, value="form", animated=False).classes("wide"):
                with ui.tab_panel("form"):
                    self._form = Form(context)
                with ui.tab_panel("json"):
                    self._json = (
                        ui.textarea("The task as JSON", placeholder='{"tool": "shell", "command": "date"}')
                        .props('outlined input-class="mono" rows=14 spellcheck=false debounce=150')
                        .classes("wide")
                    )
                with ui.tab_panel("files"):
                    self._list = ui.element("ul").classes("stack").style("margin: 0; padding-left: 1.2rem")
            self._host = (
                ui.select(self._hosts(), value=HERE, label="Host").props("outlined dense").classes("wide")
            )
            self._verdict = ui.element("div").classes("wide").props('role="status"')
            with ui.row().classes("wide").style("justify-content: flex-end"):
                ui.button("Close", color=None, on_click=self._dialog.close).classes("plain").props("flat")
                ui.button("Check", color=None, on_click=self._check).classes("line").props("unelevated")
                ui.button("Submit", color=None, on_click=self._submit).classes("main").props("unelevated")
        self._files_tab.set_visibility(False)

    def _hosts(self) -> list[str]:
        names = [place.host for place in self._context.desk.places() if place.host is not None]
        return [HERE, *names]

    def open(self) -> None:
        """Open it with an empty form."""
        self._start("form")

    def take(self, files: list[tuple[str, bytes]]) -> None:
        """Open it with files that were dropped; one alone can be changed before it is submitted."""
        self._files = []
        name, content = files[0]
        try:
            shown = content.decode() if len(files) == 1 else None
        except UnicodeDecodeError:
            shown = None
        if shown is not None:
            self._start("json")
            self._json.value = shown
            self._files = [(name, content)]
            return
        self._start("files")
        self._files = files
        self._list.clear()
        with self._list:
            for file, body in files[:MAX_LISTED]:
                text("li", f"{one_line(file)} ({len(body):,} bytes)")

    def _start(self, tab: str) -> None:
        self._key = new_ulid()
        self._files = []
        self._verdict.clear()
        self._host.set_options(self._hosts(), value=self._host.value)
        self._files_tab.set_visibility(tab == "files")
        self._tabs.value = tab
        self._dialog.open()

    def _contents(self) -> list[tuple[str | None, bytes]]:
        """Return what would be submitted: a name, if it has one, and bytes."""
        if self._tabs.value == "form":
            return [(None, self._form.encoded())]
        if self._tabs.value == "files":
            return list(self._files)
        name = self._files[0][0] if self._files else None
        return [(name, (self._json.value or "").encode())]

    async def _check(self) -> None:
        self._verdict.clear()
        for name, content in self._contents():
            problem: ServiceError | None = None
            warnings: tuple[str, ...] = ()
            try:
                self._identity.require("submit")
                checked = await run.io_bound(actions.check, self._context.desk, content)
                warnings = checked.warnings if checked else ()
            except ServiceError as error:
                problem = error
            self._say(name, problem, warnings, "would be accepted")

    async def _submit(self) -> None:
        self._verdict.clear()
        left: list[tuple[str, bytes]] = []
        last: Submitted | None = None
        contents = self._contents()
        for number, (name, content) in enumerate(contents):
            try:
                submitted = await self._drop(name, content, f"{self._key}-{number}")
            except ServiceError as error:
                left.append((name or "", content))
                self._say(name, error, (), "")
                continue
            if submitted is None:
                return
            last = submitted
            for warning in submitted.warnings:
                ui.notify(one_line(warning), type="warning", multi_line=True)
        if left or last is None:
            self._key = new_ulid()  # what was refused is another request when it comes again
            self._files = left
            return
        self._dialog.close()
        self._form.clear()
        self._json.value = ""
        if len(contents) == 1 and last.task_id:
            ui.notify(f"{one_line(last.task_id)} submitted", type="positive")
            ui.navigate.to(href_of(last.task_id, last.host))
        else:
            ui.notify(f"{len(contents)} tasks submitted", type="positive")

    async def _drop(self, name: str | None, content: bytes, key: str) -> Submitted | None:
        """Submit one; None when the person may not, or the disk did not take it, which the page says.

        Raises:
            ServiceError: the task is refused.
        """
        host = self._host.value
        refused: list[ServiceError] = []

        def work() -> Submitted | None:
            try:
                return actions.submit(
                    self._context.desk,
                    content,
                    name=name if name and name.endswith(TASK_SUFFIX) else None,
                    host=host,
                    key=key,
                    by=self._identity.name,
                )
            except ServiceError as error:
                refused.append(error)
                return None

        submitted = await attempt(self._identity, "submit", work)
        if refused:
            raise refused[0]
        return submitted

    def _say(
        self, name: str | None, problem: ServiceError | None, warnings: tuple[str, ...], good: str
    ) -> None:
        prefix = f"{one_line(name)}: " if name else ""
        with self._verdict:
            if problem is not None:
                text("div", prefix + one_line(problem.message), "notice bad")
            else:
                text("div", prefix + good, "notice calm")
            for warning in warnings:
                text("div", prefix + one_line(warning), "notice")


class Form:
    """The fields that most tasks need; everything else is written as JSON."""

    def __init__(self, context: Context) -> None:
        tools = list(Registry.load(context.desk.workspace).names())
        outlined = "outlined dense"
        with ui.element("div").classes("stack").style("gap: 0.6rem"):
            self._tool = ui.select(
                tools, label="Tool", value="shell" if "shell" in tools else None, with_input=True
            ).props(outlined)
            self._command = (
                ui.textarea("Command (for shell: a script; for AI tools: a template's name)")
                .props(f'{outlined} autogrow input-class="mono" spellcheck=false debounce=150')
                .classes("wide")
            )
            self._prompt = ui.textarea("Prompt").props(f"{outlined} autogrow debounce=150").classes("wide")
            self._args = ui.input("Arguments, separated by spaces").props(f"{outlined} debounce=150")
            with ui.expansion("More").props("dense").classes("wide"), ui.element("div").classes("cards"):
                self._id = ui.input("Task id (made up when empty)").props(f"{outlined} debounce=150")
                self._priority = ui.select(list(PRIORITIES), label="Priority", value="normal").props(outlined)
                self._timeout = ui.number("Time limit, seconds", min=1).props(outlined)
                self._retries = ui.number("Retries", min=0, precision=0, value=0).props(outlined)
                self._labels = ui.input("Labels, separated by commas").props(f"{outlined} debounce=150")
                self._group = ui.input("Group").props(f"{outlined} debounce=150")
                self._after = ui.input("After these tasks, separated by commas").props(
                    f"{outlined} debounce=150"
                )
                self._cwd = ui.input("Working directory").props(f"{outlined} debounce=150")
        self._tool.on_value_change(self._suit)
        self._suit(None)

    def _suit(self, _event: ValueChangeEventArguments[Any] | None) -> None:
        is_shell = self._tool.value == "shell"
        self._prompt.set_visibility(not is_shell)
        self._args.set_visibility(is_shell)

    def clear(self) -> None:
        """Empty the fields that belong to one task alone."""
        for field in (self._command, self._prompt, self._args, self._id):
            field.value = ""

    def encoded(self) -> bytes:
        """Return the task."""
        parameters: dict[str, Any] = {}
        if self._prompt.visible and self._prompt.value:
            parameters["prompt"] = self._prompt.value
        if self._args.visible and self._args.value:
            parameters["args"] = self._args.value.split()
        if self._cwd.value:
            parameters["cwd"] = self._cwd.value
        fields: dict[str, Any] = {
            "task_id": self._id.value,
            "tool": self._tool.value,
            "command": self._command.value,
            "parameters": parameters,
            "priority": self._priority.value if self._priority.value != "normal" else None,
            "timeout": self._timeout.value,
            "retry_policy": {"max_retries": int(self._retries.value)} if self._retries.value else None,
            "labels": _listed(self._labels.value),
            "group": self._group.value,
            "dependencies": _listed(self._after.value),
        }
        return json.dumps({name: value for name, value in fields.items() if value}, indent=2).encode()


def _listed(value: str | None) -> list[str]:
    return [word.strip() for word in (value or "").split(",") if word.strip()]
