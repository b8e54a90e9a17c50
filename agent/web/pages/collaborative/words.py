"""Figures, states and kinds in the words and marks of these pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from agent.web.pages.frame import ASSETS, STATIC, text

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


def style() -> None:
    """Load the style sheet of these pages, once a page."""
    stamp = int((STATIC / "collab.css").stat().st_mtime)
    ui.add_head_html(f'<link rel="stylesheet" href="{ASSETS}/collab.css?{stamp}">')


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


def moment(iso: str | None) -> TextElement:
    """Draw a time that the browser shows in its own zone."""
    shown = text("time", (iso or "")[:16].replace("T", " "))
    marked(shown, datetime=iso or "", data_ago="")
    return shown


def question_of(run: Mapping[str, Any]) -> str:
    """Return what a run is about, before its files say it by its id."""
    question = run.get("question") or {}
    return str(question.get("text") or run["task_id"])
