"""/chat: plain answers, handed over to the collaborative pipeline by stated rules, which are shown.

Each question stands alone, as with `aispool ask`. The conversation is kept by the browser, for this tab until
it is closed or logged out: the server has none of it. What was handed over is a run, with its own files.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent.sanitize import one_line
from agent.service import collab
from agent.service.collab import Chatted  # noqa: TC001 - pydantic reads the annotation
from agent.service.errors import ServiceError
from agent.web.pages import frame
from agent.web.pages.collaborative import words
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.asked import why
from agent.web.pages.parts.prose import prose
from agent.web.pages.parts.sections import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.context import Context

LOOK_S: Final = 1.0
MOST_KEPT: Final = 50
"""Exchanges that a reload brings back."""
KEPT_S: Final = 10.0
OVER: Final = frozenset({"succeeded", "failed", "timed_out", "cancelled", "lost", "expired"})


def register(context: Context) -> None:
    """Declare the route."""

    @frame.route("/chat")
    async def chat(request: Request) -> None:
        with frame.shown(context, request, "Chat") as page:
            with ui.element("div").classes("head"):
                text("h1", "Chat")
            text(
                "p",
                "One provider answers each question by itself. A question that is complex, touches the "
                "system or needs a check goes to the collaborative pipeline, by rules that are shown.",
                "muted",
            )
            if page.identity.may("submit"):
                Conversation(context, page).draw()
            else:
                text("p", "Asking takes a token with the scope submit.", "notice calm")


class Exchange(BaseModel):
    """A question, and what became of it: an answer, a run, or why there is none."""

    model_config = ConfigDict(frozen=True)

    question: str
    said: Chatted | None = None
    refused: str = ""


EXCHANGES: Final = TypeAdapter(list[Exchange])


class Conversation:
    """What was asked in this tab."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page
        self.exchanges: list[Exchange] = []
        self.kept_as = json.dumps(f"aispool-chat {page.identity.name}")

    def draw(self) -> None:
        """Draw the conversation, and the field below it."""
        self.log = ui.element("div").classes("chat-log").props('role="log" aria-label="Conversation"')
        with ui.element("form").classes("panel chat-form").props('aria-label="Ask"') as form:
            form.on("submit.prevent", self._send)
            self.field = (
                ui.textarea("Your question").props("outlined autogrow rows=1 autofocus").classes("wide")
            )
            # Enter sends, Shift+Enter begins a line
            self.field.on("keydown.enter.exact.prevent", self._send)
            with ui.element("div").classes("line-of buttons"):
                self.button = ui.button("Ask", icon="send", color=None).classes("main").props('type="submit"')
                self.plain = ui.checkbox("Never hand over")
                text("span", "Enter asks, Shift+Enter begins a new line", "muted small")
        ui.timer(0, self._restore, once=True)

    async def _restore(self) -> None:
        """Draw what was said in this tab before it was loaded again."""
        try:
            kept = await ui.run_javascript(f"return sessionStorage.getItem({self.kept_as})", timeout=KEPT_S)
            exchanges = EXCHANGES.validate_json(kept or "[]")
        except (TimeoutError, ValidationError):
            return  # the browser is gone, or keeps what another version wrote
        if self.exchanges:
            return  # somebody was quicker
        self.exchanges = exchanges
        for exchange in exchanges:
            self._show(exchange, self._ask(exchange.question))

    def _keep(self, exchange: Exchange) -> None:
        self.exchanges = [*self.exchanges, exchange][-MOST_KEPT:]
        kept = json.dumps(EXCHANGES.dump_json(self.exchanges).decode())
        ui.run_javascript(f"try {{ sessionStorage.setItem({self.kept_as}, {kept}) }} catch {{ }}")

    def _ask(self, question: str) -> ui.element:
        """Draw a question, and return where its answer comes."""
        with self.log:
            with ui.element("div").classes("bubble mine"):
                text("p", question, "said")
            return ui.element("div").classes("bubble theirs")

    def _show(self, exchange: Exchange, answer: ui.element) -> None:
        answer.clear()
        with answer:
            if exchange.said is None:
                text("p", f"Nobody answered: {exchange.refused}", "bad-text")
            elif exchange.said.task_id is None:
                _plain(exchange.said)
            else:
                self._handed_over(exchange.said)

    async def _send(self) -> None:
        question = str(self.field.value or "").strip()
        if not question or not self.button.enabled:
            return
        self.field.set_value("")
        self.button.disable()
        answer = self._ask(question)
        with answer:
            ui.spinner(size="1.2em").props('aria-label="asking"')
        ask = partial(
            collab.chat,
            self.context.desk,
            question,
            by=self.page.identity.name,
            plain=bool(self.plain.value),
        )
        refused: list[str] = []
        try:
            said = await attempt(self.page.identity, "submit", ask, refused.append)
        finally:
            self.button.enable()
        exchange = Exchange(question=question, said=said, refused=" ".join(refused))
        self._show(exchange, answer)
        self._keep(exchange)
        # nobody waits for the browser: the tab may be closed by now
        ui.run_javascript(
            "document.querySelector('.chat-log > :last-child')?.scrollIntoView({block: 'nearest'})"
        )

    def _handed_over(self, said: Chatted) -> None:
        with ui.element("div").classes("line-of"):
            words.chip("handed over", "plain s-running")
            found = next(each["why"] for each in said.why["rules"] if each["rule"] == said.why["rule"])
            text("span", f"by the rule {one_line(said.why['rule'])}: {one_line(found)}")
        why(said.why)
        for warning in said.warnings:
            text("p", one_line(warning), "notice")
        standing = Section(_standing)
        task_id = str(said.task_id)

        async def look() -> None:
            try:
                found = await run.io_bound(collab.run, self.context.desk, task_id, "here")
            except ServiceError as error:
                standing.show({"task_id": task_id, "trouble": error.message})
                return
            if found is None:
                return
            standing.show(_short(found))
            if found["state"] in OVER:
                timer.cancel()

        timer = ui.timer(LOOK_S, look)


def _plain(said: Chatted) -> None:
    prose(said.text or "")
    usage = said.usage or {}
    tokens = f"{words.amount(usage.get('input_tokens'))} + {words.amount(usage.get('output_tokens'))} tokens"
    who = " · ".join(filter(None, (said.provider, said.model)))
    text("p", f"{one_line(who)} · {tokens}", "muted small")
    why(said.why)


def _short(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a run what the conversation shows."""
    integration = (found["report"] or {}).get("integration") or {}
    return {
        "task_id": found["task_id"],
        "state": found["state"],
        "doing": (found["progress"] or {}).get("doing"),
        "reason": found["reason"],
        "summary": integration.get("summary"),
        "consensus": found["scores"]["consensus_percent"],
        "confidence": found["scores"]["confidence_percent"],
        "calibrated": found["scores"]["calibrated"],
        "dissent": len(found["scores"]["dissent"]),
        "waits": sum(row["waits"] for row in found["rated"]),
    }


def _standing(found: Mapping[str, Any]) -> None:
    if found.get("trouble"):
        text("p", one_line(found["trouble"]), "bad-text")
        return
    with ui.element("div").classes("line-of"):
        state = found["state"]
        words.marked(words.chip(state.replace("_", " "), f"s-{state}"), data_run=state)
        if found["summary"] is None:
            text("span", one_line(found["doing"] or found["reason"]), "muted small")
        else:
            text("span", f"Consensus {words.percent(found['consensus'])}", "small")
            text("span", f"Confidence {words.percent(found['confidence'])}", "small")
            if found["calibrated"] is False:
                words.chip("uncalibrated", "warn")
            if found["dissent"]:
                words.chip("dissent", "warn")
        if found["waits"]:
            words.chip(
                f"{found['waits']} commands wait" if found["waits"] > 1 else "a command waits",
                "s-waiting_input",
            )
    if found["summary"] is not None:
        prose(found["summary"])
    link = text("a", "Follow it" if found["summary"] is None else "The whole run")
    words.marked(link, href=words.run_address(found["task_id"]))
