"""Times on a page: how long ago in the reader's own words, the exact local time as the title."""

from __future__ import annotations

from datetime import datetime

from nicegui.element import Element

from agent.amounts import span


class Moment(Element, component="moment.js"):
    """A time; `at` is ISO 8601."""

    def __init__(self, at: str, prefix: str) -> None:
        super().__init__()
        self._props["at"] = at
        self._props["prefix"] = prefix


def moment(at: str, prefix: str = "") -> Moment:
    """Show a time."""
    return Moment(at, prefix)


def lasted(begin: str, end: str) -> str:
    """Return the time between two moments, as people read it."""
    return span((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
