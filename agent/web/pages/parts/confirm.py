"""Asking before something that cannot be taken back."""

from __future__ import annotations

from nicegui import ui

from agent.sanitize import one_line
from agent.web.pages.frame import text


async def confirmed(question: str, consequence: str, yes: str, no: str) -> bool:
    """Ask; False when the person says no or closes the question."""
    with ui.dialog().props('aria-label="Question"') as dialog, ui.card():
        text("h2", one_line(question))
        text("div", one_line(consequence))
        with ui.row().classes("wide").style("justify-content: flex-end"):
            ui.button(no, color=None, on_click=lambda: dialog.submit(result=False)).classes("plain").props(
                "flat"
            )
            ui.button(yes, color=None, on_click=lambda: dialog.submit(result=True)).classes("danger").props(
                "flat autofocus"
            )
    said = await dialog
    dialog.delete()
    return bool(said)
