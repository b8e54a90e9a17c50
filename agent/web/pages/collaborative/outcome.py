"""The report of a run, as text; taking it along; and saying how it turned out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import run, ui

from agent.sanitize import one_line, plain
from agent.service import collab
from agent.web.pages.collaborative.words import chip, marked
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.prose import prose
from agent.web.pages.parts.sections import steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.service.collab.labelling import Outcome
    from agent.web.context import Context, Identity


def draw_report(report: str | None) -> None:
    """Draw report.md."""
    if report is None:
        text("p", "The report comes when all have answered.", "empty")
    else:
        prose(report)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a person does with a run: takes it along, and labels it.

    Args:
        host: whose run it is; None for our own workspace.
        changed: called when a label was given.
    """

    context: Context
    identity: Identity
    task_id: str
    host: str | None
    changed: Callable[[], Awaitable[None]]

    async def export_markdown(self) -> None:
        """Hand out report.md."""
        self.identity.require("read")
        workspace = self.context.desk.place(self.host).workspace
        report = await run.io_bound(collab.report_text, workspace, self.task_id)
        if report is None:
            ui.notify("There is no report yet", type="warning")
            return
        ui.download.content(report, f"{self.task_id}.md", "text/markdown")

    async def export_json(self) -> None:
        """Hand out everything of the run as one document."""
        self.identity.require("read")
        workspace = self.context.desk.place(self.host).workspace
        document = await run.io_bound(collab.document_of, workspace, self.task_id)
        content = json.dumps(document, indent=2, ensure_ascii=True) + "\n"
        ui.download.content(content, f"{self.task_id}.json", "application/json")

    def draw_label(self, shown: Mapping[str, Any]) -> None:
        """Draw how the run turned out, and the buttons that say so."""
        label = shown["label"]
        text("h2", "Was it right?")
        if label is None:
            text("p", "Nobody has said yet. It teaches Confidence what it is worth.", "muted small")
        else:
            with ui.element("div").classes("line-of"):
                marked(
                    chip(
                        "right" if label["good"] else "wrong", "plain good" if label["good"] else "plain bad"
                    ),
                    data_label="good" if label["good"] else "bad",
                )
                text("span", f"says {one_line(label['who'])}", "small")
            if label["why"]:
                text("p", plain(label["why"]), "small")
        if self.host is not None or not self.identity.may("operate"):
            where = (
                f"Label it on {self.host}."
                if self.host
                else "Labelling takes a token with the scope operate."
            )
            text("p", where, "muted small")
            return
        why = ui.input("Why (optional)").props("outlined dense").classes("wide")
        with ui.element("div").classes("line-of buttons"):
            for outcome, name in (("good", "Right"), ("bad", "Wrong"), ("none", "Take back")):
                if outcome == "none" and (label is None or label["by"] != "person"):
                    continue
                self._button(outcome, name, why)  # type: ignore[arg-type]

    def _button(self, outcome: Outcome, name: str, why: ui.input) -> None:
        async def say() -> None:
            await self._say(outcome, str(why.value or ""))

        ui.button(name, color=None, on_click=steady(say)).classes("line")

    async def _say(self, outcome: Outcome, why: str) -> None:
        said = await attempt(
            self.identity,
            "operate",
            lambda: collab.label(self.context.desk, self.task_id, outcome, by=self.identity.name, why=why),
        )
        if said is None:
            return
        if said["labelled"] < said["needed"]:
            ui.notify(
                f"{said['labelled']} of {said['needed']} labelled runs: Confidence is uncalibrated until then"
            )
        for name in said["tuned"]:
            ui.notify(f"roles.toml was tuned: {one_line(name)}", type="info")
        if said["problem"]:
            ui.notify(one_line(said["problem"]), type="warning", multi_line=True)
        await self.changed()
