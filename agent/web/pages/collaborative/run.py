"""/collab/ID: one run, followed from its question to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui

from agent.sanitize import one_line, plain
from agent.service import collab
from agent.service.errors import ServiceError
from agent.web.pages import frame
from agent.web.pages.collaborative import cards, outcome, scores, words
from agent.web.pages.collaborative.commands import Commands
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import act
from agent.web.pages.parts.moment import moment
from agent.web.pages.parts.sections import Section, Sections, steady

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.context import Context

LOOK_S: Final = 0.5
"""How often the run's folder is looked at: the steps of a run are no change of its task."""
PHASES: Final = ("Plan", "Answers", "Validation", "Consensus", "Execution")


def register(context: Context) -> None:
    """Declare the route."""

    @frame.route("/collab/{task_id}")
    async def one(request: Request, task_id: str, host: str | None = None) -> None:
        with frame.shown(context, request, one_line(task_id)) as page:
            try:
                first = await run.io_bound(collab.run, context.desk, task_id, host)
            except ServiceError as error:
                text("h1", "There is no such run")
                text("p", plain(error.message), "notice bad")
                text("a", "All runs").props('href="/collab"')
                return
            if first is None:
                return  # the server is stopping
            shown = RunPage(context, page, task_id, first["host"])
            shown.draw(first)
            page.on_change(shown.look)
            ui.timer(LOOK_S, shown.look)


@dataclass(slots=True)
class Sights:
    """The parts of the page that change."""

    head: Section
    phases: Section
    cards: Sections
    scores: Section
    matrix: Section
    dissent: Section
    trouble: Section
    commands: Sections
    report: Section
    label: Section


class RunPage:
    """The page of one run in one browser tab.

    Args:
        host: whose run it is; None for our own workspace.
    """

    def __init__(self, context: Context, page: frame.Shown, task_id: str, host: str | None) -> None:
        self.context = context
        self.page = page
        self.task_id = task_id
        self.host = host
        self._seen: object = None
        self._looking = False
        self._commands = Commands(context, page.identity, task_id, host, self.look_again)
        self._ending = outcome.Ending(context, page.identity, task_id, host, self.look_again)

    def draw(self, first: Mapping[str, Any]) -> None:
        """Draw the page, and what is known so far."""
        head = Section(self._head)
        phases = Section(_phases)
        with ui.element("section").classes("wide").props('aria-label="Roles"'):
            text("h2", "Roles", "hidden-text")
            role_cards = Sections(cards.draw, "panel role-card", "role-cards")
        with ui.element("div").classes("columns run-columns"):
            with ui.element("div").classes("stack"):
                with _panel("What they answered"):
                    matrix = Section(scores.draw_matrix)
                with _panel("Commands"):
                    ui.element("a").props('name="commands"')
                    trouble = Section(_trouble)
                    commands = Sections(self._commands.draw, "command-card", "stack")
            with ui.element("div").classes("stack stays"):
                with _panel("How far to trust it"):
                    figures = Section(scores.draw_scores)
                with _panel("Who differs"):
                    dissent = Section(scores.draw_dissent)
                with ui.element("section").classes("panel").props('aria-label="Was it right?"'):
                    label = Section(self._ending.draw_label)
        with _panel("Report"):
            report = Section(outcome.draw_report)
        self._sights = Sights(
            head, phases, role_cards, figures, matrix, dissent, trouble, commands, report, label
        )
        self._show(first, None)

    async def look(self) -> None:
        """Draw what changed, if anything did."""
        if self._looking:
            return
        self._looking = True
        try:
            self.page.identity.require("read")
            seen = await run.io_bound(collab.stamp, self.context.desk, self.task_id, self.host or "here")
            if seen != self._seen:
                await self._read()
                self._seen = seen
        except ServiceError as error:
            # pruned or damaged; or just on its way from one place to another, and there at the next look
            self._sights.trouble.show({"trouble": error.message, "rated": 0, "done": True})
            self._seen = None
        finally:
            self._looking = False

    async def look_again(self) -> None:
        """Draw what a person has just done."""
        self._seen = None
        await self._read()

    async def _read(self) -> None:
        desk, host = self.context.desk, self.host or "here"
        found = await run.io_bound(collab.run, desk, self.task_id, host)
        report = await run.io_bound(collab.report_text, desk.place(self.host).workspace, self.task_id)
        if found is not None:
            self._show(found, report)

    def _show(self, found: Mapping[str, Any], report: str | None) -> None:
        sights = self._sights
        # whether, not where: a button that is drawn anew while it is clicked hears nothing
        names = ("task_id", "state", "reason", "question", "asked")
        waits = sum(row["waits"] for row in found["rated"])
        there = {"folder": found["folder"] is not None, "report": report is not None, "waits": waits}
        sights.head.show({**{name: found[name] for name in names}, **there})
        sights.phases.show({"progress": found["progress"], "state": found["state"], "cards": found["cards"]})
        sights.cards.show({card["role"]: card for card in found["cards"]})
        sights.scores.show(found["scores"])
        sights.matrix.show(found["matrix"])
        counted = ("consensus_percent", "dissent", "said_dissent")
        sights.dissent.show({name: found["scores"][name] for name in counted})
        sights.trouble.show(
            {"trouble": found["trouble"], "rated": len(found["rated"]), "done": report is not None}
        )
        sights.commands.show({str(row["number"]): row for row in found["rated"]})
        sights.report.show(report)
        sights.label.show({"label": found["label"]})

    def _head(self, found: Mapping[str, Any]) -> None:
        question = found["question"] or {}
        with ui.element("div").classes("head run-head"):
            with ui.element("div").classes("grow"):
                words.title(plain(words.question_of(found)))
                with ui.element("div").classes("line-of about"):
                    words.marked(
                        words.chip(found["state"].replace("_", " "), f"s-{found['state']}"),
                        data_run=found["state"],
                    )
                    if question:
                        words.chip(words.KINDS.get(question["type"], question["type"]))
                    for name in ("domain", "host"):
                        if question.get(name):
                            words.chip(f"{name} {one_line(question[name])}")
                    if question.get("rule", "asked for") != "asked for":
                        words.chip(f"handed over by the rule {one_line(question['rule'])}")
                    if question:
                        text("span", f"asked by {one_line(question['asked_by'])}", "muted small")
                        moment(question["asked_at"]).classes("small")
                    words.task_link(found["task_id"], self.host)
            with ui.element("div").classes("line-of buttons"):
                self._buttons(found)
        if found["waits"]:
            many = f"{found['waits']} commands wait" if found["waits"] > 1 else "A command waits"
            with ui.element("p").classes("notice"):
                text("span", f"{many} for a person:")
                text("a", "see Commands").props('href="#commands"')
        elif found["state"] not in {"running", "succeeded"}:
            bad = "bad" if found["state"] in {"failed", "lost", "timed_out"} else "calm"
            text("p", plain(found["asked"] or found["reason"]), f"notice {bad}")

    def _buttons(self, found: Mapping[str, Any]) -> None:
        key = f"{self.host or ''}/{self.task_id}"
        over = found["state"] in {"succeeded", "failed", "timed_out", "cancelled", "lost"}
        if self.page.identity.may("operate"):
            name, word = ("retry", "Ask again") if over else ("cancel", "Cancel")
            ui.button(
                word, color=None, on_click=steady(lambda: act(self.context, self.page.identity, name, [key]))
            ).classes("line")
        if found["report"]:
            ui.button(
                "Markdown", icon="download", color=None, on_click=steady(self._ending.export_markdown)
            ).classes("line")
        if found["folder"]:
            ui.button("JSON", icon="download", color=None, on_click=steady(self._ending.export_json)).classes(
                "line"
            )


def _panel(title: str) -> ui.element:
    panel = ui.element("section").classes("panel")
    words.marked(panel, aria_label=title)
    with panel:
        text("h2", title)
    return panel


def _trouble(found: Mapping[str, Any]) -> None:
    if found["trouble"]:
        text("p", plain(found["trouble"]), "notice bad")
    elif not found["rated"]:
        none = "Nobody proposed a command." if found["done"] else "Commands come with the answers."
        text("p", none, "muted")


def _phases(found: Mapping[str, Any]) -> None:
    """Draw how far the run is: the phases, and what it does now."""
    parts = [part for card in found["cards"] for part in card["parts"]]
    over = found["state"] in {"succeeded", "failed", "timed_out", "cancelled", "lost"}
    reached = max((part["phase"] for part in parts), default=0)
    doing = (found["progress"] or {}).get("doing") or ("over" if over else "not begun")
    if doing.startswith(("waiting for approval", "running command")):
        reached = len(PHASES)
    with ui.element("ol").classes("phases").props('aria-label="Phases"'):
        for number, name in enumerate(PHASES, 1):
            done = number < reached or found["state"] == "succeeded"
            state = "done" if done else "now" if number == reached and not over else "later"
            step = text("li", name, state)
            if state == "now":
                words.marked(step, aria_current="step")
    words.marked(text("p", f"Now: {one_line(doing)}", "muted small"), role="status", data_doing="")
