"""Why a question is handed over to the pipeline, or is not: each rule, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from agent.web.pages.frame import text

if TYPE_CHECKING:
    from collections.abc import Mapping


def why(found: Mapping[str, Any]) -> None:
    """Draw what `agent.service.collab.explaining.why` returns."""
    with ui.element("details").classes("more"):
        looked = len(found["rules"])
        text("summary", f"Why: {looked} rule{'' if looked == 1 else 's'} looked at it, in this order")
        with ui.element("ol").classes("rules"):
            for each in found["rules"]:
                fired = each["rule"] == found["rule"]
                with ui.element("li").classes("fired" if fired else ""):
                    text("strong", each["rule"])
                    text("span", f" {each['why']}" + (" (this one decided)" if fired else ""))
                    if each["about"]:
                        text("div", each["about"], "muted")
