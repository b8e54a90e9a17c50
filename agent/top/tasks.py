"""The list of tasks: draws the lines that are seen, whatever the number of tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from agent.top.rows import HEAD, Columns, cells_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType
    from textual.events import Resize

    from agent.top.rows import Row

STATE_COLUMN: Final = HEAD.index("STATE")
NEAR_THE_END: Final = 50


class TaskTable(Widget, can_focus=True):
    """Tasks, one of which is chosen. The choice stays with its task while others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "move(-1000000000)", "first", show=False),
        Binding("end,G", "move(1000000000)", "last", show=False),
    ]

    class Chosen(Message):
        """Another task is the chosen one, or this one changed."""

    class MoreWanted(Message):
        """The choice comes near the end of what was read."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.has_more = False
        self.empty = ""
        self._at = 0
        self._top = 0
        self._pinned = False
        self._times: tuple[str, ...] = ()

    @property
    def chosen(self) -> Row | None:
        """The chosen task."""
        return self.rows[self._at] if self.rows else None

    @property
    def position(self) -> int:
        """Which one is chosen, from 1; 0 when there is none."""
        return self._at + 1 if self.rows else 0

    def show(self, rows: Sequence[Row], *, has_more: bool, empty: str) -> None:
        """Show these tasks.

        Args:
            rows: in order.
            has_more: whether there are more than these.
            empty: what to say when there is none.
        """
        before, self.has_more, self.empty = self.chosen, has_more, empty
        # nobody went down yet: what stands first is looked at, not what stood first when we began
        key = before.key if before and self._pinned else None
        self.rows = rows
        found = next((at for at, row in enumerate(rows) if row.key == key), None)
        if found is not None:
            self._top += found - self._at if self._top else 0  # it stays where it is on the screen
            self._at = found
        elif self._pinned:
            self._at = min(self._at, max(len(rows) - 1, 0))
        self._settle()
        if self.chosen != before:
            self.post_message(self.Chosen())

    def tick(self) -> None:
        """Draw again when a time that is seen became another one."""
        if self._seen_times() != self._times:
            self.refresh()

    def action_move(self, by: int) -> None:
        """Choose another task, so many lines away."""
        if not self.rows:
            return
        before = self._at
        self._at = min(max(before + by, 0), len(self.rows) - 1)
        self._pinned = self._at > 0
        self._settle()
        if self._at != before:
            self.post_message(self.Chosen())
        if self.has_more and self._at >= len(self.rows) - NEAR_THE_END:
            self.post_message(self.MoreWanted())

    def action_page(self, by: int) -> None:
        """Choose a task one screen away."""
        self.action_move(by * max(self._height - 1, 1))

    def on_resize(self, _event: Resize) -> None:
        """Keep the chosen one in sight."""
        self._settle()

    def render_line(self, y: int) -> Strip:
        """Draw the head, or one task."""
        width, now = self.size.width, datetime.now(UTC)
        seen = self.rows[self._top : self._top + self._height]
        columns = Columns.fitting(seen, width)
        if y == 0:
            self._times = self._seen_times(now)
            return Strip(
                [Segment("".join(columns.line(HEAD, width)), Style(bold=True, underline=True))], width
            )
        if not self.rows:
            return Strip([Segment(self.empty if y == 1 else "")]).adjust_cell_length(width)
        if y > len(seen):
            return Strip.blank(width)
        row = seen[y - 1]
        chosen = self._top + y - 1 == self._at
        line = Style(reverse=chosen, bold=chosen and self.has_focus, dim=row.is_over and not chosen)
        # a Style of its own per cell, never markup: a task's name may hold square brackets
        styles = [line] * len(HEAD)
        styles[STATE_COLUMN] = Style.parse(row.style) + Style(reverse=chosen)
        texts = columns.line(cells_of(row, now), width)
        return Strip([Segment(text, style) for text, style in zip(texts, styles, strict=True) if text], width)

    @property
    def _height(self) -> int:
        return max(self.size.height - 1, 0)

    def _settle(self) -> None:
        lowest = max(self._at - self._height + 1, 0)
        self._top = min(max(self._top, lowest), self._at, max(len(self.rows) - self._height, 0))
        self._top = max(self._top, 0)
        self.refresh()

    def _seen_times(self, now: datetime | None = None) -> tuple[str, ...]:
        return tuple(row.since(now) for row in self.rows[self._top : self._top + self._height])
