"""The page of all tasks: a live table over all hosts, of which a browser gets one part at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, get_args
from urllib.parse import urlencode

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui

from agent.service.index import Name, Query, Sort
from agent.web.pages import frame
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import ACTIONS, act
from agent.web.pages.parts.confirm import confirmed
from agent.web.pages.parts.drop_zone import DropZone
from agent.web.pages.parts.idle import IdleNotice
from agent.web.pages.parts.task_table import TaskTable
from agent.web.pages.submit import SubmitDialog

if TYPE_CHECKING:
    from agent.service.index import Page
    from agent.web.context import Context

LIMIT: Final = 50
NAMES_S: Final = 10.0
"""How long the choices of the filters are kept: to gather them means to look at all tasks."""


@dataclass(frozen=True, slots=True)
class Filter:
    """States that a person looks at together."""

    name: str
    label: str
    states: tuple[str, ...]


FILTERS: Final = (
    Filter("all", "All", ()),
    Filter("asking", "Needs an answer", ("waiting_input",)),
    Filter("running", "Running", ("running",)),
    Filter("waiting", "Waiting", ("queued", "blocked", "deferred", "held")),
    Filter("failed", "Failed", ("failed", "timed_out", "lost", "dependency_failed", "expired")),
    Filter("succeeded", "Succeeded", ("succeeded",)),
    Filter("cancelled", "Cancelled", ("cancelled",)),
)
BY_NAME: Final = {filter_.name: filter_ for filter_ in FILTERS}
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
DEFAULT_SORT: Final[Sort] = "changed_at"
CHOICES: Final[tuple[Name, ...]] = ("host", "tool", "label", "group")


@dataclass(slots=True)
class Asked:
    """What a person wants to see; the page's address holds it, so that it can be kept and sent."""

    text: str = ""
    state: str = "all"
    choices: dict[str, str] = field(default_factory=dict)
    sort: Sort = "changed_at"
    descending: bool = True
    cursors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Read it from an address; what is not understood is left out."""
        given = request.query_params
        sort = _sort(given.get("sort"))
        return cls(
            text=given.get("text", "")[:200],
            state=given["state"] if given.get("state") in BY_NAME else "all",
            choices={name: given[name] for name in CHOICES if given.get(name)},
            sort=sort,
            descending=given.get("order") != "asc",
        )

    def address(self) -> str:
        """Write it as an address."""
        fields = {"text": self.text, "state": self.state if self.state != "all" else "", **self.choices}
        if (self.sort, self.descending) != ("changed_at", True):
            fields |= {"sort": self.sort, "order": "desc" if self.descending else "asc"}
        query = urlencode({name: value for name, value in fields.items() if value})
        return "/tasks" + (f"?{query}" if query else "")

    def query(self) -> Query:
        """Return the question for the index."""

        def chosen(name: str) -> tuple[str, ...]:
            return (self.choices[name],) if name in self.choices else ()

        return Query(
            hosts=chosen("host"),
            states=BY_NAME[self.state].states,
            tools=chosen("tool"),
            labels=chosen("label"),
            groups=chosen("group"),
            text=self.text,
            sort=self.sort,
            descending=self.descending,
            cursor=self.cursors[-1] if self.cursors else None,
            limit=LIMIT,
        )


class TasksPage:
    """One open page of tasks."""

    def __init__(self, page: frame.Shown, asked: Asked) -> None:
        self._context = page.context
        self._identity = page.identity
        self._asked = asked
        self._chosen: list[str] = []
        self._next: str | None = None
        self._filters: dict[str, ui.button] = {}
        self._choices: dict[str, ui.select] = {}
        self._names: dict[Name, list[str]] = {}
        self._names_stale_at = 0.0
        self._draw()

    def _draw(self) -> None:
        submit = None
        if self._identity.may("submit"):
            submit = SubmitDialog(self._context, self._identity)

            async def dropped(files: list[tuple[str, bytes]]) -> None:
                submit.take(files)

            DropZone(dropped, self._context.desk.config.max_task_bytes)
        with ui.element("div").classes("head"):
            text("h1", "Tasks").classes("grow")
            if submit is not None:
                ui.button("New task", icon="add", color=None, on_click=submit.open).classes("main").props(
                    "unelevated data-new"
                )
        IdleNotice(self._context)
        self._draw_filters()
        with ui.element("div").classes("panel tight"):
            self._table = TaskTable(
                self._identity, on_sort=self._sort, on_choose=self._choose, on_act=self._act
            )
        self._draw_foot()

    def _draw_filters(self) -> None:
        with ui.element("div").classes("line-of filters").props('role="group" aria-label="Filter by state"'):
            for filter_ in FILTERS:
                button = (
                    ui.button(filter_.label, color=None).classes("line").props("unelevated dense no-caps")
                )
                button.on_click(lambda name=filter_.name: self._filter(name))
                self._filters[filter_.name] = button
        with ui.element("div").classes("line-of wide"):
            search = (
                ui.input(label="Search", value=self._asked.text, on_change=lambda e: self._search(e.value))
                .props("outlined dense debounce=200 clearable type=search data-search")
                .style("flex: 1 1 16rem")
            )
            with search.add_slot("prepend"):
                ui.icon("search").props("aria-hidden=true")
            for name in CHOICES:
                self._choices[name] = (
                    ui.select(
                        [],
                        label=name.capitalize(),
                        clearable=True,
                        on_change=lambda e, name=name: self._pick(name, e.value),
                    )
                    .props("outlined dense options-dense")
                    .style("flex: 1 1 7rem; max-width: 12rem")
                )

    def _draw_foot(self) -> None:
        with ui.element("div").classes("line-of wide"):
            self._bulk = ui.element("div").classes("line-of")
            with self._bulk:
                self._bulk_label = ui.label()
                for action in ACTIONS:
                    button = ui.button(action.label, color=None).classes("line").props("unelevated dense")
                    button.on_click(lambda name=action.name: self._act_on_chosen(name))
            self._bulk.set_visibility(False)
            ui.element("div").classes("grow")
            self._standing = ui.label().classes("muted").props('role="status"')
            self._back = ui.button(icon="chevron_left", color=None, on_click=self._page_back)
            self._forth = ui.button(icon="chevron_right", color=None, on_click=self._page_forth)
            self._back.props('flat round dense aria-label="Page before"')
            self._forth.props('flat round dense aria-label="Next page"')

    # ---- what a person does

    async def _changed(self) -> None:
        self._asked.cursors.clear()
        self._chosen.clear()
        ui.navigate.history.replace(self._asked.address())
        await self.refresh()

    async def _filter(self, name: str) -> None:
        self._asked.state = name
        await self._changed()

    async def _search(self, value: str | None) -> None:
        self._asked.text = (value or "").strip()[:200]
        await self._changed()

    async def _pick(self, name: str, value: str | None) -> None:
        if self._asked.choices.get(name) == value:
            return
        self._asked.choices.pop(name, None)
        if value:
            self._asked.choices[name] = value
        await self._changed()

    async def _sort(self, name: str) -> None:
        sort = _sort(name)
        self._asked.descending = (
            not self._asked.descending if sort == self._asked.sort else sort == "changed_at"
        )
        self._asked.sort = sort
        await self._changed()

    async def _page_forth(self) -> None:
        if self._next is not None:
            self._asked.cursors.append(self._next)
            await self.refresh()

    async def _page_back(self) -> None:
        if self._asked.cursors:
            self._asked.cursors.pop()
            await self.refresh()

    async def _choose(self, keys: list[str]) -> None:
        self._chosen = keys[: 10 * LIMIT]
        await self.refresh()

    async def _act(self, key: str, name: str) -> None:
        await self._do(name, [key])

    async def _act_on_chosen(self, name: str) -> None:
        await self._do(name, list(self._chosen))
        self._chosen.clear()
        await self.refresh()

    async def _do(self, name: str, keys: list[str]) -> None:
        if name == "cancel":
            what = keys[0].partition("/")[2] if len(keys) == 1 else f"{len(keys)} tasks"
            if not await confirmed(f"Cancel {what}?", "What runs is ended.", "Cancel it", "Leave it"):
                return
        await act(self._context, self._identity, name, keys)

    # ---- what is shown

    async def refresh(self) -> None:
        """Ask the index again and draw what it says."""
        found = await run.io_bound(self._look)
        if found is None:
            return  # the server is on its way out
        page, counts, names = found
        self._next = page.next
        for filter_ in FILTERS:
            number = (
                sum(counts.values()) if not filter_.states else sum(counts.get(s, 0) for s in filter_.states)
            )
            button = self._filters[filter_.name]
            button.set_text(f"{filter_.label} {number:,}")
            button.props(f"aria-pressed={'true' if self._asked.state == filter_.name else 'false'}")
        for name, options in names.items():
            select = self._choices[name]
            chosen = self._asked.choices.get(name)
            if chosen is not None and chosen not in options:
                options.append(chosen)
            if select.options != options or select.value != chosen:
                select.set_options(options, value=chosen)
            select.set_visibility(bool(options))
        self._table.show(
            page.rows,
            sort=self._asked.sort,
            descending=self._asked.descending,
            chosen=self._chosen,
            empty=_empty(page, self._asked, may_submit=self._identity.may("submit")),
        )
        self._stand(page)

    def _look(self) -> tuple[Page, dict[str, int], dict[Name, list[str]]]:
        index, query = self._context.index, self._asked.query()
        if time.monotonic() >= self._names_stale_at:
            self._names = {name: index.names(name) for name in CHOICES}
            self._names_stale_at = time.monotonic() + NAMES_S
        names = {name: list(options) for name, options in self._names.items()}
        return index.query(query), index.counts(query.hosts), names

    def _stand(self, page: Page) -> None:
        first = len(self._asked.cursors) * LIMIT
        last = first + len(page.rows)
        shown = f"{first + 1:,} to {last:,} of {page.total:,}" if page.rows else ""
        if not page.complete:
            shown += " (older ones are still being read)"
        self._standing.set_text(shown)
        self._back.set_enabled(bool(self._asked.cursors))
        self._forth.set_enabled(page.next is not None)
        self._bulk.set_visibility(bool(self._chosen))
        self._bulk_label.set_text(f"{len(self._chosen)} chosen:")


def _sort(name: str | None) -> Sort:
    return next((sort for sort in SORTS if sort == name), DEFAULT_SORT)


def _empty(page: Page, asked: Asked, *, may_submit: bool) -> str:
    if not page.complete:
        return "The tasks are being read for the first time."
    if asked.text or asked.state != "all" or asked.choices:
        return "No task is like that."
    return "No task yet: drop a JSON file here, or press n." if may_submit else "No task yet."


def register(context: Context) -> None:
    """Declare the page."""

    @frame.route("/tasks")
    async def tasks(request: Request) -> None:
        with frame.shown(context, request, "Tasks") as page:
            drawn = TasksPage(page, Asked.of(request))
            await drawn.refresh()
            page.on_change(drawn.refresh)
