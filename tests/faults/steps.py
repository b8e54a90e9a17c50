"""Groups 1 and 2: a kill, or an error, at every step of every process in every scenario."""
# ruff: noqa: S311 - draws cases, not keys

from __future__ import annotations

import os
import random
from typing import Any

from faults.points import point_of
from faults.scenarios import SCENARIOS
from faults.world import CHILD_KILLED

MUTATING = 2 | 4 | 8 | 16 | 32 | 64 | 128 | 512 | 2048
CHANGING = 2 | 4 | 8 | 16 | 32
"""What changes a disk."""
WRITE, NAME, FSYNC = 4, 8, 16
KINDS = {
    "kill-before": MUTATING,
    "kill-after": MUTATING,
    "kill-mid": WRITE,
    "kill-forked": 64,
    "kill-exec": 64,
    "ENOSPC": 2 | 4 | 8 | 16 | 32,
    "EDQUOT": 2 | 4 | 8 | 16 | 32,
    "EIO": 1 | 2 | 4 | 8 | 16 | 32 | 256,
    "EMFILE": 1 | 2 | 128,
    "EINTR": 1 | 2 | 4 | 16,
    "fsync-EIO": 16,
    "short-write": 4,
    "EAGAIN-fork": 64,
    "ECONNRESET": 2048,
    "stop": MUTATING,
}
KILLS = tuple(fault for fault in KINDS if fault.startswith("kill"))
WAITED_EVERY = 5
MOST = int(os.environ.get("AISPOOL_FAULTS_MOST", "1"))
"""How often each distinct point is tried with each fault."""
ON_DISK = frozenset({"ENOSPC", "EDQUOT", "EIO", "EINTR", "fsync-EIO", "short-write", "stop"})
ONCE_ONLY = frozenset({"EINTR", "EAGAIN-fork", "EDQUOT"})
"""Python repeats an interrupted call for ever, so from-then-on is no fault that can happen; a quota that
stays used up is met as a full disk is."""


def matches(row: list[str], fault: str) -> bool:
    """Tell whether the shim counts this call for this fault."""
    if not KINDS[fault] & int(row[8]):
        return False
    if fault == "kill-exec" and row[0] == "starter":
        return False  # what it forks executes nothing
    path = row[5]
    if fault in ON_DISK and not (
        path.startswith("/dev/shm/") or (path.startswith("/") and not path.startswith(("/dev/", "/proc/")))
    ):
        return False
    return fault != "short-write" or int(row[7]) >= 2


def counts(trace: list[list[str]], fault: str) -> dict[str, list[tuple[int, str]]]:
    """Return each role's calls for a fault: ordinal and point, as the report counts them."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in trace:
        if matches(row, fault):
            calls = found.setdefault(row[0], [])
            calls.append((len(calls) + 1, " ".join(point_of(row)[:3])))
    return found


def kill_cases(traces: dict[str, list[list[str]]], seed: int) -> list[dict[str, Any]]:
    """A kill before, after and in the middle of every call; and again during recovery."""
    draw = random.Random(seed)
    cases = []
    often = Often(MOST)
    for name, trace in _own(traces):
        for fault in KILLS:
            for role, calls in counts(trace, fault).items():
                for number in often.thinned(role, fault, calls):
                    first = [role, number, 1, fault]
                    waited = role == "wrapper" or (role == "agent" and fault in CHILD_KILLED)
                    impatient = {"impatient": True} if waited and not _waits(name, number) else {}
                    cases.append({"group": "kill", "scenario": name, "faults": [first]} | impatient)
                    if fault in {"kill-mid", *CHILD_KILLED} or role.startswith("recovery"):
                        continue
                    again = [
                        ["recovery1", draw.randint(8, 90), 1, draw.choice(("kill-before", "kill-after"))],
                        ["recovery2", draw.randint(8, 60), 1, draw.choice(("kill-before", "kill-after"))],
                    ]
                    cases.append({"group": "kill", "scenario": name, "faults": [first, *again]} | impatient)
        if "wrapper" in {row[0] for row in trace}:
            cases += [_wrapper_never_came(name, times) for times in (1, 2) if times == 1 or name == "plain"]
    return cases


def _own(traces: dict[str, list[list[str]]]) -> list[tuple[str, list[list[str]]]]:
    """Return the traces of our scenarios; other groups make some of their own."""
    return [(name, trace) for name, trace in traces.items() if name in SCENARIOS]


def _waits(scenario: str, number: int) -> bool:
    """Tell whether the agent's 15 s for a wrapper that does not come are waited for: now and then."""
    return scenario == "idempotent" and number % WAITED_EVERY == 0


def _wrapper_never_came(name: str, times: int) -> dict[str, Any]:
    """Kill the first children of tmux that are to become wrappers, between fork and exec."""
    impatient = {} if name == "idempotent" else {"impatient": True}
    return {"group": "kill", "scenario": name, "faults": [["tmux", 1, 1, "kill-exec"]] * times} | impatient


def error_cases(traces: dict[str, list[list[str]]], _seed: int) -> list[dict[str, Any]]:
    """Every error at every call that can give it: once, and from then on."""
    cases = []
    once, from_then = Often(MOST), Often(1)
    for name, trace in _own(traces):
        for fault in KINDS:
            if fault in KILLS or fault == "stop":
                continue
            for role, calls in counts(trace, fault).items():
                persistent = set() if fault in ONCE_ONLY else set(from_then.thinned(role, fault, calls))
                for number in once.thinned(role, fault, calls):
                    impatient = role == "wrapper" and not _waits(name, number)
                    case = {"group": "error", "scenario": name} | ({"impatient": True} if impatient else {})
                    cases.append(case | {"faults": [[role, number, 1, fault]]})
                    if number in persistent:
                        cases.append(case | {"faults": [[role, number, -1, fault]], "patience_s": 1.5})
    return cases


class Often:
    """Keeps the first occurrences of a point over all scenarios: a loop that polls is one, not a thousand."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[tuple[str, str, str], int] = {}

    def thinned(self, role: str, fault: str, calls: list[tuple[int, str]]) -> list[int]:
        """Return the ordinals to try."""
        kept = []
        for number, site in calls:
            key = (role, fault, site)
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] <= self._most:
                kept.append(number)
        return kept


def trace_cases() -> list[dict[str, Any]]:
    """Return the runs that find every call."""
    return [{"group": "trace", "scenario": name, "faults": [["*", 1, -1, "trace"]]} for name in SCENARIOS]
