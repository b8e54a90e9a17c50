"""The audit log: entries that are like something, the latest first, and whether the chain holds.

matching(workspace, Filter) -> entries, the oldest first
search(desk, Filter, cursor, limit) -> a page of them, the latest first
verify(desk, anchor) -> the verdict, and the lines where the chain breaks
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.audit import entries
from agent.audit import verify as verdict_of
from agent.audit.line import parse
from agent.audit.reading import lines
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.audit import Entry, Verdict
    from agent.service.places import Desk
    from spool.workspace import Workspace

MOST: Final = 1000
"""Entries of one page."""

_BESIDE: Final = 2
"""Lines before and behind the bad one that are shown with it."""
_LINE_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; None and empty mean all.

    Args:
        text: is looked for in all of an entry, whatever its case.
        event: in one word: asked, proposed, rated, approved, run …
        since, until: UTC, ISO 8601 as entries have it; until is not included.
    """

    text: str | None = None
    task_id: str | None = None
    event: str | None = None
    who: str | None = None
    since: str = ""
    until: str = ""

    def takes(self, entry: Entry) -> bool:
        """Tell whether an entry is meant."""
        wanted = {"task_id": self.task_id, "event": self.event, "who": self.who}
        if entry.at < self.since or (self.until and entry.at >= self.until):
            return False
        if not all(value in {None, "", getattr(entry, name)} for name, value in wanted.items()):
            return False
        return not self.text or self.text.casefold() in _words(entry)


def matching(workspace: Workspace, wanted: Filter) -> Iterator[Entry]:
    """Yield the entries that are meant, the oldest first."""
    return (entry for entry in entries(workspace) if wanted.takes(entry))


def search(
    desk: Desk, wanted: Filter | None = None, *, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Return entries, the latest first.

    Args:
        desk: whose log.
        wanted: which; None for all.
        cursor: `next` of the page before; None for the first.
        limit: 1 to 1000.

    Returns:
        entries: n, at, event, who, task_id, sha256, details; next: the cursor of the next page, or null;
        total: how many are meant; events, who: what there is to choose from.

    Raises:
        ServiceError: the cursor or the limit cannot be used.
    """
    if not 1 <= limit <= MOST:
        raise ServiceError("invalid", f"limit is {limit}: ask for 1 to {MOST} entries", field="limit")
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
        raise ServiceError("invalid", f"{cursor!r} is no cursor: use `next` of an answer", field="cursor")
    before = int(cursor) if cursor is not None else None
    chosen = wanted or Filter()
    kept: deque[Entry] = deque(maxlen=limit + 1)
    total, events, people = 0, set[str](), set[str]()
    for entry in entries(desk.workspace):
        events.add(entry.event)
        people.add(entry.who)
        if chosen.takes(entry):
            total += 1
            if before is None or entry.n < before:
                kept.append(entry)
    page = list(reversed(kept))
    more = len(page) > limit
    return {
        "entries": [entry.document() for entry in page[:limit]],
        "next": str(page[limit - 1].n) if more else None,
        "total": total,
        "events": sorted(events),
        "who": sorted(people),
    }


def document_of(verdict: Verdict) -> dict[str, Any]:
    """Return the fields of `aispool audit verify --json`: ok, bad, notes, entries, last (n, sha256)."""
    return {
        "ok": verdict.bad is None,
        "bad": verdict.bad,
        "notes": list(verdict.notes),
        "entries": verdict.entries,
        "last": {"n": verdict.last.n, "sha256": verdict.last.sha256} if verdict.last else None,
    }


def verify(desk: Desk, anchor: str | None = None) -> dict[str, Any]:
    """Follow the chain from its first entry to its last.

    Args:
        desk: whose log.
        anchor: the digest of an entry, noted earlier elsewhere; it must be in the chain.

    Returns:
        The fields of `document_of`, and broken_at: null, or file, line, and around: number, bad, text of
        the lines beside it (cut at 2,000 characters), n (null when it is no entry).
    """
    verdict = verdict_of(desk.workspace, anchor or None)
    return {**document_of(verdict), "broken_at": _around(desk.workspace, verdict.bad)}


def _around(workspace: Workspace, bad: str | None) -> dict[str, Any] | None:
    """Return the lines beside the bad one; None when no line is named."""
    if bad is None:
        return None
    before: deque[dict[str, Any]] = deque(maxlen=_BESIDE)
    found: list[dict[str, Any]] = []
    where: tuple[str, int] | None = None
    for line in lines(workspace):
        is_bad = where is None and bad.startswith(f"{line.path}:{line.number}: ")
        entry = parse(line.content)
        shown = {
            "number": line.number,
            "bad": is_bad,
            "n": entry.n if entry else None,
            "text": line.content.decode(errors="replace")[:_LINE_CHARS],
        }
        if is_bad:
            where, found = (str(line.path), line.number), [*before, shown]
        elif where is None:
            before.append(shown)
        else:
            found.append(shown)
            if len(found) >= len(before) + 1 + _BESIDE:
                break
    return {"file": where[0], "line": where[1], "around": found} if where else None


def _words(entry: Entry) -> str:
    return json.dumps(entry.document(), ensure_ascii=False).casefold()
