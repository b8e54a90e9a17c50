"""What starts when: priorities, dependencies, times and limits, on a real agent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Host


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def most_at_once(results: list[dict[str, Any]]) -> int:
    """How many of the tasks ran at the same time, by their own start and end."""
    edges = [(moment(r["started_at"]), 1) for r in results] + [
        (moment(r["finished_at"]), -1) for r in results
    ]
    most = now = 0
    for _, step in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        now += step
        most = max(most, now)
    return most


def test_priorities_order_the_line(host: Host) -> None:
    """With one slot the more urgent starts first, and of equals the first that came."""
    for task_id, priority in (
        ("low", "low"),
        ("normal-1", "normal"),
        ("normal-2", "normal"),
        ("high", "high"),
        ("critical", "critical"),
        ("number", 25),
    ):
        host.drop(task_id, priority=priority)
    host.drain(slots=1)
    order = [line.split()[0] for line in host.ledger()]
    assert order == ["critical", "number", "high", "normal-1", "normal-2", "low"]


def test_dependencies_run_first(host: Host) -> None:
    """A task starts after all it depends on have succeeded, in whatever order they were dropped."""
    host.drop("c", dependencies=["a", "b"])
    host.drop("b", dependencies=["a"])
    host.drop("a")
    host.drain(slots=4)
    assert [line.split()[0] for line in host.ledger()] == ["a", "b", "c"]


def test_failed_dependency_ends_all_that_need_it(host: Host) -> None:
    """What depends on a failed task ends as dependency_failed, and so on down the chain."""
    host.drop("a", "fail", "9", "3")
    host.drop("b", dependencies=["a"])
    host.drop("c", dependencies=["b"])
    host.drain()
    assert host.results("a", "b", "c") == {
        "a": "failed",
        "b": "dependency_failed",
        "c": "dependency_failed",
    }
    assert "dependency a did not succeed: failed" in host.result("b")["reason"]
    assert host.result("a")["exit_code"] == 3
    assert host.result("b")["attempts"] == []
    assert host.ledger() == ["a 001"]


def test_cycle_is_rejected_and_named(host: Host) -> None:
    """Tasks that wait for each other are rejected, with the way round; others are not harmed."""
    host.drop("x", dependencies=["z"])
    host.drop("y", dependencies=["x"])
    host.drop("z", dependencies=["y"])
    host.drop("self", dependencies=["self"])
    host.drop("other")
    host.drain()
    for name in ("x", "y", "z"):
        refusal = host.refusal(f"{name}.json")
        assert "dependency cycle: x → z → y → x" in refusal["what"]
        assert refusal["where"]["field"] == "dependencies"
    assert "self → self" in host.refusal("self.json")["what"]
    assert host.results("other") == {"other": "succeeded"}
    assert host.ledger() == ["other 001"]


def test_unknown_dependency_blocks_and_says_so(host: Host) -> None:
    """A task with an unknown dependency waits; its line names both ids; it starts when the other succeeds."""
    host.start()
    host.drop("late", name="any-name.json", dependencies=["not-there-yet"])
    line = host.why("any-name", "not-there-yet")
    assert line.startswith("late blocked: ")
    assert line.count("\n") == 1
    host.drop("not-there-yet")
    assert host.results("late") == {"late": "succeeded"}
    assert not list(host.ws.tasks.glob("*.why"))


def test_task_without_id_is_told_its_own(host: Host) -> None:
    """A file without task_id gets its stem and a ULID; the line beside it names the id before it starts."""
    host.start()
    fields = {"tool": "actor", "command": "finish", "dependencies": ["missing"]}
    host.put("nightly report.json", json.dumps(fields).encode())
    given = host.why("nightly report", "missing").split()[0]
    assert given.startswith("nightly-report-")
    host.drop("missing")
    assert host.results(given) == {given: "succeeded"}


def test_same_file_can_be_dropped_every_night(host: Host) -> None:
    """Without a task_id the same bytes under the same name are a new task every time."""
    host.start()
    for expected in (1, 2, 3):
        host.put("cron.json", b'{"tool": "actor", "command": "finish"}')
        host.wait(
            lambda n=expected: len(list(host.ws.results.glob("cron-*/result.json"))) == n, "another result"
        )
    assert len(host.ledger()) == 3


def test_not_before_and_expires_at(host: Host) -> None:
    """Nothing starts before its time; what could not start by its time ends as expired, never started."""
    host.drop("later", not_before=in_s(1.5))
    host.drop("past", expires_at=in_s(-60))
    host.drop("soon", dependencies=["missing"], expires_at=in_s(1.5))
    host.drop("fine", expires_at=in_s(600))
    host.start()
    states = host.results("later", "past", "soon", "fine")
    assert states == {"later": "succeeded", "past": "expired", "soon": "expired", "fine": "succeeded"}
    task = host.read(host.ws.results / "later" / "task.json")
    assert task is not None
    assert moment(host.result("later")["started_at"]) >= moment(task["not_before"])
    assert {line.split()[0] for line in host.ledger()} == {"later", "fine"}


def test_slots_limit_all(host: Host) -> None:
    """Never more tasks at once than slots, and all slots are used."""
    names = [f"n{i}" for i in range(6)]
    for name in names:
        host.drop(name, "nap", "0.4")
    host.drain(slots=2)
    assert most_at_once([host.result(name) for name in names]) == 2


def test_slots_by_tool_and_group_and_weight(host: Host) -> None:
    """A tool, a group and a weight each limit only their own; the others use what is left."""
    host.configure(slots_by_tool={"shell": 1}, slots_by_group={"narrow": 1})
    by_tool = [f"tool{i}" for i in range(3)]
    by_group = [f"group{i}" for i in range(3)]
    heavy = [f"heavy{i}" for i in range(2)]
    for name in by_tool:
        host.shell(name, "sleep 0.3")
    for name in by_group:
        host.drop(name, "nap", "0.3", group="narrow")
    for name in heavy:
        host.drop(name, "nap", "0.3", weight=4)
    host.drain(slots=6)
    results = {name: host.result(name) for name in (*by_tool, *by_group, *heavy)}
    assert {result["state"] for result in results.values()} == {"succeeded"}
    assert most_at_once([results[name] for name in by_tool]) == 1
    assert most_at_once([results[name] for name in by_group]) == 1
    assert most_at_once([results[name] for name in heavy]) == 1
    assert most_at_once(list(results.values())) >= 2


def test_weight_beyond_all_slots_waits_and_says_so(host: Host) -> None:
    """A task heavier than the agent does not starve in silence, and does not stop the others."""
    host.start(slots=2)
    host.drop("whale", weight=3)
    assert "3" in host.why("whale", "slots")
    host.drop("fish")
    assert host.results("fish") == {"fish": "succeeded"}


def test_pause_files_stop_claims(host: Host) -> None:
    """configs/paused, paused.tool.NAME and paused.group.NAME stop exactly what they name, until removed."""
    for name in ("paused.tool.shell", "paused.group.night"):
        (host.ws.configs / name).touch()
    host.start()
    host.shell("by-tool", "true")
    host.drop("by-group", group="night")
    host.drop("free")
    assert host.results("free") == {"free": "succeeded"}
    host.why("by-tool", "paused")
    host.why("by-group", "paused")
    (host.ws.configs / "paused").touch()
    (host.ws.configs / "paused.tool.shell").unlink()
    (host.ws.configs / "paused.group.night").unlink()
    host.drop("also")
    host.why("also", "paused")
    assert host.ledger() == ["free 001"]
    (host.ws.configs / "paused").unlink()
    assert set(host.results("by-tool", "by-group", "also").values()) == {"succeeded"}
