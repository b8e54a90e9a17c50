"""The pages; each module has `register(context)`, which declares its routes with `frame.route`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.web.context import Context

PAGES: Final[tuple[str, ...]] = ("fleet", "tasks", "task", "collaborative", "chat", "metrics", "audit")
"""Modules of this package, in the order of the rail."""


def register(context: Context) -> None:
    """Declare the routes of every page."""
    from agent.web.pages import frame, sockets  # noqa: PLC0415 - NiceGUI takes a second to import

    frame.serve_static()
    sockets.guard()
    for name in PAGES:
        importlib.import_module(f"{__name__}.{name}").register(context)
