"""Group 10: a collector and a host, either side of which is killed or fails at every call (I7, I2).

The host has a real agent and a real sshd. Before the fault one result was collected; another is there to be
collected, one task runs and one asks. People then send two tasks, one with a file, cancel what runs and
answer what asks, all by files of the mirror. Two rounds of the collector meet the fault: in its own process,
in its rsync or ssh, or in the rsync of the host. Then rounds without faults: each task ran once, each result
is here as it is there, the cancel and the answer arrived, once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

from faults import checker, steps
from faults.checker import Expected
from faults.points import point_of
from faults.scenarios import script
from faults.world import World
from sshd import SYSTEM_PATH, Client, Sshd

from spool.enrol import enrol
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME, HOST = "laptop", "a"
ROUNDS = ("collector", "collector-again")
MOST_ROUNDS = 25
MEET_S = 20.0
ROUND_S = 40.0
SENT = ("plain", "filled")
STATES = {
    "done": "succeeded",
    "later": "succeeded",
    "asks": "succeeded",
    "long": "cancelled",
} | dict.fromkeys(SENT, "succeeded")
ASKS = (
    'echo "may I?" > "$AISPOOL_WAITING"; until [ -n "$(ls "$AISPOOL_ANSWERS")" ]; do sleep 0.02; done; '
    'cat "$AISPOOL_ANSWERS"/*'
)
ANSWER = "yes, you may\n"
COLLECTOR_TOML = """\
name = "laptop"
reserve_bytes = 0
[collector]
reserve_bytes = 0
silence_s = 20.0
"""
HOST_RSYNC = """\
#!/bin/sh
export LD_PRELOAD={shim} AISPOOL_FAULTS={plan} AISPOOL_FAULT_ROLE=host-rsync
exec /usr/bin/rsync "$@"
"""
FAULTS = {
    "collector": ("kill-before", "kill-after", "kill-mid", "ENOSPC", "EIO", "fsync-EIO"),
    "rsync": ("kill-before", "kill-mid", "ENOSPC"),
    "ssh": ("kill-before",),
    "host-rsync": ("kill-before", "kill-after", "kill-mid", "ENOSPC", "EIO"),
}
TRACE = {"group": "fleet", "scenario": "fleet", "faults": [["*", 1, -1, "trace"]]}


def missing() -> str | None:
    """Say what is not installed."""
    from shutil import which  # noqa: PLC0415 - asked once

    absent = [name for name in ("ssh", "sshd", "rsync") if which(name, path=SYSTEM_PATH) is None]
    return f"{', '.join(absent)} is not installed" if absent else None


def cases(traces: dict[str, list[list[str]]], _seed: int) -> list[dict[str, Any]]:
    """Every fault once at each distinct call of the collector, and of the programs on both sides."""
    found: list[list[Any]] = []
    often = steps.Often(1)
    trace = traces["fleet"]
    named = {" ".join(point_of(row)[:3]) for row in trace if int(row[8]) & steps.NAME}
    for fault in FAULTS["collector"]:
        counted = steps.counts(trace, fault)
        for role in ROUNDS:
            calls = counted.get(role, [])
            if fault == "kill-after":  # after any other call is before the next one
                calls = [(number, site) for number, site in calls if site in named]
            found += [[role, number, 1, fault] for number in often.thinned("collector", fault, calls)]
    for role in ("rsync", "ssh", "host-rsync"):
        rows = [row for row in trace if row[0] == role and int(row[8]) & steps.CHANGING]
        for fault in FAULTS[role]:
            sites = dict.fromkeys(site for row in rows if steps.matches(row, fault) and (site := _site(row)))
            found += [[role, 1, 1, fault, site] for site in sites]
    return [{"group": "fleet", "scenario": "fleet", "faults": [fault]} for fault in found]


def _site(row: list[str]) -> str | None:
    """Name a call of a program that is not ours: by its call and by the folder it is about."""
    call, path = row[4:6]
    folder, _, name = path.rpartition("/")
    if not path.startswith("/") or path.startswith(("/proc/", "/etc/", "/usr/", "/lib")) or not name:
        return None
    last = folder.rpartition("/")[2]
    return f"{call}@/{last}/" if last.isalpha() or last.startswith(".") else None


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    here = World.fresh(base)
    there = World.fresh(base / HOST)
    sshd = _connect(base, here, there)
    try:
        agent = _before(here, there)
        here.faults(case["faults"])
        for role in ROUNDS:
            _round(here, role)
        here.faults([])
        ended = lambda: all((here.root / "fleet" / HOST / "results" / name).is_dir() for name in STATES)  # noqa: E731
        settled = lambda: ended() and not _on_the_way(here)  # noqa: E731
        ran = [_round(here, "nobody")]
        while not settled() and len(ran) < MOST_ROUNDS:
            ran.append(_round(here, "nobody"))
        found = _mistakes(here, there)
        if not settled():
            found.append(f"liveness: {_on_the_way(here)} still on the way; the last round: {ran[-1][-300:]}")
        os.kill(agent[0], signal.SIGTERM)
        there.wait(*agent)
        sshd.stop()
        found += there.findings()
        return {
            "injected": here.injected(),
            "violations": sorted(set(found)),
            "tail": here.tail() + there.tail() if found else "",
        }
    finally:
        sshd.stop()
        there.kill_all()
        here.end()


def _connect(base: Path, here: World, there: World) -> Sshd:
    """Let the collector reach the host by ssh."""
    client = Client(base / "client")
    (base / "run").mkdir(mode=0o700)
    here.more_environment = {
        "XDG_RUNTIME_DIR": str(base / "run"),
        "AISPOOL_SSH_CONFIG": str(client.config),
        "AISPOOL_FAULT_ROLE": "program",
    }
    programs = there.base / "bin"
    programs.mkdir()
    rsync = programs / "rsync"
    rsync.write_text(HOST_RSYNC.format(shim=os.environ["LD_PRELOAD"], plan=here.plan))
    rsync.chmod(0o700)
    environment = {"HOME": f"{there.base}/home", "PATH": f"{programs}:{SYSTEM_PATH}", "SHELL": "/bin/sh"}
    sshd = Sshd(there.base / "sshd", client, environment)
    sshd.start()
    (here.root / "configs" / "agent.toml").write_text(COLLECTOR_TOML)
    entry = {"name": HOST, "address": "127.0.0.1", "port": sshd.port, "workspace": str(there.root)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    (here.root / "configs" / "hosts.toml").write_text("\n".join(["[[hosts]]", *lines, ""]))
    enrol(Workspace(there.root), NAME)
    return sshd


def _before(here: World, there: World) -> tuple[int, Path]:
    """Play what the fault does not meet, up to what people do; return the host's agent."""
    here.faults([])
    there.faults([])
    for name, rest in {"done": "echo done", "long": "exec sleep 60", "asks": ASKS}.items():
        there.drop(name, script(rest, task_id=name), states=(STATES[name],))
    agent = there.start("agent", "agent", "--name", HOST, "--slots", "6")
    _await(there, lambda: (there.root / "results" / "done").is_dir() and _state(there, "long") == "running")
    _await(there, lambda: _state(there, "asks") == "waiting_input")
    said = _round(here, "nobody")
    seen = here.root / "fleet" / HOST
    if not all((seen / folder).is_dir() for folder in ("results/done", "sessions/long", "sessions/asks")):
        raise AssertionError(f"the first round showed too little: {said}")
    there.drop("later", script("head -c 20000 /dev/urandom", task_id="later"))
    _await(there, (there.root / "results" / "later").is_dir)
    for name in SENT:
        _send(seen, there, name)
    (seen / "sessions" / "long" / "cancel").touch()
    (seen / "sessions" / "asks" / "answer").mkdir(exist_ok=True)
    (seen / "sessions" / "asks" / "answer" / "001.txt").write_text(ANSWER)
    return agent


def _send(seen: Path, there: World, name: str) -> None:
    mark = f"mark-{name}-"
    fields = script('cat "$AISPOOL_FILES/given"' if name == "filled" else "echo done", task_id=name)
    if name == "filled":
        (seen / "tasks" / f"{name}.files").mkdir()
        (seen / "tasks" / f"{name}.files" / "given").write_text("given")
    hidden = seen / "tasks" / f".{name}.part"
    hidden.write_text(json.dumps(fields | {"metadata": {"mark": mark}}))
    hidden.rename(seen / "tasks" / f"{name}.json")
    there.history.tasks.append(Expected(mark, name))


def _state(world: World, task_id: str) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        return str(checker.read_json(world.root / "sessions" / task_id / "status.json")["state"])
    return None


def _await(world: World, condition: Callable[[], bool]) -> None:
    if not world.until(condition, MEET_S):
        raise AssertionError(f"the host did not come so far: {world.tail()[-3000:]}")


def _round(here: World, role: str) -> str:
    return here.wait(*here.start(role, "collector", "--once"), ROUND_S).output


def _on_the_way(here: World) -> list[str]:
    """Return what people asked for and the host has not taken over yet, as far as the collector knows."""
    root = here.root / "fleet" / HOST
    boxes = [root / box / kind for box in (".outbox", ".sent") for kind in ("tasks", "control")]
    waits = [f"{box.parent.name}/{name}" for box in boxes for name in checker.names(box) if name[0] != "."]
    acks = {f".outbox/{name}" for name in checker.names(root / ".outbox" / "control") if _is_ack(root, name)}
    dropped = [name for name in checker.names(root / "tasks") if name.endswith((".json", ".files"))]
    return [name for name in waits if name not in acks] + dropped


def _is_ack(root: Path, name: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(checker.read_json(root / ".outbox" / "control" / name)["do"] == "ack")
    return False


def _mistakes(here: World, there: World) -> list[str]:
    """Compare what is shown with what the host has, and what was asked for with what came of it."""
    found = []
    seen = here.root / "fleet" / HOST
    for name in checker.names(seen / "results"):
        if name.startswith("."):
            continue
        ours, theirs = _contents(seen / "results" / name), _contents(there.root / "results" / name)
        if ours != theirs:
            differs = sorted(p for p in ours.keys() | theirs.keys() if ours.get(p) != theirs.get(p))
            found.append(f"I7: of {name} the collector has other bytes than the host: {differs[:5]}")
    for name, state in STATES.items():
        result = there.root / "results" / name / "result.json"
        if result.exists() and checker.read_json(result)["state"] != state:
            found.append(f"I7: {name} ended {checker.read_json(result)['state']}, expected {state}")
    answered = there.root / "results" / "asks" / "attempts" / "001" / "stdout"
    if answered.exists() and answered.read_text() != ANSWER:
        found.append(f"I7: the answer arrived as {answered.read_text()!r}")
    for root in (seen, there.root):
        found += [f"I7: {name} was refused" for name in checker.names(root / "rejected")]
    return found


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
