from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sanitize import Plain, one_line, plain

DANGEROUS = "\x1b\x07\x9b\x90\x9d\x7f\x00\x08\u202e\u2066\u200e\ud800"


def is_harmless(text: str) -> bool:
    return all(c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"} for c in text) and not any(
        c in text for c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
    )


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;sixel\x1b\\x", "x"),
        ("\x9b2Jx", "x"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1b]no end\nnext", "no end\nnext"),
        ("a\u202eb", "ab"),
        ("déjà vu 日本", "déjà vu 日本"),
    ],
)
def test_streams(given_text: str, expected: str) -> None:
    """Sequences vanish with their parameters; text, tabs and lines stay."""
    assert plain(given_text) == expected


def test_names_show_what_is_in_them() -> None:
    """A reversed name is recognised, and stays one line."""
    assert one_line("a\nb\x1b[2J\u202etxt") == "a\\nb\\x1b[2J\\u202etxt"


@given(st.text(alphabet=st.sampled_from(DANGEROUS + "[]0;m\\ab\n\r\t")))
def test_nothing_dangerous_is_left(text: str) -> None:
    """Whatever the sequence, cut or nested."""
    assert is_harmless(plain(text))
    assert is_harmless(one_line(text))
    assert "\n" not in one_line(text)


@given(st.text(alphabet=st.sampled_from("\x1b\x07\x9b[]0;m\\abé日\n\r\t")), st.lists(st.integers(1, 5)))
def test_pieces_give_what_the_whole_gives(text: str, sizes: list[int]) -> None:
    """A sequence or a character that is cut between two reads is no other."""
    content = text.encode()
    stream, got, at = Plain(), "", 0
    for size in sizes:
        got += stream.feed(content[at : at + size])
        at += size
    got += stream.feed(content[at:]) + stream.end()
    assert is_harmless(got)
    assert got == plain(text)


def test_bytes_that_are_no_text() -> None:
    """They become replacement characters."""
    stream = Plain()
    assert stream.feed(b"a\xff\xfeb\n") + stream.end() == "a\ufffd\ufffdb\n"


@given(st.text(alphabet=st.sampled_from(DANGEROUS + "[]0;m:\\ab\n\r\t")), st.lists(st.integers(1, 5)))
def test_colours_are_all_that_may_stay(text: str, sizes: list[int]) -> None:
    """Taken out of what is left, nothing is left that steers; and without colours it is the same text."""
    content = text.encode(errors="replace")
    stream, got, at = Plain(colours=True), "", 0
    for size in sizes:
        got += stream.feed(content[at : at + size])
        at += size
    got += stream.feed(content[at:]) + stream.end()
    bare = re.sub(r"\x1b\[[0-9;:]*m", "", got)
    assert is_harmless(bare)
    assert bare == plain(content.decode())


def test_a_colour_stays_and_a_cursor_movement_goes() -> None:
    """Also a colour whose parameters no terminal could mean."""
    stream = Plain(colours=True)
    assert stream.feed(b"\x1b[2J\x1b[1;31mred\x1b[0m\x1b]0;t\x07") == "\x1b[1;31mred\x1b[0m"
    assert stream.feed(b"\x1b[" + b"1" * 100 + b"mx") == "x"
