"""Group 8: hostile files in every place that others may write to; none acts, each is accounted for.

The corpus is dropped by the fifty. Each file ends refused and untouched, or run to a result; no canary
appears; what the command line prints of it holds no control character. The control files of a running task,
the options and the agent's bell are replaced by links, folders, FIFOs and noise.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from functools import cache
from pathlib import Path
from typing import Any

from faults import checker
from faults.scenarios import script
from faults.world import World

CORPUS = Path(__file__).parent / "corpus" / "corpus.jsonl"
BATCH = 50
VIEWS = (("ls", "--all"), ("report", "--since", "00:00"), ("health",))
KINDS = (
    "empty",
    "noise",
    "folder",
    "link to a secret",
    "dangling link",
    "FIFO",
    "loop",
    "huge",
    "socket name",
)
TARGETS = (
    *(
        "cancel",
        "answer",
        "status.json",
        "retry",
        "bell",
        "agent.toml",
        "paused",
        "paused.tool.shell",
        "tools.toml",
    ),
    *("hook", "env file", "held", "why", "files", "outbox", "dead"),
    *("an answer", "answered", "approve", "waiting", "cancel while it waits"),
)
ASKING = frozenset({"an answer", "answered", "waiting", "cancel while it waits"})
"""Spoilt while the task waits for a person in its terminal; a good answer then comes."""
ASKS = 'printf question > "$AISPOOL_WAITING"; read -r answer; rm -rf "$AISPOOL_WAITING"; echo "got $answer"'
MAY_END = {"an answer": ("failed",), "answered": ("timed_out",), "waiting": ("failed", "timed_out")}
"""Control characters are typed as they are, and end a tool; one that spoils its own notes gets no answer."""
CONTROL = frozenset(chr(n) for n in (*range(9), *range(11, 32), *range(127, 160)))


def cases(_traces: object, _seed: int) -> list[dict[str, Any]]:
    """The corpus by the fifty; every kind of file in every place."""
    batches = [{"group": "hostile", "first": n} for n in range(0, len(corpus()), BATCH)]
    return batches + [{"group": "hostile", "target": t, "kind": k} for t in TARGETS for k in KINDS]


@cache
def corpus() -> tuple[tuple[bytes, bytes, str], ...]:
    """Return name, content and kind of every hostile file."""
    found = []
    for line in CORPUS.read_text().splitlines():
        entry = json.loads(line)
        if "content" in entry:
            content = base64.b64decode(entry["content"])
        else:
            pattern, size = base64.b64decode(entry["repeat"]["pattern"]), entry["repeat"]["size"]
            content = (pattern * (size // len(pattern) + 1))[:size]
        found.append((base64.b64decode(entry["name"]), content, entry["kind"]))
    return tuple(found)


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    world = World.fresh(base)
    try:
        world.faults([])
        points = _drop_batch(world, case["first"]) if "first" in case else _spoil(world, case)
        found = world.findings() + _acted(world) + _shown(world)
        return {"points": points, "violations": found, "tail": world.tail() if found else ""}
    finally:
        world.end()


def _drop_batch(world: World, first: int) -> list[tuple[str, str, str, str]]:
    canary = os.fsencode(world.base / "canary")
    dropped: dict[bytes, bytes] = {}
    points = []
    for name, content, kind in corpus()[first : first + BATCH]:
        placed = content.replace(b"{canary}", canary)
        Path(os.fsdecode(os.fsencode(world.root / "tasks") + b"/" + name)).write_bytes(placed)
        dropped[name] = placed
        points.append(("agent", "accept", f"{kind}: {name.decode(errors='replace')[:80]!r}", "hostile file"))
    world.drop("good", script(task_id="good-one"))
    for ran in world.recover():
        if "Traceback" in ran.output:
            world.torn.append(f"I4: the agent broke: {ran.output[-300:]}")
    results = {_source_name(world, n) for n in checker.names(world.root / "results")}
    for name, content in dropped.items():
        path = Path(os.fsdecode(os.fsencode(world.root / "rejected") + b"/" + name))
        told = os.fsdecode(name)
        if told in results or (world.root / "tasks" / told).exists():
            continue
        refused = [p for p in _refused(world) if p.name == told or p.read_bytes() == content]
        if not refused:
            world.torn.append(f"I4: {told!r} was neither refused nor run")
        elif path.exists() and path.read_bytes() != content:
            world.torn.append(f"I4: {told!r} was changed")
    return points


def _source_name(world: World, task_id: str) -> str | None:
    sources = checker.names(world.root / "results" / task_id / "source")
    return sources[0] if sources else None


def _refused(world: World) -> list[Path]:
    folder = world.root / "rejected"
    return [
        folder / n for n in checker.names(folder) if not n.endswith(".error.json") and (folder / n).is_file()
    ]


def _acted(world: World) -> list[str]:
    return [
        f"I8: something in a task was executed: {path}"
        for path in world.base.rglob("canary*")
        if path.name == "canary"
    ]


def _shown(world: World) -> list[str]:
    """Look at what people are shown for control characters."""
    found = []
    for words in VIEWS:
        ran = world.run("view", *words)
        if CONTROL & set(ran.output):
            found.append(f"I8: `{' '.join(words)}` prints control characters")
        if "Traceback" in ran.output:
            found.append(f"I8: `{' '.join(words)}` breaks: {ran.output[-200:]}")
    return found


def _spoil(world: World, case: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Replace one of the files that others may write, while a task runs; it ends, and the agent lives."""
    (world.base / "secret").write_text("the-secret-of-somebody")
    world.history.secrets = ("the-secret-of-somebody",)
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    asking = case["target"] in ASKING
    states = ("succeeded", "cancelled", *MAY_END.get(case["target"], ()))
    fields = script(ASKS if asking else "sleep 0.4", task_id="task", timeout=5, interactive=asking)
    world.drop("task", fields | {"waiting_timeout": 20}, states=states)
    world.until(lambda: bool(checker.read_ledger(world.ledger)))
    session = world.root / "sessions" / "task"
    if asking:
        world.until((session / "attempts" / "001" / "waiting").exists)
    world.reads = case["target"] != "status.json"  # what we put there is no record
    place = _place(world, case["target"])
    with contextlib.suppress(OSError):
        _put(world, place, case["kind"])
    os.kill(agent[0], signal.SIGHUP)
    if asking:
        time.sleep(0.6)  # it has been looked at; whoever read it would have typed it by now
        with contextlib.suppress(OSError):  # it is over, or the folder is spoilt
            (session / "answer" / "9.txt").write_text("yes")
    world.until((world.root / "results" / "task" / "result.json").exists, 25 if asking else 5)
    time.sleep(0.2)
    os.kill(agent[0], signal.SIGTERM)
    ran = world.wait(*agent)
    if ran.code != 0 or "Traceback" in ran.output:
        world.torn.append(f"I5: the agent ended {ran.code}: {ran.output[-300:]}")
    _clear(place)
    world.recover()
    return [("agent", "control files", case["target"], case["kind"])]


def _place(world: World, target: str) -> Path:
    session = world.root / "sessions" / "task"
    return {
        "bell": world.root / "sessions" / ".agent-A" / ".bell" / "x\n\x1b[2J",
        "retry": world.root / "results" / "task" / "retry",
        "agent.toml": world.root / "configs" / "agent.toml",
        "tools.toml": world.root / "configs" / "tools.toml",
        "paused": world.root / "configs" / "paused",
        "paused.tool.shell": world.root / "configs" / "paused.tool.shell",
        "hook": world.root / "configs" / "hooks" / "on-finish",
        "env file": world.root / "configs" / "env" / "shell.env",
        "held": world.root / "tasks" / "held" / "x.json",
        "why": world.root / "tasks" / "task.why",
        "files": world.root / "tasks" / "x.files",
        "outbox": world.root / "sessions" / ".agent-A" / ".outbox" / "x.on-finish",
        "an answer": session / "answer" / "1.txt",
        "answered": session / "attempts" / "001" / "answered",
        "approve": session / "approve" / "1",
        "waiting": session / "attempts" / "001" / "waiting",
        "cancel while it waits": session / "cancel",
        "dead": world.root / "sessions" / ".agent-A" / "dead",
    }.get(target, session / target)


def _put(world: World, place: Path, kind: str) -> None:
    _clear(place)
    if kind == "empty":
        place.touch()
    elif kind == "noise":
        place.write_bytes(bytes(range(256)) * 40)
    elif kind == "folder":
        (place / "in").mkdir(parents=True)
    elif kind == "link to a secret":
        place.symlink_to(world.base / "secret")
    elif kind == "dangling link":
        place.symlink_to("/nonexistent/x")
    elif kind == "FIFO":
        os.mkfifo(place)
    elif kind == "loop":
        place.symlink_to(place.name)
    elif kind == "huge":
        with place.open("wb") as file:
            file.truncate(1 << 32)
    else:
        place.with_name(f"{place.name};cd ..;touch canary #").touch()


def _clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        for child in place.iterdir():
            child.rmdir() if child.is_dir() else child.unlink()
        place.rmdir()
    elif os.path.lexists(place):
        place.unlink()
