r"""What came from files may not steer a terminal: escape sequences, control characters, bidi overrides.

`one_line` keeps a name or a reason recognisable: what is dangerous shows as `\x1b` or `\u202e`.
`Plain` cleans a stream that arrives in pieces, as `logs -f` reads it: sequences vanish with their
parameters, a lone carriage return (a progress bar) starts a new line, and a sequence or a character that
is cut at the end of a piece waits for the next one. Colours may be kept: they steer nothing but themselves.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_STRING_BYTES: Final = 4096
"""Longest text of an OSC, DCS, PM, APC or SOS sequence; a longer one is not taken for a sequence."""

_TEXT: Final = r"[^\x07\x1b\n\r\x9c]" + f"{{0,{_STRING_BYTES}}}"
_SEQUENCE: Final = re.compile(
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_TEXT}(?:\x07|\x1b\\|\x9c)"  # strings: titles, links, clipboard
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]"  # two and three characters: charsets, reset
)
_CUT: Final = re.compile(
    rf"(?:(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_TEXT}\x1b?|(?:\x1b\[|\x9b)[0-?]*[ -/]*|\x1b[ -/]*|\r+)\Z"
)
_BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROLS: Final = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ud800-\udfff]")
_IN_LINE: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ud800-\udfff]")
_RETURN: Final = re.compile(r"\r+\n?")
_STEERING: Final = re.compile(f"{_SEQUENCE.pattern}|{_CONTROLS.pattern}")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]{0,64}m")
"""SGR, ECMA-48 8.3.117: colours, bold, underline."""


def one_line(text: object) -> str:
    """Return a name, a path or a reason as one line in which nothing dangerous is left, only shown."""
    return _IN_LINE.sub(_shown, str(text))


def plain(text: str) -> str:
    """Return a whole text without what steers a terminal; lines stay lines."""
    return _cleaned(text)


class Plain:
    """Cleans a stream of bytes piece by piece.

    Args:
        colours: leave SGR sequences as they are, and nothing else that begins with ESC.
    """

    def __init__(self, *, colours: bool = False) -> None:
        self._clean = _coloured if colours else _cleaned
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""

    def feed(self, piece: bytes) -> str:
        """Return the clean text of this piece, as far as its end is certain."""
        text = self._pending + self._decoder.decode(piece)
        cut = _CUT.search(text)
        at = cut.start() if cut else len(text)
        self._pending = text[at:]
        return self._clean(text[:at])

    def end(self) -> str:
        """Return what was held back, the stream being over."""
        text = self._pending + self._decoder.decode(b"", final=True)
        self._pending = ""
        return self._clean(text)


def _cleaned(text: str) -> str:
    return _CONTROLS.sub("", _SEQUENCE.sub("", _RETURN.sub("\n", text)))


def _coloured(text: str) -> str:
    return _STEERING.sub(
        lambda found: found[0] if _COLOUR.fullmatch(found[0]) else "", _RETURN.sub("\n", text)
    )


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
