"""What a person asks for the chosen task: done in a thread, and said in one line.

A request is what the command line does, through `agent.service.actions`. The task is named with its host,
so that a list which moved meanwhile makes no other task the one that is meant.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from textual.app import App
from textual.message import Message

from agent.sanitize import one_line
from agent.service import actions
from agent.service.listing import task
from agent.service.places import HERE, Desk
from agent.top import describing
from agent.top.attaching import Guest, words_for
from agent.top.dialogs import Ask, Reader, Reply
from agent.top.feed import READING
from agent.top.headline import WAITING
from spool.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.text import Text

    from agent.service.actions import Said
    from agent.top.rows import Row

LEAVE_S: Final = 2.0
"""How long an unfinished request is waited for at the end."""


class Done(Message):
    """What was asked for is done, or is not.

    Args:
        then: for the answer, on the app's own thread.
        outcome: the answer, or the exception.
    """

    def __init__(self, then: Callable[[Any], None], outcome: object) -> None:
        super().__init__()
        self.then = then
        self.outcome = outcome


class AskingApp(App[None]):
    """An app with a chosen task, of which things can be asked.

    Args:
        root: of the workspace.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(ansi_color=True)
        self.root = root
        self.guest = Guest()
        self._requests: list[threading.Thread] = []

    @property
    @abstractmethod
    def chosen(self) -> Row | None:
        """The chosen task."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show one line to the person."""

    def read(self, title: str, text: Text) -> None:
        """Show a text until the person has read it."""
        self.push_screen(Reader(title, text))

    def do(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do something slow in a thread, and go on with its answer."""

        def run() -> None:
            try:
                outcome = work()
            except Exception as error:  # noqa: BLE001 - on_done tells what a person can mend from a bug
                outcome = error
            self.post_message(Done(then, outcome))

        self._requests = [request for request in self._requests if request.is_alive()]
        request = threading.Thread(target=run, name="request", daemon=True)
        self._requests.append(request)
        request.start()

    def on_done(self, message: Done) -> None:
        """Go on, or say why not."""
        if isinstance(message.outcome, (*READING, RequestError)):
            self.say(str(message.outcome))
        elif isinstance(message.outcome, Exception):
            raise message.outcome
        else:
            message.then(message.outcome)

    def finish_requests(self) -> None:
        """Let a request that is being written come to its end, if the disk lets it."""
        for request in self._requests:
            request.join(LEAVE_S)

    def action_details(self) -> None:
        """Show all that is known of the task."""
        if row := self.chosen:
            self.do(
                lambda: task(Desk(self.root), row.task_id, row.host or HERE),
                lambda found: self.read(row.shown_id, describing.details(found)),
            )

    def action_help(self) -> None:
        """Show what the keys do."""
        self.read("aispool top", describing.help_text())

    def action_attach(self) -> None:
        """Give the terminal to the task's session until the person leaves it."""
        row = self.chosen
        if row is None:
            return
        if row.is_over:
            self.say(f"{row.shown_id} is over: its log is below")
            return
        with self.suspend():
            code = self.guest.run(words_for(self.root, row))
        self.say(f"{row.shown_id}: back from its session" if code == 0 else f"{row.shown_id}: not attached")

    def action_cancel(self) -> None:
        """Ask, then cancel the task."""
        row = self.chosen
        if row is None or row.is_over:
            self.say(f"{row.shown_id} is over already" if row else "no task is chosen")
            return
        self._ask_first(f"Cancel {_named(row)}? It is {row.state}.", actions.cancel, row)

    def action_retry(self) -> None:
        """Ask, then run the task again."""
        row = self.chosen
        if row is None or not row.is_over:
            self.say(f"{row.shown_id} is not over: it is {row.state}" if row else "no task is chosen")
            return
        self._ask_first(f"Run {_named(row)} again? It {row.state}.", actions.retry, row)

    def action_hold(self) -> None:
        """Hold the task while it waits; release it when it is held."""
        row = self.chosen
        if row is None or (row.state not in WAITING):
            self.say(f"{row.shown_id} does not wait: it is {row.state}" if row else "no task is chosen")
            return
        self._request(actions.release if row.state == "held" else actions.hold, row)

    def action_answer(self) -> None:
        """Let the person write an answer to what the task asks."""
        row = self.chosen
        if row is None or row.state != "waiting_input":
            self.say(f"{row.shown_id} asks nothing: it is {row.state}" if row else "no task is chosen")
            return

        def answer(text: str | None) -> None:
            if text is not None:
                self._request(partial(actions.answer, text=text), row)

        self.push_screen(Reply(f"{_named(row)} asks", row.question), answer)

    def _ask_first(self, question: str, action: Callable[..., Said], row: Row) -> None:
        self.push_screen(Ask(question), lambda yes: self._request(action, row) if yes else None)

    def _request(self, action: Callable[..., Said], row: Row) -> None:
        def said(answer: Said) -> None:
            warning = f" ({answer.warning})" if answer.warning else ""
            self.say(f"{row.shown_id}: {answer.said}{warning}")

        self.do(lambda: action(Desk(self.root), row.task_id, host=row.host or HERE), said)


def _named(row: Row) -> str:
    return f"{row.shown_id} on {one_line(row.host)}" if row.host else row.shown_id
