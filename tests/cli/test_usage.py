"""`aispool usage`: tokens and money by tool, day and label, and the day's budgets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from spool.records import AttemptRecord, State, Usage, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace

    Run = Callable[..., Any]

NOON = datetime(2026, 11, 20, 12).astimezone()


def attempts(*usages: Usage, at: datetime = NOON) -> dict[str, Any]:
    records = tuple(
        AttemptRecord(number=number, state=State.FAILED, reason="x", finished_at=at, usage=usage)
        for number, usage in enumerate(usages, 1)
    )
    return {"attempts": records, "finished_at": at}


def test_all_attempts_count_by_tool(aispool: Run, over: Run, running: Run) -> None:
    """Those of results, and those that are over of a task that goes on."""
    over("a", tool="claude", **attempts(Usage(input_tokens=1000, output_tokens=5, cost_usd=0.25), Usage()))
    over("b", tool="gemini", **attempts(Usage(input_tokens=7, output_tokens=1)))
    running("c", State.DEFERRED, attempts=attempts(Usage(cost_usd=1.0))["attempts"])
    over("never", State.CANCELLED)
    document = aispool("usage", "--json").document
    parts = {part["tool"]: part for part in document["parts"]}
    assert parts["claude"] == {
        "tool": "claude",
        "tasks": 1,
        "attempts": 2,
        "input_tokens": 1000,
        "output_tokens": 5,
        "cost_usd": 0.25,
        "attempts_without_tokens": 1,
        "attempts_without_cost": 1,
    }
    assert parts["gemini"]["cost_usd"] is None
    assert parts["shell"]["cost_usd"] == 1.0
    assert (document["total"]["tasks"], document["total"]["attempts"]) == (3, 4)
    assert document["total"]["cost_usd"] == 1.25


def test_unknown_is_said(aispool: Run, over: Run) -> None:
    """Money that no tool told is unknown, a sum that misses some has a plus."""
    over("a", tool="gemini", **attempts(Usage(input_tokens=1200, output_tokens=1)))
    over("b", tool="claude", **attempts(Usage(input_tokens=7, cost_usd=0.5)))
    lines = [line.split() for line in aispool("usage").out.splitlines()]
    assert lines[1] == ["claude", "1", "1", "7", "0", "0.5000", "USD", "-"]
    assert lines[2] == ["gemini", "1", "1", "1,200", "1", "unknown", "1", "cost"]
    assert lines[3] == ["total", "2", "2", "1,207", "1", "0.5000", "USD", "+", "1", "cost"]


def test_by_day_and_since(aispool: Run, over: Run) -> None:
    """Each attempt counts for the local day in which it ended; earlier ones are left out."""
    over("a", **attempts(Usage(cost_usd=1.0)))
    over("b", **attempts(Usage(cost_usd=2.0), at=NOON + timedelta(days=1)))
    parts = aispool("usage", "--by", "day", "--json").document["parts"]
    assert [(part["day"], part["cost_usd"]) for part in parts] == [("2026-11-20", 1.0), ("2026-11-21", 2.0)]
    document = aispool("usage", "--since", "2026-11-21", "--json").document
    assert document["total"]["cost_usd"] == 2.0
    assert document["since"] is not None
    assert "Since 2026-11-21 00:00" in aispool("usage", "--since", "2026-11-21").out
    aispool("usage", "--since", "once", code=2)


def test_by_label(aispool: Run, over: Run) -> None:
    """A task counts for each of its labels, and once in the total."""
    over("a", labels=("x", "y"), **attempts(Usage(cost_usd=1.0)))
    over("b", **attempts(Usage(cost_usd=2.0)))
    document = aispool("usage", "--by", "label", "--json").document
    assert [(p["label"], p["cost_usd"]) for p in document["parts"]] == [("x", 1.0), ("y", 1.0), (None, 2.0)]
    assert document["total"]["cost_usd"] == 3.0
    assert "(none)" in aispool("usage", "--by", "label").out


def test_nothing_yet(aispool: Run) -> None:
    """An empty workspace has used nothing."""
    assert aispool("usage").out == "nothing was run\n"
    total = aispool("usage", "--json").document["total"]
    assert (total["attempts"], total["cost_usd"]) == (0, 0.0)


def test_todays_budgets(aispool: Run, workspace: Workspace, over: Run) -> None:
    """What was spent of each, whatever --since says."""
    (workspace.configs / "agent.toml").write_text(
        '[[budgets]]\ntool = "shell"\nmax_cost_usd = 1.0\n[[budgets]]\nlabel = "x"\nmax_tokens = 9\n'
    )
    over("a", **attempts(Usage(cost_usd=1.5), at=utc_now()))
    over("old", labels=("x",), **attempts(Usage(input_tokens=99)))
    said = aispool("usage", "--since", "1m")
    assert "1.00 USD for tool shell  used up" in said.out
    money, tokens = aispool("usage", "--json").document["budgets"]
    assert (money["used_up"], money["cost_usd"]) == (True, 1.5)
    assert (tokens["used_up"], tokens["label"], tokens["attempts"]) == (False, "x", 0)


def test_a_damaged_result_is_left_out(aispool: Run, workspace: Workspace, over: Run) -> None:
    """One torn file hides nothing else."""
    over("a", **attempts(Usage(cost_usd=1.0)))
    (workspace.results / "torn").mkdir()
    (workspace.results / "torn" / "result.json").write_text('{"task_id": "to')
    assert aispool("usage", "--json").document["total"]["cost_usd"] == 1.0
