"""Budgets: what counts for which, when it is used up, and when it starts anew."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.budget import Budget, Spent, begin_of, day_of, next_day
from agent.host.budgets import Budgets, Ledger
from agent.host.schedule import Limits, Waiting, WaitingIndex, plan
from agent.spending import Spending
from spool.files import make_folder
from spool.records import AttemptRecord, Result, State, Status, Usage
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The host's time zone; UTC unless a test sets another."""

    def use(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    use("UTC")
    yield use
    monkeypatch.undo()
    time.tzset()


def spent(task_id: str = "a", number: int = 1, **fields: Any) -> Spending:
    given: dict[str, Any] = {"tool": "claude", "labels": (), "finished_at": NOON}
    usage = Usage(**{name: fields.pop(name) for name in list(fields) if name in Usage.model_fields})
    return Spending(task_id, number, **{**given, **fields}, usage=usage)


def ledger(*budgets: Budget, of: tuple[Spending, ...] = ()) -> Ledger:
    made = Ledger(budgets, DAY)
    for spending in of:
        made.count(spending)
    return made


def test_a_used_up_budget_names_itself_the_amount_and_when_it_goes_on() -> None:
    """One sentence has all that a person asks."""
    full = ledger(
        Budget(tool="claude", max_cost_usd=5.0), of=(spent(cost_usd=3.0), spent("b", cost_usd=2.12))
    )
    assert full.exhausted("claude", ()) == (
        "the day's budget of 5.00 USD for tool claude is used up (5.12 USD); "
        "it goes on at 2026-11-21T00:00:00Z"
    )
    assert full.exhausted("gemini", ()) is None


def test_tokens_of_both_directions_count() -> None:
    """A budget of tokens is about all of them, cents or not."""
    budget = Budget(label="night", max_tokens=1000)
    half = ledger(budget, of=(spent(labels=("night",), input_tokens=900, output_tokens=99),))
    assert half.exhausted("claude", ("night",)) is None
    half.count(spent("b", tool="qwen", labels=("night", "x"), output_tokens=1))
    assert half.exhausted("qwen", ("x", "night")) == (
        "the day's budget of 1,000 tokens for label night is used up (1,000); "
        "it goes on at 2026-11-21T00:00:00Z"
    )
    assert half.exhausted("qwen", ("x",)) is None


def test_a_budget_of_tool_and_label_needs_both() -> None:
    """Other labels of the tool, and other tools with the label, neither count nor stop."""
    budget = Budget(tool="claude", label="x", max_tokens=1)
    free = ledger(budget, of=(spent(input_tokens=9), spent("b", tool="qwen", labels=("x",), input_tokens=9)))
    assert free.closed() == ()
    free.count(spent("c", labels=("x",), input_tokens=1))
    assert [(c.tool, c.label) for c in free.closed()] == [("claude", "x")]


def test_what_is_unknown_is_counted_apart() -> None:
    """A tool that says no money never uses a budget of money up, and that is told."""
    money, tokens = Budget(max_cost_usd=0.01), Budget(max_tokens=10)
    blind = ledger(money, tokens, of=(spent(input_tokens=9),))
    assert blind.closed() == ()
    assert blind.blind() == [money]


def test_an_attempt_counts_once_and_as_it_was_told_last() -> None:
    """Settling again after a kill, and a result that appears after it was settled, add nothing."""
    counted = ledger(Budget(max_cost_usd=1.0), of=(spent(cost_usd=0.6), spent(cost_usd=0.6)))
    assert counted.closed() == ()
    counted.count(spent(cost_usd=0.9))
    assert counted.closed() == ()
    counted.count(spent(number=2, cost_usd=0.1))
    assert len(counted.closed()) == 1


@given(
    st.lists(
        st.builds(spent, st.sampled_from("abc"), st.integers(1, 2), input_tokens=st.integers(0, 9)),
        max_size=4,
    )
)
def test_the_order_in_which_attempts_are_told_does_not_matter(told: list[Spending]) -> None:
    """Whatever comes first, the sum is that of the attempts."""
    distinct = list({(s.task_id, s.number): s for s in told}.values())
    total = sum(s.usage.input_tokens or 0 for s in distinct)
    for order in permutations(distinct):
        closed = ledger(Budget(max_tokens=10), of=(*order, *order)).closed()
        assert bool(closed) == (total >= 10)


def test_another_day_does_not_count(zone: Any) -> None:
    """The day is the host's: midnight here, not in Greenwich."""
    zone("America/New_York")
    late, next_morning = datetime(2026, 11, 21, 4, 59, tzinfo=UTC), datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
    assert (day_of(late), day_of(next_morning)) == (DAY, date(2026, 11, 21))
    one = ledger(Budget(max_tokens=1), of=(spent(input_tokens=1, finished_at=next_morning),))
    assert one.closed() == ()
    one.count(spent(input_tokens=1, finished_at=late))
    assert one.closed()[0].until_s == next_morning.timestamp()


def test_days_in_which_the_clocks_change(zone: Any) -> None:
    """They have 23 or 25 hours, and every moment is in exactly one day."""
    zone("Europe/Berlin")
    assert next_day(date(2026, 3, 29)) - begin_of(date(2026, 3, 29)) == timedelta(hours=23)
    assert next_day(date(2026, 10, 25)) - begin_of(date(2026, 10, 25)) == timedelta(hours=25)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(max_cost_usd=5), "5.00 USD"),
        (Budget(max_cost_usd=0.002, tool="a"), "0.0020 USD for tool a"),
        (Budget(max_tokens=5000, max_cost_usd=1.5, label="x"), "1.50 USD and 5,000 tokens for label x"),
        (Budget(max_tokens=5, tool="a", label="x"), "5 tokens for tool a with label x"),
    ],
)
def test_a_budget_has_a_name(budget: Budget, expected: str) -> None:
    """As the log and `aispool usage` call it."""
    assert budget.name == expected


def test_unknown_is_not_zero() -> None:
    """A sum says how many attempts it is missing."""
    total = Spent()
    total.add(Usage())
    total.add(Usage(cost_usd=0.0, output_tokens=3))
    assert (total.attempts, total.unknown_cost, total.unknown_tokens, total.tokens) == (2, 1, 1, 3)


# ---------------------------------------------------------------- in a workspace


def over(workspace: Workspace, task_id: str, *usages: Usage, at: datetime = NOON, **fields: Any) -> Path:
    attempts = tuple(
        AttemptRecord(number=number, state=State.FAILED, reason="x", finished_at=at, usage=usage)
        for number, usage in enumerate(usages, 1)
    )
    folder = workspace.results / task_id
    make_folder(folder)
    record: dict[str, Any] = {"tool": "claude", "command": "", "state": State.SUCCEEDED, "reason": "x"}
    record |= {"host": "h", "source_name": "x.json", "submitted_at": at, "finished_at": at}
    Result(**(record | {"task_id": task_id, "attempts": attempts} | fields)).write(folder / "result.json")
    return folder


def accepted(task_id: str) -> AcceptedTask:
    return AcceptedTask(
        task_id=task_id,
        tool="claude",
        command="x",
        source_name="x.json",
        source_sha256="0" * 64,
        submitted_at=NOON,
    )


def in_session(workspace: Workspace, task_id: str, usage: Usage) -> None:
    folder = workspace.sessions / task_id
    make_folder(folder)
    (folder / "task.json").write_text(accepted(task_id).model_dump_json())
    record = AttemptRecord(number=1, state=State.FAILED, reason="x", finished_at=NOON, usage=usage)
    Status(
        task_id=task_id, tool="claude", command="", state=State.DEFERRED, reason="x", since=NOON, attempt=1,
        agent="a", host="h", submitted_at=NOON, source_name="x.json", attempts=(record,),
    ).write(folder / "status.json")  # fmt: skip


def test_the_day_is_read_from_results_and_sessions(workspace: Workspace) -> None:
    """All attempts of today count, those of a task that is tried again too; yesterday's do not."""
    over(workspace, "a", Usage(input_tokens=1), Usage(output_tokens=2))
    over(workspace, "old", Usage(input_tokens=99), at=NOON - timedelta(days=1))
    over(workspace, "sum", Usage(), usage=Usage(input_tokens=10))
    over(workspace, "never", Usage(input_tokens=50), tool="qwen")
    in_session(workspace, "b", Usage(input_tokens=100))
    (workspace.results / "torn").mkdir()
    (workspace.results / "torn" / "result.json").write_text("{")
    budgets = Budgets(workspace, (Budget(tool="claude", max_tokens=1),), lambda: NOON)
    assert "is used up (113)" in str(budgets.exhausted("claude", ()))


def test_settled_attempts_and_results_of_others_are_added(workspace: Workspace) -> None:
    """What we settle counts at once, what another agent wrote when it is seen; each only once."""
    budgets = Budgets(workspace, (Budget(max_tokens=10),), lambda: NOON)
    assert budgets.closed() == ()
    record = AttemptRecord(
        number=1, state=State.FAILED, reason="x", finished_at=NOON, usage=Usage(input_tokens=6)
    )
    budgets.settled(accepted("a"), [record])
    over(workspace, "a", Usage(input_tokens=6))
    budgets.look("a")
    assert budgets.closed() == ()
    over(workspace, "b", Usage(input_tokens=4))
    budgets.look("b")
    assert len(budgets.closed()) == 1
    over(workspace, "c", Usage(input_tokens=4))
    budgets.read_again()
    assert "(14)" in budgets.closed()[0].words


def test_a_new_day_starts_anew(workspace: Workspace) -> None:
    """At midnight the sum is of the new day, though nothing else happened."""
    moments = [NOON]
    over(workspace, "a", Usage(input_tokens=6))
    budgets = Budgets(workspace, (Budget(max_tokens=5),), lambda: moments[0])
    (closed,) = budgets.closed()
    moments[0] = datetime.fromtimestamp(closed.until_s, UTC)
    assert budgets.closed() == ()
    moments[0] = NOON
    assert len(budgets.closed()) == 1, "a clock that is set back"


def test_other_budgets_after_a_reload(workspace: Workspace) -> None:
    """What was spent before counts for them."""
    over(workspace, "a", Usage(input_tokens=6))
    budgets = Budgets(workspace, (), lambda: NOON)
    assert budgets.closed() == ()
    budgets.reload((Budget(max_tokens=5),))
    assert len(budgets.closed()) == 1


def test_the_scheduler_says_why_and_wakes_at_midnight(workspace: Workspace) -> None:
    """From a result on disk to the reason of a waiting task."""
    over(workspace, "a", Usage(cost_usd=5.0))
    budgets = Budgets(workspace, (Budget(tool="claude", max_cost_usd=5.0),), lambda: NOON)
    index = WaitingIndex([Waiting(task_id="b", tool="claude", submitted_at_s=0.0)])
    decided = plan(index, Limits(slots=1, closed=budgets.closed()), (), {}.get, NOON.timestamp())
    assert decided.launches == ()
    assert decided.decision("b").reason == (  # type: ignore[union-attr]
        "queued: the day's budget of 5.00 USD for tool claude is used up (5.00 USD); "
        "it goes on at 2026-11-21T00:00:00Z"
    )
    assert decided.next_due_s == datetime(2026, 11, 21, tzinfo=UTC).timestamp()
