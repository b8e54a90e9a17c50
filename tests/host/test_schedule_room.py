from __future__ import annotations

from typing import Any

import pytest

from agent.host.schedule import (
    Closed,
    Launch,
    Limits,
    Plan,
    Running,
    Wait,
    Waiting,
    WaitingIndex,
    plan,
)
from agent.host.waiting import AGEING_S_PER_POINT
from spool.task import MAX_PRIORITY

NOW_S = 1_790_000_000.0
CRITICAL, HIGH, NORMAL, LOW = 30, 20, 10, 0


def task(task_id: str, **fields: Any) -> Waiting:
    return Waiting(**{"task_id": task_id, "tool": "shell", "submitted_at_s": NOW_S, **fields})


def running(task_id: str, **fields: Any) -> Running:
    return Running(**{"task_id": task_id, "tool": "shell", **fields})


def decide(
    *tasks: Waiting,
    busy: tuple[Running, ...] = (),
    **limits: Any,
) -> Plan:
    return plan(WaitingIndex(tasks), Limits(**{"slots": 2, **limits}), busy, {}.get, NOW_S)


def launched(decided: Plan) -> list[str]:
    return [launch.task_id for launch in decided.launches]


def reason(decided: Plan, task_id: str) -> str:
    decision = decided.decision(task_id)
    assert not isinstance(decision, Launch)
    return decision.reason


def test_priority_comes_first() -> None:
    """Of tasks dropped together, the more urgent ones start."""
    decided = decide(task("a", priority=LOW), task("b", priority=CRITICAL), task("c", priority=HIGH))
    assert launched(decided) == ["b", "c"]


def test_an_hour_of_waiting_is_worth_ten_points() -> None:
    """A normal task that waited more than an hour goes before a high one that just came."""
    waited = task("waited", priority=NORMAL, submitted_at_s=NOW_S - 3601)
    assert launched(decide(waited, task("new", priority=HIGH), slots=1)) == ["waited"]
    waited = task("waited", priority=NORMAL, submitted_at_s=NOW_S - 3599)
    assert launched(decide(waited, task("new", priority=HIGH), slots=1)) == ["new"]


def test_equal_places_go_by_id() -> None:
    """Two tasks of the same moment and priority have a fixed order all the same."""
    assert launched(decide(task("b"), task("a"), slots=1)) == ["a"]


def test_no_priority_is_beyond_patience() -> None:
    """The lowest that a task may ask for goes before the highest once it has waited long enough."""
    new = task("new", priority=MAX_PRIORITY)
    lead_s = 2 * MAX_PRIORITY * AGEING_S_PER_POINT
    waited = task("waited", priority=-MAX_PRIORITY, submitted_at_s=NOW_S - lead_s - 1)
    assert launched(decide(waited, new, slots=1)) == ["waited"]
    waited = task("waited", priority=-MAX_PRIORITY, submitted_at_s=NOW_S - lead_s + 1)
    assert launched(decide(waited, new, slots=1)) == ["new"]


def test_all_slots_busy_says_so() -> None:
    """A full agent starts nothing, and the reason has the number."""
    decided = decide(task("a"), busy=(running("x"), running("y")))
    assert decided.decision("a") == Wait("a", "queued", "queued: all 2 slots are busy")


def test_a_task_that_waits_for_a_person_frees_its_slot() -> None:
    """Waiting for input or for a retry occupies no slot."""
    idle = running("x", occupies_slot=False)
    assert launched(decide(task("a"), busy=(idle,), slots=1)) == ["a"]


def test_a_full_tool_hides_no_other_tool() -> None:
    """Behind a tool at its limit, other tools start."""
    tasks = [task("g1", tool="gemini"), task("g2", tool="gemini"), task("s1", priority=LOW)]
    decided = decide(*tasks, tool_slots={"gemini": 1}, slots=3)
    assert launched(decided) == ["g1", "s1"]
    assert reason(decided, "g2") == "queued: the only slot of tool gemini is busy"


def test_group_limits_hold_across_tools() -> None:
    """A group's slots are shared by all tools in it."""
    tasks = [task("a", tool="gemini", group="gpu"), task("b", tool="qwen", group="gpu"), task("c")]
    decided = decide(*tasks, group_slots={"gpu": 1}, slots=9)
    assert launched(decided) == ["a", "c"]
    assert reason(decided, "b") == "queued: the only slot of group gpu is busy"


def test_weight_counts_in_every_limit() -> None:
    """A task of weight 2 takes two slots of the agent, of its tool and of its group."""
    heavy = running("x", weight=2, group="gpu")
    decided = decide(task("a"), busy=(heavy,), slots=4, tool_slots={"shell": 2})
    assert reason(decided, "a") == "queued: all 2 slots of tool shell are busy"
    decided = decide(task("a", group="gpu", weight=2), busy=(heavy,), slots=4, group_slots={"gpu": 3})
    assert reason(decided, "a") == "queued: needs 2 slots of group gpu, and 1 of 3 is free"


def test_a_task_too_heavy_for_this_agent_says_what_to_do() -> None:
    """A weight above the limit can never start; it says so and keeps nobody waiting."""
    old = NOW_S - 99_999
    decided = decide(task("big", weight=4, submitted_at_s=old), task("a"))
    assert launched(decided) == ["a"]
    assert reason(decided, "big") == "queued: needs 4 slots but this agent has 2; raise slots or lower weight"
    decided = decide(task("big", weight=2, submitted_at_s=old), tool_slots={"shell": 1})
    assert reason(decided, "big") == "queued: needs 2 slots but tool shell has 1; raise slots or lower weight"


def test_small_tasks_pass_a_heavy_one_for_a_while() -> None:
    """Before its time is up, a heavy task that lacks room does not leave slots idle."""
    big = task("big", weight=2, submitted_at_s=NOW_S - 600)
    decided = decide(big, task("small"), busy=(running("x"),))
    assert launched(decided) == ["small"]
    assert reason(decided, "big") == "queued: all 2 slots are busy"


def test_slots_are_kept_for_a_heavy_task_that_waited() -> None:
    """After ten minutes, what it lacks is kept free of everything behind it."""
    big = task("big", weight=2, submitted_at_s=NOW_S - 601)
    decided = decide(big, task("small"), busy=(running("x"),))
    assert launched(decided) == []
    assert reason(decided, "big") == "queued: needs 2 slots, and 1 of 2 is free"
    assert (
        reason(decided, "small")
        == "queued: the free slots are kept for big, which needs 2 and has waited long"
    )


def test_a_heavy_task_keeps_only_what_it_lacks() -> None:
    """When only its tool is short, other tools go on."""
    big = task("big", weight=2, submitted_at_s=NOW_S - 601)
    limits = {"slots": 9, "tool_slots": {"shell": 2}}
    decided = decide(big, task("small"), task("other", tool="qwen"), busy=(running("x"),), **limits)
    assert launched(decided) == ["other"]
    assert "kept for big" in reason(decided, "small")


def test_a_paused_heavy_task_keeps_nothing() -> None:
    """A task that may not start anyway does not hold up others."""
    big = task("big", tool="qwen", weight=2, submitted_at_s=NOW_S - 9999)
    assert launched(decide(big, task("a"), busy=(running("x"),), paused_tools=frozenset({"qwen"}))) == ["a"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"paused": True}, "queued: everything is paused (configs/paused)"),
        ({"paused_tools": frozenset({"shell"})}, "queued: tool shell is paused (configs/paused.tool.shell)"),
        ({"paused_groups": frozenset({"gpu"})}, "queued: group gpu is paused (configs/paused.group.gpu)"),
        ({"draining": True}, "queued: this agent is stopping; the next one starts it"),
        ({"claim_blocked": "disk is nearly full: 1 MB left"}, "queued: disk is nearly full: 1 MB left"),
        ({"slots": 0}, "queued: needs 1 slot but this agent has 0; raise slots or lower weight"),
    ],
)
def test_a_stop_is_named(limits: dict[str, Any], expected: str) -> None:
    """Whatever stops a task is named with the file or the fact behind it."""
    decided = decide(task("a", group="gpu"), **limits)
    assert launched(decided) == []
    assert reason(decided, "a") == expected


def test_a_task_for_another_host_waits() -> None:
    """`host` names the only host that may start it."""
    decided = decide(task("a", host="beta"), hosts=frozenset({"alpha"}))
    assert reason(decided, "a") == "queued: it is for host beta; this agent is on alpha"
    assert launched(decide(task("a", host="beta"), hosts=frozenset({"beta", "alpha"}))) == ["a"]


def test_nothing_is_ended_while_nothing_may_be_claimed() -> None:
    """On a full disk an expired task stays where it is; it ends once there is room."""
    over = task("a", expires_at_s=NOW_S - 1)
    decided = decide(over, claim_blocked="disk is nearly full: 1 MB left")
    assert decided.ends == ()
    assert decided.decision("a") == Wait("a", "queued", "queued: disk is nearly full: 1 MB left")


def test_a_rate_limited_tool_waits_and_others_go_on() -> None:
    """No task of a parked tool starts before its time, and the plan says when to look again."""
    until_s = NOW_S + 90
    index = WaitingIndex([task("a"), task("b", tool="qwen", priority=LOW)])
    limits = Limits(slots=2, parked_tools={"shell": until_s, "gemini": NOW_S - 1})
    decided = plan(index, limits, (), {}.get, NOW_S)
    assert launched(decided) == ["b"]
    assert reason(decided, "a") == "queued: tool shell is rate limited until 2026-09-21T14:14:50Z"
    assert decided.next_due_s == until_s
    over = plan(index, limits, (), {}.get, until_s)
    assert launched(over) == ["a", "b"]
    assert over.next_due_s is None


def test_what_a_used_up_budget_covers_waits() -> None:
    """A label, a tool, or both: the rest goes on, and the latest to open again gives the reason."""
    tasks = [
        task("both", labels=("x", "y")),
        task("tool"),
        task("label", tool="qwen", labels=("y",)),
        task("other", tool="qwen", labels=("x",)),
    ]
    closed = (
        Closed(until_s=NOW_S + 9, words="no shell for x", tool="shell", label="x"),
        Closed(until_s=NOW_S + 8, words="no y", label="y"),
    )
    decided = decide(*tasks, slots=9, closed=closed)
    assert launched(decided) == ["other", "tool"]
    assert reason(decided, "both") == "queued: no shell for x"
    assert reason(decided, "label") == "queued: no y"
    assert decided.next_due_s == NOW_S + 8


def test_a_budget_for_everything_stops_everything() -> None:
    """Without tool and label it covers all tasks, next attempts included."""
    closed = (Closed(until_s=NOW_S + 9, words="the day's budget is used up"),)
    decided = decide(task("a"), task("b", retrying=True), closed=closed)
    assert launched(decided) == []
    assert reason(decided, "b") == "deferred: the day's budget is used up"


def test_lanes_part_only_while_a_label_matters() -> None:
    """Labels of all kinds make no lanes; a budget's label does while the budget is used up."""
    index = WaitingIndex(task(f"t{number}", labels=("x", f"l{number}")) for number in range(9))
    plan(index, Limits(slots=1), (), {}.get, NOW_S)
    assert len(index.lanes()) == 1
    closed = (Closed(until_s=NOW_S + 9, words="no l3", label="l3"),)
    decided = plan(index, Limits(slots=9, closed=closed), (), {}.get, NOW_S)
    assert (len(index.lanes()), len(launched(decided))) == (2, 8)
    index.remove("t3")
    index.remove("t4")
    assert len(launched(plan(index, Limits(slots=9), (), {}.get, NOW_S))) == 7
    assert len(index.lanes()) == 1


def test_a_tool_without_slots_is_bounded_by_its_own() -> None:
    """What waits for other tasks takes none of the slots that they need, and is not unbounded."""
    tasks = [task(f"c{number}", tool="collab") for number in range(3)]
    decided = decide(
        *tasks, task("s"), slots=1, slotless_tools=frozenset({"collab"}), tool_slots={"collab": 2}
    )
    assert sorted(launched(decided)) == ["c0", "c1", "s"]
    assert reason(decided, "c2") == "queued: all 2 slots of tool collab are busy"


def test_a_full_agent_still_starts_what_takes_no_slot() -> None:
    """And what runs without a slot keeps none from the others."""
    limits: dict[str, Any] = {
        "slots": 1,
        "slotless_tools": frozenset({"collab"}),
        "tool_slots": {"collab": 4},
    }
    full = decide(task("c", tool="collab"), task("s"), busy=(running("r"),), **limits)
    assert launched(full) == ["c"]
    assert reason(full, "s") == "queued: the only slot is busy"
    assert launched(decide(task("s"), busy=(running("c", tool="collab"),), **limits)) == ["s"]
