"""Figures, states and kinds in the words and marks of these pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from nicegui import ui

from agent.sanitize import one_line
from agent.web.pages.frame import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nicegui.element import Element
    from nicegui.elements.mixins.text_element import TextElement

NOTHING: Final = "-"
"""Stands where there is nothing to show."""

KINDS: Final = {
    "system_analysis": "System analysis",
    "problem_solving": "Problem solving",
    "performance": "Performance",
    "security": "Security",
    "code_review": "Code review",
    "general": "General",
    "review": "Review of a result",
}
ICONS: Final = {
    "coordinator": "hub",
    "analyst": "troubleshoot",
    "executor": "terminal",
    "innovator": "lightbulb",
    "validator": "verified_user",
}
STATES: Final = {"waiting": "waiting", "running": "working", "ok": "done", "failed": "failed"}
CHIPS: Final = {"running": "s-running", "ok": "s-succeeded", "failed": "s-failed", "waiting": ""}
DECISIONS: Final = {
    "allow": ("good", "may run by itself"),
    "ask": ("warn", "asks a person"),
    "deny": ("bad", "denied"),
}


def title(content: str) -> None:
    """Draw the title of a page of the pipeline, with its mark."""
    with ui.element("div").classes("titled"):
        ui.icon("handshake").props("aria-hidden=true")
        text("h1", content)


def chip(content: object, classes: str = "plain") -> TextElement:
    """Draw a small mark with a word."""
    return text("span", content, f"chip {classes}")


def marked(element: Element, **attributes: object) -> Element:
    """Give an element attributes: their values come from models, and are nothing but values here."""
    for name, value in attributes.items():
        element.props[name.replace("_", "-")] = str(value)
    return element


def percent(value: float | None) -> str:
    """Return a percentage as a person reads it."""
    return "n/a" if value is None else f"{value:.0f}%"


def amount(value: int | None) -> str:
    """Return a number of tokens."""
    return NOTHING if value is None else f"{value:,}"


def took(seconds: float | None) -> str:
    """Return how long something took."""
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def task_link(task_id: str, host: str | None = None) -> TextElement:
    """Draw a link to the page of a task."""
    link = text("a", one_line(task_id), "mono small")
    where = f"?host={quote(host)}" if host else ""
    marked(link, href=f"/task/{quote(task_id, safe='')}{where}", aria_label=f"Task {one_line(task_id)}")
    return link


def run_address(task_id: str, host: str | None = None) -> str:
    """Return the address of the page of a run."""
    where = f"?host={quote(host)}" if host else ""
    return f"/collab/{quote(task_id, safe='')}{where}"


def question_of(run: Mapping[str, Any]) -> str:
    """Return what a run is about, before its files say it by its id."""
    question = run.get("question") or {}
    return str(question.get("text") or run["task_id"])
