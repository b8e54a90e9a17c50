"""A tool in its own terminal: seeing that it waits for a person, and typing what people answer.

Tools with hooks say themselves that they wait. For the others a regular expression for the terminal's title
or for the last lines on its screen tells it; both are seen in what the tool writes, without asking tmux.
"""

from __future__ import annotations

import os
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spool.files import NotRegularError, TooLargeError, put, read_regular, write_all

if TYPE_CHECKING:
    from pathlib import Path

SCREEN_BYTES = 8192
"""How much of the latest output stands for the screen."""
QUESTION_LINES = 12
ENTER_AFTER_S = 1.0
"""Text and Enter in one burst are taken for a paste by full-screen tools, and not submitted (measured)."""
NEXT_QUESTION_S = 3.0
MAX_ANSWER_BYTES = 1 << 20
LOOK_EVERY_S = 0.25

_TITLE = re.compile(rb"\x1b\][02];([^\x07\x1b]{0,512})(?:\x07|\x1b\\)")
_FORWARD = re.compile(rb"\x1b\[(\d{0,3})C")
"""Cursor forward: full-screen tools draw spaces so."""
_ELSEWHERE = re.compile(rb"\x1b\[(?:(\d*)(?:;\d*)?[Hf]|\d*[EFABd])")
"""The cursor goes to another line."""
_ESCAPES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, moves
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    rb"|\x1b[@-Z\\^_]|\x1b[()*+][0-9A-Za-z]"  # the short ones
    rb"|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(slots=True)
class Screen:
    """What a terminal shows lately, and whether it asks for a person by one of two signs."""

    title_sign: str | None
    text_sign: str | None
    _title: str = ""
    _latest: bytes = b""

    @property
    def is_watched(self) -> bool:
        """Tell whether there is a sign to look for."""
        return bool(self.title_sign or self.text_sign)

    def feed(self, chunk: bytes) -> None:
        """Take the next part of the output."""
        self._latest = (self._latest + chunk)[-SCREEN_BYTES:]
        for match in _TITLE.finditer(self._latest):
            self._title = match.group(1).decode(errors="replace")

    def question(self) -> str | None:
        """Return the last lines on the screen while it waits for a person, else None."""
        by_title = self.title_sign is not None and re.search(self.title_sign, self._title) is not None
        lines = self._lines()
        by_text = self.text_sign is not None and re.search(self.text_sign, "\n".join(lines)) is not None
        return "\n".join(lines) or self._title if by_title or by_text else None

    def _lines(self) -> list[str]:
        spaced = _FORWARD.sub(lambda move: b" " * int(move.group(1) or 1), self._latest)
        moved = _rows(spaced).replace(b"\r", b"\n")
        text = _ESCAPES.sub(b"", moved).decode(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-QUESTION_LINES:]


def _rows(drawn: bytes) -> bytes:
    """Put what goes to another line on a line of its own; full-screen tools jump within a line as well."""
    parts, at, row = [], 0, None
    for move in _ELSEWHERE.finditer(drawn):
        goes_on = row is not None and move.group(1) == row
        parts += [drawn[at : move.start()], b"" if goes_on else b"\n"]
        at, row = move.end(), move.group(1)
    return b"".join([*parts, drawn[at:]])


@dataclass(slots=True)
class Answers:
    """Types the files of `answer/` into the terminal: each once, in order, one for each question.

    An answer that was dropped before the question is kept for it. What was typed is noted in the attempt, so
    that a later attempt does not type it again.

    Args:
        folder: the session's answer folder.
        noted: where this attempt notes the names of what it typed.
        _keys: what is to be typed, and from when on.
    """

    folder: Path
    noted: Path
    _used: set[str] = field(default_factory=set)
    _keys: deque[tuple[float, bytes]] = field(default_factory=deque)
    _answered: bool = False
    _typed_s: float = 0.0

    def __post_init__(self) -> None:
        for attempt in self.noted.parent.parent.iterdir():
            # the tool may write there, too
            with suppress(FileNotFoundError, NotADirectoryError, NotRegularError, TooLargeError):
                noted = read_regular(attempt / self.noted.name, MAX_ANSWER_BYTES)
                self._used.update(os.fsdecode(noted).split("\n"))

    def take(self, now_s: float, *, asked: bool) -> None:
        """Look for the answer to a question that is asked."""
        if not asked:
            self._answered = False
            return
        # a second question may follow so fast that nobody saw the first one go
        if self._keys or (self._answered and now_s < self._typed_s + NEXT_QUESTION_S):
            return
        found = self._next()
        if found is None:
            return
        name, content = found
        text = content.removesuffix(b"\n").removesuffix(b"\r")
        self._used.add(name)
        # the tool may have put a link or a FIFO there: neither is followed, nor waited for
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        note = os.open(self.noted, flags, 0o600)
        try:
            write_all(note, os.fsencode(name) + b"\n")
        finally:
            os.close(note)
        self._keys.extend([(now_s, text), (now_s + ENTER_AFTER_S, b"\r")])
        self._answered, self._typed_s = True, now_s + ENTER_AFTER_S

    def due(self, now_s: float) -> bytes:
        """Return what is to be typed by now."""
        typed = b""
        while self._keys and self._keys[0][0] <= now_s:
            typed += self._keys.popleft()[1]
        return typed

    def _next(self) -> tuple[str, bytes] | None:
        """Return the first answer that was not typed yet; what is no file to read answers nothing."""
        for name in self._names():
            if name not in self._used:
                with suppress(NotRegularError, TooLargeError, FileNotFoundError):
                    return name, read_regular(self.folder / name, MAX_ANSWER_BYTES)
        return None

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(n for n in names if n.endswith(".txt") and not n.startswith(".") and "\n" not in n)


@dataclass(slots=True)
class Attendance:
    """Looks after a tool's terminal.

    Args:
        waiting: the file that says that a person is waited for; ours only when the screen said so.
        screen: what it shows.
        answers: what people want to be typed.
    """

    waiting: Path
    screen: Screen
    answers: Answers
    _ours: bool = False
    _looked_s: float = 0.0

    def attend(self, now_s: float) -> bytes:
        """Say whether the tool waits for a person, and return what is to be typed now."""
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            try:
                self._look()
                self.answers.take(now_s, asked=self.waiting.exists())
            except OSError:
                return b""  # a full disk: the next look says it
        return self.answers.due(now_s)

    def _look(self) -> None:
        question = self.screen.question() if self.screen.is_watched else None
        if question is not None and not self._ours and not self.waiting.exists():
            put(self.waiting, question.encode(), durable=False)
            self._ours = True
        elif question is None and self._ours:
            self.waiting.unlink(missing_ok=True)
            self._ours = False
