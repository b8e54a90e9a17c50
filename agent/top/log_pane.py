"""The end of a log: its colours, and nothing else that a tool sent to a terminal."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final

from rich.ansi import AnsiDecoder
from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.strip import Strip
from textual.widget import Widget

from agent.sanitize import Plain

if TYPE_CHECKING:
    from textual.binding import BindingType
    from textual.events import Resize

MOST_LINES: Final = 5000
"""What can be scrolled back to; `aispool logs` prints all."""
LONGEST_LINE: Final = 4096
"""Characters; a longer line goes on in the next."""
VISIBLE: Final = Style(conceal=False, blink=False)
"""A tool may colour its text, but not hide it."""


class LogPane(Widget, can_focus=True):
    """The last lines of what a task printed; follows them while it is scrolled to the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(1)", "up", show=False),
        Binding("down,j", "scroll_by(-1)", "down", show=False),
        Binding("pageup", "scroll_page(1)", "page up", show=False),
        Binding("pagedown", "scroll_page(-1)", "page down", show=False),
        Binding("home,g", "scroll_by(1000000000)", "first", show=False),
        Binding("end,G", "scroll_by(-1000000000)", "follow", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.begin("")

    def begin(self, note: str) -> None:
        """Forget everything, and say something until there is a line."""
        self._note = note
        self._plain, self._decoder = Plain(colours=True), AnsiDecoder()
        self._lines: deque[Text] = deque(maxlen=MOST_LINES)
        self._strips: deque[Strip] = deque(maxlen=MOST_LINES)
        self._open_text = ""
        self._open_strips: list[Strip] = []
        self._back = 0
        self.refresh()

    def feed(self, piece: bytes) -> None:
        """Add what was printed since; an empty piece says that nothing will follow."""
        before = len(self._strips) + len(self._open_strips)
        text = self._open_text + (self._plain.feed(piece) if piece else self._plain.end())
        *whole, rest = text.split("\n")
        for line in whole:
            for part in _parts(line):
                self._add(self._decoded(part))
        *long, self._open_text = _parts(rest)
        for part in long:
            self._add(self._decoded(part))
        # an open line is decoded again when it has grown: what it does to the colours must not count twice
        style = self._decoder.style
        self._open_strips = self._wrapped(self._decoded(self._open_text)) if self._open_text else []
        self._decoder.style = style
        if self._back:
            self._back += len(self._strips) + len(self._open_strips) - before
        self._keep_in_range()
        self.refresh()

    @property
    def is_following(self) -> bool:
        """Tell whether the newest line is seen."""
        return self._back == 0

    def action_scroll_by(self, lines: int) -> None:
        """Look further back; less than nothing is forward."""
        self._back += lines
        self._keep_in_range()
        self.refresh()

    def action_scroll_page(self, by: int) -> None:
        """Look one screen further back or forward."""
        self.action_scroll_by(by * max(self.size.height - 1, 1))

    def on_resize(self, event: Resize) -> None:
        """Wrap the lines anew."""
        del event
        self._strips.clear()
        for line in self._lines:
            self._strips.extend(self._wrapped(line))
        style = self._decoder.style
        self._open_strips = self._wrapped(self._decoded(self._open_text)) if self._open_text else []
        self._decoder.style = style
        self._keep_in_range()

    def render_line(self, y: int) -> Strip:
        """Draw one line; the newest stands at the bottom once the pane is full."""
        width, height = self.size.width, self.size.height
        count = len(self._strips) + len(self._open_strips)
        if not count:
            note = Text(self._note if y == 0 else "", Style(dim=True))
            return Strip(note.render(self.app.console)).adjust_cell_length(width)
        at = max(count - height - self._back, 0) + y
        if at >= count:
            return Strip.blank(width)
        closed = len(self._strips)
        strip = self._strips[at] if at < closed else next(islice(self._open_strips, at - closed, None))
        return strip.adjust_cell_length(width)

    def _add(self, line: Text) -> None:
        self._lines.append(line)
        self._strips.extend(self._wrapped(line))

    def _decoded(self, line: str) -> Text:
        text = self._decoder.decode_line(line)
        text.expand_tabs(8)
        text.stylize(VISIBLE)
        return text

    def _wrapped(self, line: Text) -> list[Strip]:
        width = self.size.width
        if not width:
            return []
        strip = Strip([segment for segment in line.render(self.app.console) if segment.text != "\n"])
        if strip.cell_length <= width:
            return [strip]
        return list(strip.divide([*range(width, strip.cell_length, width), strip.cell_length]))

    def _keep_in_range(self) -> None:
        count = len(self._strips) + len(self._open_strips)
        self._back = min(max(self._back, 0), max(count - self.size.height, 0))


def _parts(line: str) -> list[str]:
    """Cut a line that has no end; the last part may be empty only when the line is."""
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE)] or [""]
