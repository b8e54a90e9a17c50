"""Reading: the entries in order, and whether the chain holds."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.audit.line import (
    LINE_BYTES,
    MENDED,
    NOTHING_BEFORE,
    Entry,
    contradicts,
    digest,
    files,
    head,
    parse,
    unwritten,
)
from spool.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file; `number` counts from 1."""

    path: Path
    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the chain.

    Args:
        entries: that were read before the first bad line.
        bad: the first bad line, `file:line: why`; None when the chain holds.
        notes: what is odd and explained: lines that a crash tore.
        last: the last entry; its digest is the anchor to keep elsewhere.
    """

    entries: int
    bad: str | None
    notes: tuple[str, ...]
    last: Entry | None


def lines(workspace: Workspace) -> Iterator[Line]:
    """Yield the lines that stand whole or torn at this moment, without their line breaks."""
    with ExitStack() as opened:
        with unwritten(workspace):
            # opened and not only listed: a file that is renamed meanwhile stays the one it was
            found = [(path, opened.enter_context(open_regular(path))) for path in files(workspace)]
            sizes = [os.fstat(descriptor).st_size for _, descriptor in found]
        for (path, descriptor), size in zip(found, sizes, strict=True):
            stream = opened.enter_context(open(descriptor, "rb", closefd=False))
            number = 0
            while stream.tell() < size and (content := stream.readline(LINE_BYTES + 1)):
                number += 1
                yield Line(path, number, content.removesuffix(b"\n"))


def entries(workspace: Workspace) -> Iterator[Entry]:
    """Yield the entries, the oldest first; lines that are none are passed over."""
    for line in lines(workspace):
        entry = parse(line.content)
        if entry is not None:
            yield entry


@dataclass(slots=True)
class _Chain:
    """The walk along the chain: what was seen so far."""

    before: Entry | None = None
    last: Entry | None = None
    last_line: Line | None = None
    torn: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: int = 0

    def problem(self, line: Line, entry: Entry) -> str | None:
        """Return what is wrong with an entry behind what was seen; None when it follows."""
        mends = entry.event == MENDED
        if self.torn and not (mends and self._mends(entry)):
            return _at(self.torn[0], "it is no entry, and nothing tells of a crash that tore it")
        if mends and (missing := entry.details.get("missing")) is not None:
            return _at(line, f"entries up to {missing} had been acknowledged, and are gone or were changed")
        expected = self.last.n + 1 if self.last else 1
        if entry.n != expected:
            what = "entries are missing before it" if entry.n > expected else "it was put in, or moved"
            return _at(line, f"it is entry {entry.n} where {expected} must stand: {what}")
        before = self.torn[-1] if self.torn else self.last_line
        if entry.prev != (digest(before.content) if before else NOTHING_BEFORE):
            return _changed(before or line)
        return None

    def _mends(self, entry: Entry) -> bool:
        torn = b"\n".join(line.content for line in self.torn)
        before = self.last.sha256 if self.last else NOTHING_BEFORE
        return entry.details.get("torn_sha256") == digest(torn) and entry.details.get("before") == before

    def take(self, line: Line, entry: Entry) -> None:
        """Go on behind this entry."""
        if self.torn:
            where = f"{self.torn[0].path}:{self.torn[0].number}"
            self.notes.append(f"{where}: a crash tore it while it was written; entry {entry.n} tells so")
        self.torn = []
        self.before, self.last, self.last_line = self.last, entry, line
        self.seen += 1

    def verdict(self, problem: str | None) -> Verdict:
        """Return what was found; a last entry that is itself the bad one does not count."""
        if self.last_line is not None and problem == _changed(self.last_line):
            return Verdict(self.seen - 1, problem, tuple(self.notes), self.before)
        return Verdict(self.seen, problem, tuple(self.notes), self.last)


def verify(workspace: Workspace, anchor: str | None = None) -> Verdict:
    """Follow the chain from its first entry to its last.

    Args:
        workspace: whose log.
        anchor: the digest of an entry, noted earlier elsewhere; it must be in the chain.
    """
    noted = head(workspace)  # before the lines: a writer adds lines behind it, never before
    chain, anchored = _Chain(), anchor is None
    walk = lines(workspace)
    for line in walk:
        entry = parse(line.content)
        if entry is None:
            chain.torn.append(line)
            continue
        problem = chain.problem(line, entry)
        if problem is not None:
            if chain.last_line is not None and problem == _changed(chain.last_line):
                problem = _blamed(chain.last_line, line, entry, next(walk, None), noted)
            return chain.verdict(problem)
        chain.take(line, entry)
        anchored = anchored or entry.sha256 == anchor
    return chain.verdict(_end_problem(chain, noted, anchored))


def _blamed(before: Line, line: Line, entry: Entry, after: Line | None, noted: tuple[int, str] | None) -> str:
    """Tell which of two lines that do not fit was changed: the one whose own follower denies it."""
    follower = parse(after.content) if after else None
    if follower is not None:
        confirmed = follower.prev == entry.sha256
    else:
        confirmed = noted is None or noted[0] != entry.n or noted[1] == entry.sha256
    return _changed(before if confirmed else line)


def _end_problem(chain: _Chain, noted: tuple[int, str] | None, anchored: bool) -> str | None:  # noqa: FBT001
    if contradicts(noted, chain.last) and noted is not None:
        if chain.last is None or chain.last_line is None:
            return f"all entries are gone: {noted[0]} had been acknowledged"
        if noted[0] == chain.last.n:
            return _changed(chain.last_line)
        what = f"entries {chain.last.n + 1} to {noted[0]} had been acknowledged, and are gone"
        return _at(chain.torn[0] if chain.torn else chain.last_line, what)
    if chain.torn:
        where = f"{chain.torn[0].path}:{chain.torn[0].number}"
        chain.notes.append(f"{where}: a crash tore it while it was written; the next entry will tell so")
    if not anchored:
        return "no entry has the anchor's digest: the chain was written anew, or the anchor is another log's"
    return None


def _at(line: Line, why: str) -> str:
    return f"{line.path}:{line.number}: {why}"


def _changed(line: Line) -> str:
    return _at(line, "it is not what was written: its digest is not the one that the chain holds")
