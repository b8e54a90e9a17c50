"""A tool's output as text with colours: only numbers become a style, and nothing is lost but escapes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.web.pages.parts.colours import MAX_LINE_CHARS, Painter

SAFE_CSS = re.compile(
    r"((color|background):#[0-9a-f]{6}|font-weight:700|opacity:\.75|font-style:italic|text-decoration:underline)"
    r"(;(?!$)|$)"
)
CODES = st.lists(st.integers(-1, 300).map(str) | st.just(""), max_size=8).map(";".join)
PIECES = st.lists(
    st.binary(max_size=40)
    | CODES.map(lambda codes: f"\x1b[{codes}m".encode())
    | st.sampled_from([b"\x1b[38;5;", b"208m", b"\r", b"\n", b"\x1b]0;x", b"\x07", b"<b>", b"\xe2\x80\xae"]),
    max_size=12,
)


def painted(*pieces: bytes) -> list[tuple[str, str]]:
    painter = Painter()
    spans = [span for piece in pieces for span in painter.feed(piece)]
    return [*spans, *painter.end()]


def text(spans: list[tuple[str, str]]) -> str:
    return "".join(part for part, _ in spans)


@pytest.mark.parametrize(
    ("codes", "css"),
    [
        ("31", "color:#ff7b72"),
        ("1;4", "font-weight:700;text-decoration:underline"),
        ("38;5;208", "color:#ff8700"),
        ("38;5;250", "color:#bcbcbc"),
        ("48;2;1;2;3", "background:#010203"),
        ("38:2:255:0:9", "color:#ff0009"),
        ("97;7", "color:#10151b;background:#ffffff"),
        ("38;5", ""),
        ("31;0", ""),
        ("999", ""),
    ],
)
def test_codes_become_styles(codes: str, css: str) -> None:
    assert painted(f"\x1b[{codes}mx".encode()) == [("x", css)]


def test_a_style_lasts_over_lines_and_pieces() -> None:
    """Also when a sequence is cut between two pieces."""
    spans = painted(b"\x1b[3", b"2mgreen\nstill", b" green\x1b[m plain")
    assert [(part, css) for part, css in spans if part != "\n"] == [
        ("green", "color:#6fd394"),
        ("still", "color:#6fd394"),
        (" green", "color:#6fd394"),
        (" plain", ""),
    ]


def test_a_long_line_is_cut_and_says_by_how_much() -> None:
    spans = painted(b"x" * 3000, b"y" * 3000, b"\nnext\n", b"z" * (MAX_LINE_CHARS + 1))
    lines = text(spans).split("\n")
    assert lines[0] == "x" * 3000 + "y" * 1000 + " […2,000 more characters on this line]"
    assert lines[1] == "next"
    assert lines[2].endswith("[…1 more characters on this line]")


@given(PIECES)
def test_whatever_comes_is_harmless(pieces: list[bytes]) -> None:
    """No control character but line feeds and tabs is left, and every style is one of ours."""
    spans = painted(*pieces)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text(spans))
    for _, css in spans:
        assert not css or "".join(match[0] for match in SAFE_CSS.finditer(css)) == css


@given(PIECES, st.integers(1, 7))
def test_how_the_stream_is_cut_makes_no_difference(pieces: list[bytes], size: int) -> None:
    whole = b"".join(pieces)
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert text(painted(*cut)) == text(painted(whole))
