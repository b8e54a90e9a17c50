"""What is asked of the list of tasks, and a part of it as the answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from agent.service.errors import ServiceError
from agent.service.places import HERE
from spool.records import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Sort = Literal["changed_at", "started_at", "finished_at", "task_id", "state", "tool", "host", "duration_s"]
Name = Literal["tool", "label", "group", "host"]

SORTS: Final = ("changed_at", "started_at", "finished_at", "task_id", "state", "tool", "host", "duration_s")
MOST_ROWS: Final = 1000
MOST_WORDS: Final = 16


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


def condition(query: Query) -> tuple[str, list[Any]]:
    """Return the condition of a query and its values."""
    parts, values = ["hidden = 0"], list[Any]()

    def among(expression: str, wanted: Sequence[str]) -> None:
        if wanted:
            parts.append(expression.format(", ".join("?" * len(wanted))))
            values.extend(wanted)

    among("host IN ({})", ["" if host == HERE else host for host in query.hosts])
    among("state IN ({})", query.states)
    among("tool IN ({})", query.tools)
    among("task_group IN ({})", query.groups)
    among("key IN (SELECT key FROM label WHERE label IN ({}))", query.labels)
    for moment, sign in ((query.since, ">="), (query.until, "<=")):
        if moment is not None:
            parts.append(f"changed_at {sign} ?")
            values.append(iso(moment))
    for word in query.text.casefold().split()[:MOST_WORDS]:
        parts.append("instr(words, ?) > 0")
        values.append(word)
    return " AND ".join(parts), values


def cursor_behind(last: Sequence[Any]) -> str:
    """Return the cursor of what follows a row.

    Args:
        last: the row's value of the sort, its id and its key.
    """
    return base64.urlsafe_b64encode(json.dumps(list(last)).encode()).decode().rstrip("=")


def place_of(text: str, sort: str) -> list[Any]:
    """Return what a cursor says: the value of the sort, the id and the key of the row before.

    Raises:
        ServiceError: it is not one of such a list.
    """
    try:
        value, task_id, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError):
        value = task_id = key = None
    kind = (int, float) if sort == "duration_s" else str
    if not isinstance(value, kind) or not isinstance(task_id, str) or type(key) is not int or abs(key) >> 62:
        raise ServiceError(
            "invalid", "the cursor is not one of this list: begin with the first page", field="cursor"
        )
    return [value, task_id, key]
