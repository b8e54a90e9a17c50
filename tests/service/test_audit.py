"""The audit log a page at a time, and the lines where a chain breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent import audit as log
from agent.service import audit
from agent.service.audit import Filter
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from agent.service.places import Desk


@pytest.fixture(autouse=True)
def _entries(desk: Desk) -> None:
    for number in range(25):
        log.append(
            desk.workspace, "asked" if number % 5 else "run", who=f"p{number % 3}", task_id=f"t{number}"
        )


def all_pages(desk: Desk, wanted: Filter, limit: int) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = audit.search(desk, wanted, cursor=cursor, limit=limit)
        found += page["entries"]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 25, 1000])
def test_pages_hold_every_entry_once_the_latest_first(desk: Desk, limit: int) -> None:
    """Whatever their size; what is logged meanwhile comes before, and moves nothing."""
    assert [entry["n"] for entry in all_pages(desk, Filter(), limit)] == list(range(25, 0, -1))
    first = audit.search(desk, limit=5)
    log.append(desk.workspace, "later", who="x")
    second = audit.search(desk, cursor=first["next"], limit=5)
    assert [entry["n"] for entry in second["entries"]] == [20, 19, 18, 17, 16]


def test_filters(desk: Desk) -> None:
    """By event, person, task, text and time; the total counts what is meant, the choices what there is."""
    page = audit.search(desk, Filter(event="run", who="p0"), limit=1)
    assert (page["total"], page["next"] is not None) == (2, True)
    assert page["events"] == ["asked", "run"]
    assert page["who"] == ["p0", "p1", "p2"]
    assert [entry["task_id"] for entry in all_pages(desk, Filter(task_id="t7"), 5)] == ["t7"]
    assert len(all_pages(desk, Filter(text="P1"), 5)) == 8
    moment = next(iter(log.entries(desk.workspace))).at
    assert all_pages(desk, Filter(until=moment), 5) == []
    assert len(all_pages(desk, Filter(since=moment), 5)) == 25


@pytest.mark.parametrize(("cursor", "limit"), [("x", 5), ("-1", 5), ("\N{SUPERSCRIPT TWO}", 5), (None, 0)])
def test_what_is_no_page_is_refused(desk: Desk, cursor: str | None, limit: int) -> None:
    """With what to ask for instead."""
    with pytest.raises(ServiceError) as refused:
        audit.search(desk, cursor=cursor, limit=limit)
    assert refused.value.kind == "invalid"


@pytest.mark.parametrize(("at", "around"), [(0, 3), (12, 5), (24, 3)])
def test_a_broken_chain_is_shown_with_its_neighbours(desk: Desk, at: int, around: int) -> None:
    """The bad line stands among up to two lines before and behind it."""
    assert audit.verify(desk)["broken_at"] is None
    path = desk.workspace.logs / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[at] = lines[at].replace(f'"t{at}"', '"other"')
    path.write_text("".join(lines))
    found = audit.verify(desk)
    assert not found["ok"]
    where = found["broken_at"]
    assert where["line"] == at + 1
    assert [line["number"] for line in where["around"] if line["bad"]] == [at + 1]
    assert len(where["around"]) == around
