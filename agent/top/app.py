"""What is on the screen, and which key does what.

Nothing here reads the disk: `Feed` and `Tail` do that in threads of their own and tell when there is
something new.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, ClassVar, Final

from rich.text import Text
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input, Static

from agent.sanitize import one_line
from agent.top import headline
from agent.top.asking import AskingApp
from agent.top.attaching import STDIN
from agent.top.feed import Feed
from agent.top.filtering import parse
from agent.top.log_pane import LogPane
from agent.top.tail import Tail
from agent.top.tasks import TaskTable

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.events import Key, Resize
    from textual.widget import Widget

    from agent.top.rows import Row

TICK_S: Final = 1.0
SMALL_ROWS: Final = 14
"""Below this height the log has no room beside the list."""

CSS: Final = """
.line { height: 1; }
#hosts { height: auto; max-height: 3; }
#tasks { height: 3fr; min-height: 2; }
#log { height: 2fr; min-height: 1; }
#filter { display: none; }
.zoomed #tasks, .zoomed #hosts { display: none; }
.closed #log, .closed #rule { display: none; }
ModalScreen { align: center middle; background: transparent; }
.dialog { width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; }
.dialog { border: ascii ansi_default; }
.question { height: auto; max-height: 12; }
.page { width: 100%; height: 100%; }
#text { height: 1fr; }
#reply { margin: 1 0; }
"""


class Fresh(Message):
    """A thread has something new."""


class TopApp(AskingApp):
    """All tasks of all hosts.

    Args:
        root: of the workspace.
        host: only this one; None for all, `here` for our own workspace.
    """

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = "TaskTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "quit", "leave", priority=True),
        Binding("q", "quit", "leave"),
        # in the filter they still choose a task
        Binding("up", "move(-1)", "up"),
        Binding("down", "move(1)", "down"),
        Binding("pageup", "page(-1)", "page up"),
        Binding("pagedown", "page(1)", "page down"),
        Binding("question_mark,f1", "help", "help"),
        # before anything else, so that what is typed behind it is not taken for commands
        Binding("slash", "filter", "filter", priority=True),
        Binding("escape", "everything", "all tasks"),
        Binding("enter,d", "details", "details"),
        Binding("a", "attach", "attach"),
        Binding("w", "answer", "answer"),
        Binding("c,x", "cancel", "cancel"),
        Binding("h", "hold", "hold, release"),
        Binding("r", "retry", "retry"),
        Binding("l", "log", "log"),
        Binding("o", "hosts", "hosts"),
        Binding("ctrl+l", "redraw", "redraw"),
        Binding("ctrl+z", "suspend_process", "stop"),
    ]

    def __init__(self, root: Path, host: str | None = None) -> None:
        super().__init__(root)
        self.theme = "ansi-dark"
        self.failure: Exception | None = None
        self._hosts = (host,) if host else ()
        self._feed = Feed(root, self._hosts, self._tell)
        self._tail = Tail(root, self._tell)
        self._said = ""
        self._followed: Row | None = None
        self._serial = 0
        self._is_laid_out = False
        self._log_size = "half"

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="head", classes="line")
        yield Static(id="hosts")
        yield TaskTable(id="tasks")
        yield Static(id="rule", classes="line")
        yield LogPane(id="log")
        yield Input(
            placeholder="words state:failed host:NAME tool:NAME label:NAME", compact=True, id="filter"
        )
        yield Static(id="foot", classes="line")

    def on_mount(self) -> None:
        """Begin to look."""
        self._tasks = self.query_one(TaskTable)
        self._pane = self.query_one(LogPane)
        self._typed = self.query_one("#filter", Input)
        self._feed.start()
        self._tail.start()
        self.set_interval(TICK_S, self._tick)
        self._is_laid_out = True
        self._lay_out(self.size.height)
        self._draw()

    def on_unmount(self) -> None:
        """Let the threads go."""
        self._feed.stop()
        self._tail.stop()
        self.finish_requests()

    @property
    def chosen(self) -> Row | None:
        """The chosen task."""
        return self._tasks.chosen

    def say(self, text: str) -> None:
        """Show one line at the bottom, until the next key."""
        self._said = one_line(text)
        self._draw()

    def on_key(self, _event: Key) -> None:
        """Take away what was said: it was read."""
        if self._said:
            self._said = ""
            self._draw()

    def on_fresh(self, _message: Fresh) -> None:
        """Show what the threads found."""
        failure = self._feed.failure or self._tail.failure
        if failure is not None:
            raise failure
        for piece in self._tail.take():
            if piece.serial != self._serial:
                continue
            if piece.begins:
                self._pane.begin(piece.note)
            if piece.content is not None:
                self._pane.feed(piece.content)
        seen = self._feed.latest
        self._tasks.show(seen.rows, has_more=seen.has_more, empty=headline.nothing(seen, self._typed.value))
        self._draw()

    def on_descendant_focus(self) -> None:
        """Name the keys that do something there."""
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Give the log no room where there is none."""
        if self._is_laid_out:
            self._lay_out(event.size.height)
            self._draw()

    def on_task_table_chosen(self) -> None:
        """Show the log of another task, or of one that runs now or again."""
        row, before = self._tasks.chosen, self._followed
        self._followed = row
        if row is None or before is None or row.key != before.key or _begins_anew(before, row):
            self._pane.begin("")
            self._serial = self._tail.follow(row)
        self._draw()

    def on_task_table_more_wanted(self) -> None:
        """Read further down."""
        self._feed.want_more()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the person types."""
        if event.input is self._typed:
            self._feed.look(parse(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, filtered."""
        if event.input is self._typed:
            self._typed.display = bool(event.value)
            self._give_keys_to(self._tasks)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave a slash to whoever writes a text."""
        if action == "filter" and (len(self.screen_stack) > 1 or isinstance(self.focused, Input)):
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """Let the person type what is looked for."""
        self._said = ""
        self._typed.display = True
        self._give_keys_to(self._typed)

    def action_everything(self) -> None:
        """Show everything again, as it was at the beginning."""
        self._typed.value = ""
        self._typed.display = False
        self._log_size = "half"
        self._lay_out(self.size.height)
        self._give_keys_to(self._tasks)

    def action_log(self) -> None:
        """Give the log all of the screen, none of it, or its part again."""
        self._log_size = {"half": "all", "all": "none", "none": "half"}[self._log_size]
        self._lay_out(self.size.height)

    def action_move(self, by: int) -> None:
        """Choose another task."""
        self._tasks.action_move(by)

    def action_page(self, by: int) -> None:
        """Choose a task one screen away."""
        self._tasks.action_page(by)

    def action_hosts(self) -> None:
        """Show how the hosts are."""
        self.read("hosts", headline.all_hosts(self._feed.latest))

    def action_redraw(self) -> None:
        """Draw everything again: something else wrote on this terminal."""
        self.refresh(repaint=True, layout=True)

    def end(self, code: int) -> None:
        """End everything; for a signal's handler, whatever else goes on."""
        self.guest.end()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self.exit(return_code=code))

    def _tick(self) -> None:
        # Textual reads a terminal that is gone for ever, and as fast as it can
        if not self.is_headless and not os.isatty(STDIN):
            os.kill(os.getpid(), signal.SIGHUP)
        self._tasks.tick()

    def _handle_exception(self, error: Exception) -> None:
        self.failure = self.failure or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # Textual would print the traceback with the value of every variable; `failure` is for who runs us
        self._close_messages_no_wait()

    def _tell(self) -> None:
        self.post_message(Fresh())

    def _give_keys_to(self, widget: Widget) -> None:
        # `focus` does it some time later
        self.screen_stack[0].set_focus(widget)

    def _lay_out(self, height: int) -> None:
        size = self._log_size
        if height < SMALL_ROWS and size == "half":
            size = "none"
        self.screen_stack[0].set_class(size == "all", "zoomed")
        self.screen_stack[0].set_class(size == "none", "closed")
        self._give_keys_to(self._pane if size == "all" else self._tasks)

    def _draw(self) -> None:
        seen, row, width = self._feed.latest, self._tasks.chosen, self.size.width
        following = self._pane.is_following
        self._set("#head", headline.head(self.root, self._hosts, seen, width))
        self._set("#hosts", headline.hosts(seen, width))
        self._set("#rule", headline.rule(row, self._tasks.position, seen, width, following=following))
        keys = headline.TYPING if self._typed.has_focus else headline.keys(row, width)
        self._set("#foot", Text(self._said, "bold") if self._said else keys)

    def _set(self, name: str, text: Text) -> None:
        line = self.screen_stack[0].query_one(name, Static)
        if line.content != text:
            line.update(text)


def _begins_anew(before: Row, row: Row) -> bool:
    """Tell whether a log that had come to its end, or was not there, is written now."""
    waited = before.state in headline.WAITING and row.state not in headline.WAITING
    return waited or (before.is_over and not row.is_over)
