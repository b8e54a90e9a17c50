"""The question of a tool that waits for a person, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from agent.sanitize import plain
from agent.service import actions
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt, tell

if TYPE_CHECKING:
    from agent.web.context import Context, Identity

MAX_QUESTION_CHARS = 8000


class Answering:
    """A question with a field for the answer; what a person has begun to type stays when the page changes."""

    def __init__(self, context: Context, identity: Identity, task_id: str, host: str) -> None:
        self._context = context
        self._identity = identity
        self._task_id = task_id
        self._host = host
        self._box = ui.element("section").classes("panel stack").props('aria-label="Question"')
        with self._box:
            text("h2", "It asks").style("margin: 0")
            self._question = text("pre", "", "text")
            if identity.may("operate"):
                with ui.element("div").classes("line-of wide"):
                    self._answer = (
                        ui.textarea("Your answer")
                        .props("outlined dense autogrow")
                        .classes("grow")
                        .on("keydown.enter.exact.prevent", self._send)
                    )
                    ui.button("Answer", color=None, on_click=self._send).classes("main").props("unelevated")
                text("div", "Enter sends it, Shift+Enter begins a new line.", "muted")
        self._box.style("border-color: var(--warn)")
        self._box.set_visibility(False)

    def show(self, question: str | None) -> None:
        """Show a question, or nothing when the task asks nothing."""
        self._box.set_visibility(question is not None)
        if question is not None:
            self._question.set_text(plain(question)[:MAX_QUESTION_CHARS])

    async def _send(self) -> None:
        said = await attempt(
            self._identity,
            "operate",
            lambda: actions.answer(
                self._context.desk,
                self._task_id,
                self._answer.value or "",
                host=self._host,
                by=self._identity.name,
            ),
        )
        if said is not None:
            self._answer.value = ""
            tell(said)
