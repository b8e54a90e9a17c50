"""The log pane, given what no terminal should be given."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App

from agent.top.log_pane import LONGEST_LINE, MOST_LINES, LogPane

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip


class PaneApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LogPane(id="log")


def drawn(pieces: list[bytes], width: int = 40, height: int = 8, keys: tuple[str, ...] = ()) -> list[Strip]:
    async def draw() -> list[Strip]:
        app = PaneApp(ansi_color=True)
        async with app.run_test(size=(width, height)) as pilot:
            pane = app.query_one(LogPane)
            for piece in pieces:
                pane.feed(piece)
            await pilot.press(*keys)
            return [pane.render_line(y) for y in range(height)]

    return asyncio.run(draw())


def lines(strips: list[Strip]) -> list[str]:
    return [strip.text.rstrip() for strip in strips]


def test_colours_stay_and_nothing_else() -> None:
    """A title, a cleared screen, a moved cursor: gone; red stays red, and an open line is seen."""
    got = drawn([b"\x1b]0;evil\x07\x1b[2J\x1b[31mred\x1b[0m\x1b[5;5H plain\n", b"may I go", b" on? "])
    assert lines(got)[:2] == ["red plain", "may I go on?"]
    red = next(segment for segment in got[0] if segment.text == "red")
    assert red.style is not None
    assert red.style.color is not None
    assert red.style.color.number == 1


def test_a_colour_of_an_open_line_counts_once() -> None:
    """A line that comes in pieces is decoded again: the colour that it leaves is the one of its end."""
    got = drawn([b"\x1b[31m", b"a", b"\x1b[0m", b"b\nc"])
    assert lines(got)[:2] == ["ab", "c"]
    [plain] = [segment for segment in got[1] if segment.text.startswith("c")]
    assert plain.style is None or plain.style.color is None


def test_what_is_hidden_is_seen() -> None:
    """A tool cannot hide its text, nor let it blink."""
    [hidden] = [s for s in drawn([b"\x1b[8;5mhidden\x1b[0m\n"])[0] if s.text.startswith("hidden")]
    assert hidden.style is None or not (hidden.style.conceal or hidden.style.blink)


def test_long_lines_wrap_and_endless_ones_end() -> None:
    """A line without an end neither fills the memory nor is lost."""
    got = lines(drawn([b"x" * 100 + b"\n"]))
    assert got[:3] == ["x" * 40, "x" * 40, "x" * 20]
    assert lines(drawn([b"y" * (3 * LONGEST_LINE)] * 3))[-1].startswith("y")


def test_it_follows_until_it_is_scrolled() -> None:
    """The newest line is seen; scrolled back the same lines stay, whatever comes; End follows again."""
    many = b"".join(b"line %d\n" % n for n in range(100))
    assert lines(drawn([many]))[-1] == "line 99"
    assert lines(drawn([many], keys=("pageup",)))[0] == "line 85"
    assert lines(drawn([many], keys=("pageup", "end")))[-1] == "line 99"
    assert lines(drawn([many], keys=("home",)))[0] == "line 0"
    assert lines(drawn([b"".join(b"%d\n" % n for n in range(2 * MOST_LINES))]))[-1] == str(2 * MOST_LINES - 1)


@settings(max_examples=60)
@given(
    st.lists(
        st.binary(max_size=40) | st.text(alphabet="\x1b[];m0123?hl\x9b\x07\r\n\tab日\u202e").map(str.encode)
    )
)
def test_nothing_that_steers_is_drawn(pieces: list[bytes]) -> None:
    """Whatever bytes a tool prints, only text is drawn, of the pane's width."""
    for strip in drawn(pieces, width=12, height=4):
        assert strip.cell_length == 12
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", strip.text)
