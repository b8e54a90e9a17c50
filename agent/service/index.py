"""The list of all tasks, here and on all hosts, from an index that is derived from the files.

The index (SQLite) owns nothing: deleted, damaged or of another version it is built anew; several processes
use it at once. Every row is what `agent.service.listing.row` returns.

    index = Index(desk)                      Index(desk, folder) puts the file elsewhere
    index.refresh(thorough=False) -> bool    look at what changed on disk; True when something did
    index.query(Query(...)) -> Page
    index.counts(hosts=()) -> dict           {state: how many}
    index.names("tool"|"label"|"group"|"host") -> list of str
    index.revision                           grows with every change seen
    index.close()

`Live` (agent.service.live) keeps one fresh: `start()`, `stop()`, `await changed(since_revision) -> revision`,
and `wait(since_revision, timeout_s) -> revision` for threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

Sort = Literal["changed_at", "started_at", "finished_at", "task_id", "state", "tool", "host", "duration_s"]
Name = Literal["tool", "label", "group", "host"]


@dataclass(frozen=True, slots=True)
class Query:
    """Which tasks, in which order; an empty tuple means all.

    Args:
        hosts: names; `here` is our own workspace.
        labels: a task that has one of them.
        text: every word must be in the id, tool, command, reason, source name, question, host or a label,
            whatever its case.
        since, until: when it came into its state.
        cursor: `next` of the page before.
        limit: 1 to 1000.
    """

    hosts: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    sort: Sort = "changed_at"
    descending: bool = True
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list.

    Args:
        rows: see `agent.service.listing.row`.
        next: the cursor of the next page; None when this is the last.
        total: how many tasks the query matches, whatever the limit.
        revision: of the index.
        complete: False while the index is being built for the first time: what is newest is there already.
    """

    rows: list[dict[str, Any]]
    next: str | None
    total: int
    revision: int
    complete: bool = True
