"""The timeline of a task: when it came, each attempt, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from agent.sanitize import one_line
from agent.web.pages.frame import text
from agent.web.pages.parts.moment import lasted, moment
from agent.web.pages.parts.task_table import label_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GOOD = frozenset({"succeeded"})
GOING_ON = frozenset({"running", "waiting_input", "queued", "deferred"})


def timeline(document: Mapping[str, Any]) -> None:
    """Draw it, from what `agent.service.listing.task` returns."""
    record = document["result"] or document["status"] or {}
    with ui.element("ol").classes("timeline"):
        if record.get("submitted_at"):
            with ui.element("li"):
                text("div", "Submitted")
                moment(record["submitted_at"])
        for attempt in _attempts(document):
            _attempt(attempt)
        if document["next_attempt_at"]:
            with ui.element("li"):
                text("div", "Next attempt")
                moment(document["next_attempt_at"])


def _attempts(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is known of each attempt: records of those that are over, the files of the one that runs."""
    record = document["result"] or document["status"] or {}
    known = {attempt["number"]: attempt for attempt in record.get("attempts", ())}
    for found in document["attempts"]:
        started, ended = found["started"] or {}, found["exit"] or {}
        over = known.pop(found["number"], None)
        yield over or {
            "number": found["number"],
            "state": document["state"] if not ended else "ended",
            "reason": found["damage"] or "",
            "exit_code": ended.get("exit_code"),
            "started_at": started.get("started_at"),
            "finished_at": ended.get("finished_at"),
        }
    yield from known.values()  # their folders are gone, the records tell


def _attempt(attempt: Mapping[str, Any]) -> None:
    state = attempt["state"]
    colour = "good" if state in GOOD else "busy" if state in GOING_ON else "bad" if state != "ended" else ""
    with ui.element("li").classes(colour):
        with ui.element("div").classes("line-of"):
            text("strong", f"Attempt {attempt['number']}")
            text("span", label_of(state), f"chip s-{state}")
        if attempt.get("reason"):
            text("div", one_line(attempt["reason"])).style("overflow-wrap: anywhere")
        code = attempt.get("exit_code")
        said = attempt.get("reason") == f"exit code {code}"
        details = [] if code is None or said else [f"exit code {code}"]
        if attempt.get("signal"):
            details.append(f"signal {attempt['signal']}")
        if attempt.get("started_at") and attempt.get("finished_at"):
            details.append(f"took {lasted(attempt['started_at'], attempt['finished_at'])}")
        if details:
            text("div", ", ".join(details), "muted")
        if attempt.get("started_at"):
            moment(attempt["started_at"], "started ")
