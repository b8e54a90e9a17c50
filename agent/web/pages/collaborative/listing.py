"""/collab: asking a question, and the runs so far."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui

from agent.config import ConfigError
from agent.sanitize import one_line, plain
from agent.service import collab
from agent.web.pages import frame
from agent.web.pages.collaborative import words
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.asked import why
from agent.web.pages.parts.moment import moment
from agent.web.pages.parts.sections import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.context import Context

PAGE: Final = 20
BY_WORDS: Final = "by its words"
"""The choice that leaves the kind to the question's own words."""


def register(context: Context) -> None:
    """Declare the route."""

    @frame.route("/collab")
    async def asking(request: Request) -> None:
        with frame.shown(context, request, "🤝 Collaborative") as page:
            with ui.element("div").classes("head"):
                words.title("Collaborative")
            if page.identity.may("submit"):
                Form(context, page).draw()
            else:
                text("p", "Asking takes a token with the scope submit.", "notice calm")
            listed = Runs(context, page)
            listed.draw()
            await listed.refresh()
            page.on_change(listed.refresh)


class Form:
    """The question and what goes with it."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page

    def draw(self) -> None:
        """Draw the form."""
        with ui.element("form").classes("panel ask-form").props('aria-label="Ask"') as form:
            form.on("submit.prevent", self._run)
            self.question = ui.textarea("Your question").props("outlined autogrow rows=2").classes("wide")
            self.question.on("keydown.ctrl.enter", self._run)
            with ui.element("div").classes("line-of choices"):
                kinds = {BY_WORDS: "by its words", **{name: words.KINDS[name] for name in collab.TYPES}}
                self.kind = _choice("Kind", kinds, BY_WORDS)
                self.domain = _choice("Field", {"": "by its kind", **self._domains()}, "")
                hosts = collab.hosts(self.context.desk.workspace)
                self.host = _choice("Host", {"": f"{hosts[0]} (here)", **{h: h for h in hosts[1:]}}, "")
                self.read_only = ui.checkbox("Run nothing, only look")
            with ui.element("div").classes("line-of buttons"):
                ui.button("Run", icon="play_arrow", color=None).classes("main").props('type="submit"')
                ui.button("Who would answer?", color=None, on_click=self._explain).classes("line")
                text("span", "Ctrl+Enter asks", "muted small")
            self.explained = ui.element("div").classes("wide")

    def _domains(self) -> dict[str, str]:
        try:
            found = collab.domains(self.context.desk.workspace)
        except ConfigError as error:
            text("p", plain(str(error)), "notice bad")
            return {}
        return {name: name for name in found}

    def _asked(self) -> dict[str, Any]:
        kind = None if self.kind.value == BY_WORDS else self.kind.value
        return {"kind": kind, "domain": self.domain.value or None}

    async def _run(self) -> None:
        question = str(self.question.value or "").strip()
        if not question:
            ui.notify("Write a question first", type="warning")
            return
        identity = self.page.identity
        work = partial(
            collab.start,
            self.context.desk,
            question,
            by=identity.name,
            host=self.host.value or None,
            read_only=bool(self.read_only.value),
            **self._asked(),
        )
        dropped = await attempt(identity, "submit", work)
        if dropped is None:
            return
        for warning in dropped.warnings:
            ui.notify(one_line(warning), type="warning", multi_line=True)
        ui.navigate.to(words.run_address(str(dropped.task_id)))

    async def _explain(self) -> None:
        question = str(self.question.value or "").strip()
        workspace = self.context.desk.workspace
        found = await attempt(
            self.page.identity, "read", lambda: collab.explain(workspace, question, **self._asked())
        )
        self.explained.clear()
        if found is not None:
            with self.explained:
                _cast(found)


def _choice(label: str, options: dict[str, str], value: str) -> ui.select:
    return (
        ui.select(options, label=label, value=value).props("outlined dense options-dense").classes("choice")
    )


def _cast(found: Mapping[str, Any]) -> None:
    kind = words.KINDS.get(found["type"], found["type"])
    about = f" — {found['type_about']}" if found["type_about"] else ""
    text("p", f"{kind}{about} · field {found['domain'] or 'none'} · language {found['language']}", "small")
    with ui.element("dl").classes("facts small"):
        for role in found["roles"]:
            text("dt", role["role"])
            with ui.element("dd"):
                for line in role["providers"]:
                    text("div", one_line(line))
                for line in role["fallback"]:
                    text("div", f"else {one_line(line)}", "muted")
    why(found)


class Runs:
    """The runs so far, the latest first, a page at a time."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page
        self._cursors: list[str | None] = [None]
        self._next: str | None = None

    def draw(self) -> None:
        """Draw the frame of the list."""
        with ui.element("section").classes("panel").props('aria-label="Runs"'):
            with ui.element("div").classes("head"):
                text("h2", "Runs").classes("grow")
                self.search = (
                    ui.input("Search").props("outlined dense clearable data-search").classes("choice")
                )
                self.search.on_value_change(self._first_page)
            self.table = Section(_table)
            with ui.element("div").classes("line-of buttons"):
                self.newer = ui.button("Newer", color=None, on_click=self._newer).classes("line")
                self.older = ui.button("Older", color=None, on_click=self._older).classes("line")
                self.count = text("span", "", "muted small")

    async def refresh(self) -> None:
        """Draw the page as it is now."""
        found = await run.io_bound(
            collab.runs,
            self.context.desk,
            self.context.index,
            limit=PAGE,
            cursor=self._cursors[-1],
            text=str(self.search.value or ""),
        )
        if found is None:
            return  # the server is stopping
        self._next = found["next"]
        self.table.show({"rows": found["rows"]})
        self.count.set_text(f"{found['total']:,} run{'' if found['total'] == 1 else 's'}")
        self.newer.set_visibility(len(self._cursors) > 1)
        self.older.set_visibility(self._next is not None)

    async def _first_page(self) -> None:
        self._cursors = [None]
        await self.refresh()

    async def _older(self) -> None:
        self._cursors.append(self._next)
        await self.refresh()

    async def _newer(self) -> None:
        self._cursors.pop()
        await self.refresh()


def _table(found: Mapping[str, Any]) -> None:
    if not found["rows"]:
        text("p", "No run yet: ask something above.", "empty")
        return
    with ui.element("table").classes("plain-table runs"):
        text("caption", "Runs, the latest first", "hidden-text")
        with ui.element("thead"), ui.element("tr"):
            for head in ("Question", "State", "Consensus", "Confidence", "Turned out", "When"):
                text("th", head).props('scope="col"')
        with ui.element("tbody"):
            for row in found["rows"]:
                _row(row)


def _row(row: Mapping[str, Any]) -> None:
    question = row["question"] or {}
    with words.marked(ui.element("tr"), data_task=row["task_id"]):
        with ui.element("th").props('scope="row"'):
            link = text("a", one_line(words.question_of(row)), "run-link")
            words.marked(link, href=words.run_address(row["task_id"], row["host"]))
            kind = words.KINDS.get(question.get("type", ""), "")
            about = " · ".join(filter(None, (kind, question.get("host") or "", row["host"] or "")))
            text("div", one_line(about), "muted small")
        with ui.element("td"):
            words.chip(row["state"].replace("_", " "), f"s-{row['state']}")
            doing = row["doing"] if row["state"] == "running" else ""
            if doing:
                text("div", one_line(doing), "muted small")
        with ui.element("td"):
            text("span", words.percent(row["consensus_percent"]))
            if row["coverage_percent"] is not None:
                text("div", f"coverage {words.percent(row['coverage_percent'])}", "muted small")
        with ui.element("td"):
            text("span", words.percent(row["confidence_percent"]))
            if row["calibrated"] is False and row["confidence_percent"] is not None:
                text("div", "uncalibrated", "muted small")
        with ui.element("td"):
            label = row["label"]
            text("span", words.NOTHING if label is None else "right" if label["good"] else "wrong")
        with ui.element("td"):
            if row["changed_at"]:
                moment(row["changed_at"])
