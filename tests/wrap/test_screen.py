"""What a terminal shows, read from the bytes that a tool writes into it."""

from __future__ import annotations

import pytest

from agent.wrapper.terminal import Screen


@pytest.mark.parametrize(
    "drawn",
    [
        b"Do you want to go on? (y/n)",
        b"\x1b[1mDo\x1b[1Cyou\x1b[Cwant\x1b[1Cto\x1b[1Cgo\x1b[1Con?\x1b[0m \x1b[2m(y/n)",
        b"noise\x1b[12;1HDo you want to go on? (y/n)\x1b[13;1Hmore",
        b"\x1b]0;title\x07Do you want\x1b[K to go on?\r\n(y/n)",
    ],
)
def test_a_question_is_seen_however_it_is_drawn(drawn: bytes) -> None:
    """Plain, with spaces drawn as moves, at a place of its own, between titles."""
    screen = Screen(None, r"Do you want to go on\?")
    screen.feed(drawn)
    assert "Do you want to go on?" in (screen.question() or "")


def test_a_title_is_followed() -> None:
    """The last one counts, also when it came in two parts."""
    screen = Screen("Action Required", None)
    screen.feed(b"\x1b]0;Ready\x07\x1b]2;Action Req")
    assert screen.question() is None
    screen.feed(b"uired\x1b\\may I?")
    assert screen.question() == "may I?"
    screen.feed(b"\x1b]0;Ready\x07")
    assert screen.question() is None


def test_jumps_within_a_line_make_no_new_ones() -> None:
    """So opencode draws: cell by cell, and a dozen lines of one word each would push its question out."""
    line = b"".join(b"\x1b[3;%dHword" % (5 * column) for column in range(20))
    screen = Screen(None, "Permission required")
    screen.feed(b"\x1b[1;8HPermission required\x1b[1;27H \x1b[2;1H" + line)
    assert "Permission required" in (screen.question() or "")
