r"""A tool's output as spans of text with a style, for a browser: colours live, nothing else does.

`agent.sanitize` takes away every control sequence but SGR (ECMA-48 8.3.117); what is left is read here. A
style is a fixed set of words, made from numbers only. Lines that are longer than a person reads are cut, and
say by how much: a browser stands still on a line of a million characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from agent.sanitize import Plain

MAX_LINE_CHARS: Final = 4000
Span = tuple[str, str]
"""Text, which may hold line feeds, and CSS declarations for it."""

_SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
_PALETTE: Final = (
    "#6b7683", "#ff7b72", "#6fd394", "#f2bf5b", "#82b1ff", "#d3a6f5", "#5fd7d7", "#d8dee6",
    "#8b96a3", "#ffa198", "#8ee8ad", "#ffd47e", "#a8c9ff", "#e2c2fb", "#8ceaea", "#ffffff",
)  # fmt: skip
"""The sixteen colours, each readable on the log's dark ground."""
_STEPS: Final = (0, 95, 135, 175, 215, 255)


@dataclass(frozen=True, slots=True)
class _Style:
    colour: str = ""
    ground: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underlined: bool = False
    reversed: bool = False

    def css(self) -> str:
        colour, ground = self.colour, self.ground
        if self.reversed:
            colour, ground = ground or "#10151b", colour or "#d8dee6"
        parts = (
            colour and f"color:{colour}",
            ground and f"background:{ground}",
            "font-weight:700" if self.bold else "",
            "opacity:.75" if self.dim else "",
            "font-style:italic" if self.italic else "",
            "text-decoration:underline" if self.underlined else "",
        )
        return ";".join(filter(None, parts))


_SIMPLE: Final[dict[int, dict[str, bool | str]]] = {
    1: {"bold": True}, 2: {"dim": True}, 3: {"italic": True}, 4: {"underlined": True}, 7: {"reversed": True},
    22: {"bold": False, "dim": False}, 23: {"italic": False}, 24: {"underlined": False},
    27: {"reversed": False}, 39: {"colour": ""}, 49: {"ground": ""},
    **{30 + n: {"colour": _PALETTE[n]} for n in range(8)},
    **{40 + n: {"ground": _PALETTE[n]} for n in range(8)},
    **{90 + n: {"colour": _PALETTE[8 + n]} for n in range(8)},
    **{100 + n: {"ground": _PALETTE[8 + n]} for n in range(8)},
}  # fmt: skip


class Painter:
    """Paints a stream of bytes piece by piece."""

    def __init__(self) -> None:
        self._plain = Plain(colours=True)
        self._style = _Style()
        self._column = 0
        self._cut = 0

    def feed(self, piece: bytes) -> list[Span]:
        """Return what this piece shows."""
        return self._paint(self._plain.feed(piece))

    def end(self) -> list[Span]:
        """Return what was held back, the stream being over."""
        return [*self._paint(self._plain.end()), *self._say_cut()]

    def _paint(self, text: str) -> list[Span]:
        spans: list[Span] = []
        at = 0
        for match in _SGR.finditer(text):
            self._add(spans, text[at : match.start()])
            self._style = _changed(self._style, match[1])
            at = match.end()
        self._add(spans, text[at:])
        return spans

    def _add(self, spans: list[Span], text: str) -> None:
        css = self._style.css()
        for line in text.splitlines(keepends=True):
            ends = line.endswith("\n")
            body = line.removesuffix("\n")
            room = max(0, MAX_LINE_CHARS - self._column)
            self._column += len(body)
            self._cut += max(0, len(body) - room)
            if body[:room]:
                spans.append((body[:room], css))
            if ends:
                spans += [*self._say_cut(), ("\n", "")]
                self._column = 0

    def _say_cut(self) -> list[Span]:
        cut, self._cut = self._cut, 0
        return [(f" […{cut:,} more characters on this line]", "color:#f2bf5b")] if cut else []


def _changed(style: _Style, parameters: str) -> _Style:
    codes = [int(code or 0) for code in re.split("[;:]", parameters[:200]) if len(code) < 6]  # noqa: PLR2004
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = _Style()
        elif code in {38, 48}:
            colour = _extended(codes)
            style = replace(style, colour=colour) if code == 38 else replace(style, ground=colour)  # noqa: PLR2004
        elif code in _SIMPLE:
            style = replace(style, **_SIMPLE[code])  # type: ignore[arg-type]
    return style


def _extended(codes: list[int]) -> str:
    """Take `5;N` or `2;R;G;B` off the codes and return the colour; nothing when they are none."""
    kind = codes.pop(0) if codes else None
    if kind == 5 and codes:  # noqa: PLR2004
        return _indexed(codes.pop(0) & 255)
    if kind == 2 and len(codes) >= 3:  # noqa: PLR2004
        red, green, blue = (codes.pop(0) & 255 for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    return ""


def _indexed(number: int) -> str:
    if number < 16:  # noqa: PLR2004
        return _PALETTE[number]
    if number >= 232:  # noqa: PLR2004 - the greys
        grey = 8 + 10 * (number - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
    return f"#{_STEPS[red]:02x}{_STEPS[green]:02x}{_STEPS[blue]:02x}"
