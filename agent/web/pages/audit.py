"""/audit: who asked for what, what was proposed, approved and run; and whether the log still holds."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import ui

from agent.inspect.report import parse_since
from agent.sanitize import one_line, plain
from agent.service import audit
from agent.web.pages import frame
from agent.web.pages.collaborative import words
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.moment import moment
from agent.web.pages.parts.sections import Section
from spool.records import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.context import Context

PAGE: Final = 50
LOOK_S: Final = 2.0
ALL: Final = ""


def register(context: Context) -> None:
    """Declare the route."""

    @frame.route("/audit")
    async def log(request: Request, task: str = "") -> None:
        with frame.shown(context, request, "Audit") as page:
            with ui.element("div").classes("head"):
                text("h1", "Audit")
            Chain(context, page).draw()
            search = Search(context, page)
            search.draw(task)
            await search.refresh()
            ui.timer(LOOK_S, search.look)


class Chain:
    """Whether nothing in the log was changed, removed or put in."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page

    def draw(self) -> None:
        """Draw the button, and the place of the verdict."""
        with ui.element("section").classes("panel").props('aria-label="The chain"'):
            text("h2", "The chain")
            text(
                "p",
                "Each entry holds the digest of the one before it, so that a change shows. Keep the last "
                "digest on another machine: with it, even a log that was written anew is told.",
                "muted small",
            )
            with ui.element("form").classes("line-of") as form:
                form.on("submit.prevent", self._verify)
                self.anchor = (
                    ui.input("Digest noted earlier (optional)").props("outlined dense").classes("grow")
                )
                self.button = ui.button("Verify the chain", icon="verified", color=None)
                self.button.classes("main").props('type="submit"')
            self.verdict = Section(_verdict)
            self.verdict.element.props('role="status"')

    async def _verify(self) -> None:
        anchor = str(self.anchor.value or "").strip().lower() or None
        self.button.disable()
        try:
            found = await attempt(
                self.page.identity, "read", partial(audit.verify, self.context.desk, anchor)
            )
        finally:
            self.button.enable()
        if found is not None:
            self.verdict.show(found)


def _verdict(found: Mapping[str, Any]) -> None:
    for note in found["notes"]:
        text("p", one_line(note), "notice calm")
    if found["ok"] and found["last"] is None:
        text("p", "Nothing has been logged yet.", "notice calm")
    elif found["ok"]:
        with words.marked(ui.element("div").classes("notice good"), data_chain="holds"):
            text("strong", f"The chain holds: {found['entries']:,} entries.")
            text("span", f"The last is {found['last']['n']}, with the digest")
            text("code", found["last"]["sha256"], "sha256")
    else:
        with words.marked(ui.element("div").classes("notice bad"), data_chain="broken"):
            text("strong", "The chain is broken.")
            text("span", one_line(found["bad"]))
            text("span", f"The {found['entries']:,} entries before it hold.")
        if found["broken_at"]:
            _around(found["broken_at"])


def _around(where: Mapping[str, Any]) -> None:
    """Draw the bad line between its neighbours, as they stand in the file."""
    text("h3", f"Around line {where['line']} of {where['file']}")
    with ui.element("ol").classes("audit-lines"):
        for line in where["around"]:
            shown = ui.element("li").classes("bad" if line["bad"] else "")
            words.marked(shown, value=line["number"])
            with shown:
                if line["bad"]:
                    text("strong", "this line does not fit ")
                text("span", f"entry {line['n']}" if line["n"] is not None else "no entry", "muted")
                text("pre", plain(line["text"]), "text")


class Search:
    """Entries that are like something, the latest first."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page
        self._cursors: list[str | None] = [None]
        self._next: str | None = None
        self._stamp: object = None

    def draw(self, task_id: str) -> None:
        """Draw the fields, and the place of the table."""
        with ui.element("section").classes("panel").props('aria-label="Entries"'):
            text("h2", "Entries")
            with ui.element("div").classes("line-of choices"):
                self.text = _field("Search", "data-search")
                self.event = self._choice("Event")
                self.who = self._choice("Who")
                self.task = _field("Task")
                self.task.set_value(task_id)
                self.since = _field("Since (2d or 18:00)")
            for each in (self.text, self.task, self.since):
                each.on_value_change(self._first_page)
            self.problem = text("p", "", "bad-text small")
            self.table = Section(_table)
            with ui.element("div").classes("line-of buttons"):
                self.newer = ui.button("Newer", color=None, on_click=self._newer).classes("line")
                self.older = ui.button("Older", color=None, on_click=self._older).classes("line")
                self.count = text("span", "", "muted small")

    def _choice(self, label: str) -> ui.select:
        chosen = ui.select({ALL: "all"}, label=label, value=ALL).props("outlined dense options-dense")
        chosen.classes("choice").on_value_change(self._first_page)
        return chosen

    async def look(self) -> None:
        """Draw what was logged meanwhile."""
        self.page.identity.require("read")
        try:
            status = (self.context.desk.workspace.logs / "audit.jsonl").stat()
        except FileNotFoundError:
            return
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp != self._stamp and self._cursors == [None]:
            self._stamp = stamp
            await self.refresh()

    async def refresh(self) -> None:
        """Draw the page as the fields say."""
        wanted = self._wanted()
        if wanted is None:
            return
        found = await attempt(
            self.page.identity,
            "read",
            partial(audit.search, self.context.desk, wanted, cursor=self._cursors[-1], limit=PAGE),
        )
        if found is None:
            return
        self._next = found["next"]
        for select, names in ((self.event, found["events"]), (self.who, found["who"])):
            options = {ALL: "all", **{name: one_line(name) for name in names}}
            if options != select.options:
                select.set_options(options)
        self.table.show({"entries": found["entries"]})
        self.count.set_text(f"{found['total']:,} entr{'y' if found['total'] == 1 else 'ies'}")
        self.newer.set_visibility(len(self._cursors) > 1)
        self.older.set_visibility(self._next is not None)

    def _wanted(self) -> audit.Filter | None:
        given = str(self.since.value or "").strip()
        try:
            since = iso(parse_since(given, datetime.now().astimezone())) if given else ""
        except ValueError as error:
            self.problem.set_text(str(error))
            return None
        self.problem.set_text("")
        return audit.Filter(
            text=str(self.text.value or "") or None,
            task_id=str(self.task.value or "").strip() or None,
            event=self.event.value or None,
            who=self.who.value or None,
            since=since,
        )

    async def _first_page(self) -> None:
        self._cursors = [None]
        await self.refresh()

    async def _older(self) -> None:
        self._cursors.append(self._next)
        await self.refresh()

    async def _newer(self) -> None:
        self._cursors.pop()
        await self.refresh()


def _field(label: str, more: str = "") -> ui.input:
    return ui.input(label).props(f"outlined dense clearable debounce=300 {more}").classes("choice")


def _table(found: Mapping[str, Any]) -> None:
    if not found["entries"]:
        text("p", "No entry is like that.", "empty")
        return
    box = ui.element("div").classes("plain-table-box").props('tabindex="0" role="region"')
    words.marked(box, aria_label="Entries, the latest first")
    with box, ui.element("table").classes("plain-table audit"):
        text("caption", "Entries, the latest first", "hidden-text")
        with ui.element("thead"), ui.element("tr"):
            for head in ("N", "When", "Event", "Who", "Task", "Details"):
                text("th", head).props('scope="col"')
        with ui.element("tbody"):
            for entry in found["entries"]:
                _entry(entry)


def _entry(entry: Mapping[str, Any]) -> None:
    with words.marked(ui.element("tr"), data_n=entry["n"]):
        text("th", entry["n"], "number").props('scope="row"')
        with ui.element("td"):
            moment(entry["at"])
        with ui.element("td"):
            words.chip(one_line(entry["event"]))
        text("td", one_line(entry["who"]))
        with ui.element("td").classes("task"):
            if entry["task_id"]:
                words.task_link(entry["task_id"])
        with ui.element("td"):
            _details(entry)


def _details(entry: Mapping[str, Any]) -> None:
    """Draw what an entry says in one line, without digests; all of it when that is opened."""
    said = [f"{name}={_value(v)}" for name, v in entry["details"].items() if not name.endswith("sha256")]
    with ui.element("details").classes("more"):
        text("summary", one_line(" · ".join(said)) or "its digest", "details")
        with ui.element("dl").classes("facts small"):
            for name, value in (*entry["details"].items(), ("its digest", entry["sha256"])):
                text("dt", one_line(name))
                text("dd", plain(_value(value)), "mono")


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
