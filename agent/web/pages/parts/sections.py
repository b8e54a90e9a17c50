"""Parts of a page that are drawn anew only when what they show has changed.

What a person opened, chose or began to type elsewhere on the page stays as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def steady(work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Return a handler that ends well even when the part with its button is drawn anew meanwhile."""

    async def handler() -> None:
        with ui.context.client:
            await work()

    return handler


class Section:
    """One part, in the place where it is made.

    Args:
        draw: draws it, from what it shows.
        classes: of the element around it.
    """

    def __init__(self, draw: Callable[[Any], None], classes: str = "wide") -> None:
        self._draw = draw
        self._shown: str | None = None
        self.element = ui.element("div").classes(classes)

    def show(self, what: Any) -> None:
        """Draw it, unless it shows just this."""
        now = json.dumps(what, sort_keys=True, default=str)
        if now == self._shown:
            return
        self._shown = now
        self.element.clear()
        with self.element:
            self._draw(what)


class Sections:
    """One part for each of several things, in their order.

    Args:
        draw: draws one thing.
        classes: of the element around each.
    """

    def __init__(self, draw: Callable[[Any], None], classes: str, around: str = "wide") -> None:
        self._draw = draw
        self._classes = classes
        self._parts: dict[str, Section] = {}
        self.element = ui.element("div").classes(around)

    def show(self, things: dict[str, Any]) -> None:
        """Draw those that changed; those that are gone go."""
        if list(self._parts) != [name for name in things if name in self._parts]:
            self._parts = {}
            self.element.clear()
        for name, thing in things.items():
            if name not in self._parts:
                with self.element:
                    self._parts[name] = Section(self._draw, self._classes)
            self._parts[name].show(thing)
