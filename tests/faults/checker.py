"""Checks the invariants I1-I8 of a workspace from the outside. Shares no code with the product.

What the tools did is read from the world: each run appends one line to a ledger that no part of the product
knows. What was asked for is in a history that the harness keeps. Everything else is plain files, read with
`json` and `os`. A finding is one sentence that begins with the invariant's number.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OVER = {"succeeded", "failed", "timed_out", "cancelled", "lost", "dependency_failed", "expired"}
MARK = re.compile(rb"mark-[A-Za-z0-9._-]+")
TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESULT_FIELDS = {
    *(
        "schema_version",
        "task_id",
        "tool",
        "command",
        "state",
        "reason",
        "exit_code",
        "signal",
        "host",
        "session",
    ),
    *(
        "source_name",
        "submitted_at",
        "started_at",
        "finished_at",
        "duration_s",
        "attempts",
        "output",
        "usage",
    ),
    *("tool_session_id", "artifacts"),
}
ALWAYS_JSON = {"task.json", "status.json", "result.json", "intent", "started", "exit", "agent.json"}


@dataclass(slots=True)
class Expected:
    """One task as the history has it.

    Args:
        mark: a text that only this task holds, of MARK's form.
        task_id: the id it asked for; None when the agent gives one.
        certain: the client was told that it was accepted, or put the whole file there itself.
        states: in which it may end.
        retries: attempts after a failure that it asked for, and that people asked for later.
        idempotent: may be run again after it was lost.
        ledger: its tool writes a line for each run.
        refused: it must end in rejected/ instead.
        pruned: retention may have removed it.
        asked_again: a person asked for another run.
        content: the dropped bytes, for a refusal that must leave them untouched.
    """

    mark: str
    task_id: str | None = None
    certain: bool = True
    states: tuple[str, ...] = ("succeeded",)
    retries: int = 0
    idempotent: bool = False
    ledger: bool = True
    refused: bool = False
    content: bytes | None = None
    pruned: bool = False
    asked_again: bool = False


@dataclass(slots=True)
class History:
    """What was asked for, and what may not appear."""

    tasks: list[Expected] = field(default_factory=list)
    secrets: tuple[str, ...] = ()


@dataclass(slots=True)
class Line:
    """One run of a tool, as the tool itself wrote it down."""

    attempt: str
    pid: int

    @property
    def task_id(self) -> str:
        """Return whose run it was."""
        return Path(self.attempt).parent.parent.name

    @property
    def number(self) -> int:
        """Return which attempt it was."""
        return int(Path(self.attempt).name)


def read_ledger(path: Path) -> list[Line]:
    """Read one line a run: the attempt's folder as the tool was told it, and its pid."""
    if not path.exists():
        return []
    lines = []
    for raw in path.read_text().splitlines():
        attempt, _, pid = raw.rpartition(" ")
        lines.append(Line(attempt, int(pid)))
    return lines


def read_json(path: Path) -> Any:
    """Read a whole file; raise ValueError for a torn one."""
    return json.loads(path.read_bytes())


def names(folder: Path) -> list[str]:
    """List a folder that may be missing."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


# ------------------------------------------------------------------------------------------ at any moment


def torn_files(root: Path) -> list[str]:
    """I6 at any moment, also in the middle of a crash: what has its final name is whole."""
    found = []
    for parent, _folders, files in os.walk(root):
        here = Path(parent)
        if (
            here == root / "tasks"
            or here == root / "tasks" / "held"
            or "files" in here.parts
            or here.name == "source"
        ):
            continue
        for name in files:
            if name in ALWAYS_JSON or (name.endswith(".error.json") and here == root / "rejected"):
                try:
                    read_json(here / name)
                except FileNotFoundError:
                    continue
                except ValueError as error:
                    found.append(f"I6: {here.relative_to(root) / name} is torn: {error}")
    return found


def places(root: Path) -> dict[str, list[str]]:
    """Return mark → every place in which a task with this mark lies."""
    found: dict[str, list[str]] = {}
    for folder in ("tasks", "tasks/held", "rejected"):
        for name in names(root / folder):
            path = root / folder / name
            elsewhere = name.startswith(".") or name.endswith(".error.json")
            if elsewhere or not path.is_file() or (folder != "rejected" and not name.endswith(".json")):
                continue  # what has no name of a task is not there
            for mark in _marks_in(path):
                found.setdefault(mark, []).append(f"{folder}/{name}")
    for folder in (
        "sessions",
        "results",
        *(f"sessions/{n}" for n in names(root / "sessions") if n.startswith(".agent-")),
    ):
        for name in names(root / folder):
            path = root / folder / name
            if TASK_ID.fullmatch(name) and path.is_dir():
                for mark in _marks_of(path):
                    found.setdefault(mark, []).append(f"{folder}/{name}")
    return found


def _marks_of(folder: Path) -> set[str]:
    candidates = [folder / "task.json", *(folder / "source" / n for n in names(folder / "source"))]
    return {mark for path in candidates for mark in _marks_in(path)}


def _marks_in(path: Path) -> set[str]:
    try:
        return {mark.decode() for mark in MARK.findall(path.read_bytes())}
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return set()


def crossed(root: Path, history: History) -> list[str]:
    """I1 at any moment: a certain task is in exactly one place, an uncertain one in at most one."""
    return _crossed(root, history, places(root))


def _crossed(root: Path, history: History, lies: dict[str, list[str]]) -> list[str]:
    found = []
    for task in history.tasks:
        here = lies.get(task.mark, [])
        if len(here) > 1:
            found.append(f"I1: {task.mark} is in {len(here)} places: {', '.join(here)}")
        elif not here and task.pruned:
            if not (root / "results" / ".tombstones" / str(task.task_id)).exists():
                found.append(f"I1: {task.mark} was pruned without a tombstone")
        elif not here and task.certain:
            found.append(f"I1: {task.mark} is nowhere")
    return found


# ------------------------------------------------------------------------------------------ after recovery


def check(root: Path, ledger: Path, history: History) -> list[str]:
    """Return every violation in a workspace that has come to rest."""
    lies = places(root)
    found = [*torn_files(root), *_crossed(root, history, lies)]
    lines = read_ledger(ledger)
    found += ran_twice(lines)
    ran = by_task(lines)
    for task in history.tasks:
        found += _check_task(root, ran, task, lies.get(task.mark, []))
    uncertain = {task.task_id for task in history.tasks if not task.certain}
    found += left_behind(root, uncertain)
    found += leaked(root, history.secrets)
    return found


def by_task(lines: list[Line]) -> dict[str, list[Line]]:
    """Sort the runs by whose they were."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.task_id, []).append(line)
    return found


def ran_twice(lines: list[Line]) -> list[str]:
    """I2 by the world's own account."""
    counted = Counter(line.attempt for line in lines)
    return [
        f"I2: attempt {Path(a).parent.parent.name}/{Path(a).name} ran {n} times"
        for a, n in counted.items()
        if n > 1
    ]


def _check_task(root: Path, ran: dict[str, list[Line]], task: Expected, lies: list[str]) -> list[str]:
    if len(lies) != 1:
        return []  # said already
    place = lies[0]
    if task.refused:
        return _check_refused(root, place, task)
    if not place.startswith("results/"):
        return [f"I5: {task.mark} did not end: it lies in {place}"]
    folder = root / place
    if task.task_id is not None and folder.name != task.task_id:
        return [f"I1: {task.mark} asked for the id {task.task_id} and got {folder.name}"]
    return check_over(folder, ran.get(folder.name, []), task)


def check_over(folder: Path, lines: list[Line], task: Expected) -> list[str]:
    """Return what is wrong with one task that is over.

    Args:
        folder: its result's.
        lines: its runs.
        task: what was asked for.
    """
    return [*_check_result(folder, task), *_check_attempts(folder, lines, task), *_check_bytes(folder, task)]


def _check_refused(root: Path, place: str, task: Expected) -> list[str]:
    if not place.startswith("rejected/"):
        return [f"I4: {task.mark} was to be refused, and lies in {place}"]
    path = root / place
    found = []
    if task.content is not None and path.read_bytes() != task.content:
        found.append(f"I4: {place} was changed")
    try:
        error = read_json(path.with_name(f"{path.name}.error.json"))
    except (FileNotFoundError, ValueError) as problem:
        return [*found, f"I4: {place} has no whole explanation: {problem}"]
    if not error.get("what") or not error.get("remedy"):
        found.append(f"I4: the explanation of {place} does not say what and what to do")
    return found


def _check_result(folder: Path, task: Expected) -> list[str]:
    try:
        result = read_json(folder / "result.json")
    except (FileNotFoundError, ValueError) as error:
        return [f"I6: {folder.name} has no whole result: {error}"]
    found = []
    missing = RESULT_FIELDS - set(result)
    if missing:
        found.append(f"I6: the result of {folder.name} lacks {sorted(missing)}")
    if result.get("task_id") != folder.name:
        found.append(f"I6: the result of {folder.name} is of {result.get('task_id')}")
    if result.get("state") not in task.states:
        found.append(
            f"I5: {folder.name} ended {result.get('state')} ({result.get('reason')}), expected {task.states}"
        )
    for name in ("stdout", "stderr"):
        relative = (result.get("output") or {}).get(name)
        if relative and not (folder / relative).exists():
            found.append(f"I6: the result of {folder.name} names {relative}, which is not there")
    return found


def _check_attempts(folder: Path, lines: list[Line], task: Expected) -> list[str]:
    """I2 and the honesty of the record: what ran is recorded, what is recorded ran, no reason is no rerun."""
    name = folder.name
    attempts = [n for n in names(folder / "attempts") if n.isdigit()]
    numbers = [int(n) for n in attempts]
    started = [n for n in attempts if (folder / "attempts" / n / "started").exists()]
    ran = {line.number for line in lines}
    most = 1 + task.retries + (3 if task.idempotent else 0)
    found = []
    if len(lines) > most:
        found.append(f"I2: {name} ran {len(lines)} times, allowed are {most}")
    if not task.idempotent and task.retries == 0 and len(started) > 1:
        found.append(f"I2: {name} started {len(started)} attempts without leave")
    found += [f"I2: {name} ran an attempt {number} without a folder" for number in ran - set(numbers)]
    found += [
        f"I2: {name} was lost in attempt {n}, and ran again" for n in _reruns_of_lost(folder, ran, task)
    ]
    found += [
        f"I2: attempt {number} of {name} ran without a record of its start"
        for number in ran
        if not (folder / "attempts" / f"{number:03d}" / "started").exists()
    ]
    return found + _check_claims(folder, lines, max(numbers, default=0), task)


def _reruns_of_lost(folder: Path, ran: set[int], task: Expected) -> list[int]:
    """Return the lost attempts after which the task ran again, without having said that this is harmless."""
    if task.idempotent or task.asked_again:
        return []
    ends = {number: _end_of(folder / "attempts" / f"{number:03d}") for number in ran}
    return [n for n, end in ends.items() if end in {"lost", "shutdown"} and max(ran) > n]


def _check_claims(folder: Path, lines: list[Line], last: int, task: Expected) -> list[str]:
    """Compare what the result says with what the world says."""
    try:
        result = read_json(folder / "result.json")
    except (FileNotFoundError, ValueError):
        return []  # said already
    found = []
    if result.get("state") == "succeeded" and task.ledger and not lines:
        found.append(f"I2: {folder.name} is said to have succeeded and never ran")
    if "could not be started" in str(result.get("reason")) and any(line.number == last for line in lines):
        found.append(f"I2: {folder.name} is said not to have started, and ran")
    return found


def _end_of(attempt: Path) -> str | None:
    try:
        ended = read_json(attempt / "exit")
    except (FileNotFoundError, ValueError):
        return None
    return str(ended.get("ended_by"))


def _check_bytes(folder: Path, task: Expected) -> list[str]:
    """I3: the digest that every attempt was started with is that of task.json; the source is untouched."""
    found = []
    copy = folder / "task.json"
    if not copy.exists():
        return [f"I3: {folder.name} has no validated copy"]
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    for number in names(folder / "attempts"):
        intent = folder / "attempts" / number / "intent"
        if intent.exists() and read_json(intent).get("task_sha256") != digest:
            found.append(f"I3: attempt {number} of {folder.name} was validated with other bytes")
    sources = names(folder / "source")
    if sources:
        content = (folder / "source" / sources[0]).read_bytes()
        recorded = read_json(copy).get("source_sha256")
        if recorded and hashlib.sha256(content).hexdigest() != recorded:
            found.append(f"I3: the source of {folder.name} is not what was validated")
        if task.content is not None and content != task.content:
            found.append(f"I3: the source of {folder.name} is not what was dropped")
    return found


def left_behind(root: Path, uncertain: set[str | None]) -> list[str]:
    """Nothing half-done may lie under a real name once all is at rest; sessions/ is empty of tasks.

    A killed client may leave NAME.files, which it puts there before its task.
    """
    found = [f"I5: sessions/{n} is left" for n in names(root / "sessions") if TASK_ID.fullmatch(n)]
    for agent in names(root / "sessions"):
        if agent.startswith(".agent-"):
            found += [
                f"I5: a claim is left in sessions/{agent}/{n}"
                for n in names(root / "sessions" / agent)
                if TASK_ID.fullmatch(n) and (root / "sessions" / agent / n).is_dir()
            ]
    for name in names(root / "rejected"):
        if name.endswith(".error.json") and not os.path.lexists(root / "rejected" / _told_name(root, name)):
            found.append(f"I4: {name} explains nothing")
    for name in names(root / "tasks"):
        stem = name.removesuffix(".files")
        waits = any(os.path.lexists(root / folder / f"{stem}.json") for folder in ("tasks", "tasks/held"))
        is_files = name.endswith(".files") and not name.startswith(".")
        if is_files and not waits and stem not in uncertain:
            found.append(f"I1: tasks/{name} is left without its task")
    return found


def _told_name(root: Path, name: str) -> str:
    """Return the name of the file that an explanation is about; a long one is shortened."""
    try:
        return str(read_json(root / "rejected" / name)["file"])
    except (ValueError, KeyError, FileNotFoundError):
        return name.removesuffix(".error.json")


def temporary_files(root: Path) -> list[str]:
    """Dotfiles that killed writers left; harmless, and counted."""
    return [
        str(Path(parent, name).relative_to(root))
        for parent, _folders, files in os.walk(root)
        for name in files
        if name.startswith(".") and (name.endswith((".tmp", ".part")) or name == ".exit")
    ]


def stale_lines(root: Path) -> list[str]:
    """What is only information and outlived its task: a status in results/, a .why alone; it is counted."""
    statuses = [f"results/{n}/status.json" for n in names(root / "results")]
    whys = [n for n in names(root / "tasks") if n.endswith(".why")]
    alone = [n for n in whys if not (root / "tasks" / f"{n.removesuffix('.why')}.json").exists()]
    return [path for path in statuses if (root / path).exists()] + [f"tasks/{name}" for name in alone]


def leaked(root: Path, secrets: tuple[str, ...]) -> list[str]:
    """I8: a secret stands in no file but its own, and in no command line."""
    found = []
    if not secrets:
        return found
    wanted = [secret.encode() for secret in secrets]
    for parent, _folders, files in os.walk(root):
        if Path(parent) == root / "configs" / "env":
            continue
        for name in files:
            path = Path(parent, name)
            try:
                content = b"" if path.is_symlink() or not path.is_file() else path.read_bytes()
            except OSError:
                continue
            found += [
                f"I8: a secret stands in {Path(parent, name).relative_to(root)}"
                for w in wanted
                if w in content
            ]
    for pid in names(Path("/proc")):
        if pid.isdigit():
            try:
                line = Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue
            found += [f"I8: a secret stands in the command line of {pid}" for w in wanted if w in line]
    return found


def processes_of(root: Path) -> dict[int, str]:
    """Return the living processes of a folder: by their command line or environment."""
    wanted = os.fsencode(root) + b"/"
    found = {}
    for name in names(Path("/proc")):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            state = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()[0]
            line = Path("/proc", name, "cmdline").read_bytes()
            known = wanted in line or wanted in Path("/proc", name, "environ").read_bytes()
        except (OSError, IndexError):
            continue
        if known and state not in (b"Z", b"X"):
            found[int(name)] = line.replace(b"\0", b" ").decode(errors="replace")[:200]
    return found


def part_of(line: str) -> str:
    """Return which part of a workspace a command line belongs to: tmux, starter, wrapper, or other."""
    if line.startswith("tmux"):
        return "tmux"
    if "agent/wrap.py" not in line:
        return "other"
    return "starter" if "agent/wrap.py --serve" in line else "wrapper"
