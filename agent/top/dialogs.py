"""What stands in front of the list for a moment: a question, an answer to write, a text to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class Ask(ModalScreen[bool]):
    """A question that is answered with y or n; anything else is no answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("n,q,escape", "dismiss(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._question))
            yield Static(Text("y  yes     n  no", "dim"))


class Reply(ModalScreen[str | None]):
    """A line to write; None when the person left it."""

    AUTO_FOCUS = "#reply"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "leave")]

    def __init__(self, title: str, question: str) -> None:
        super().__init__()
        self._title = title
        self._question = question

    def compose(self) -> ComposeResult:
        """Show what is asked, and a line to write in."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, "bold"))
            with VerticalScroll(classes="question", can_focus=False):
                yield Static(Text(self._question))
            yield Input(placeholder="your answer", compact=True, id="reply")
            yield Static(Text("Enter  send it     Esc  leave without an answer", "dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send it."""
        self.dismiss(event.value)


class Reader(ModalScreen[None]):
    """A text that may be longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss(None)", "back"),
        Binding("up,k", "turn(-1)", "up"),
        Binding("down,j", "turn(1)", "down"),
        Binding("pageup", "turn_page(-1)", "page up"),
        Binding("pagedown,space", "turn_page(1)", "page down"),
        Binding("home,g", "turn(-1000000000)", "first"),
        Binding("end,G", "turn(1000000000)", "last"),
    ]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Show it."""
        with Vertical(classes="page"):
            yield Static(Text(self._title, "bold reverse", no_wrap=True, overflow="ellipsis"), classes="line")
            with VerticalScroll(id="text", can_focus=False):
                yield Static(self._text)
            yield Static(Text("up, down, PgUp, PgDn  scroll     Esc  back", "dim"), classes="line")

    def action_turn(self, lines: int) -> None:
        """Scroll."""
        self.query_one("#text").scroll_relative(y=lines, animate=False)

    def action_turn_page(self, pages: int) -> None:
        """Scroll by screens."""
        self.action_turn(pages * max(self.query_one("#text").size.height - 1, 1))
