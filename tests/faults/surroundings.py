"""Group 6: the world around changes: clocks, boots, pids, folders, sockets, disks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import checker
from faults.scenarios import LOST, script
from faults.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
OVERFLOW_FILES = 100_000
JUMP_LIMIT_S = 60
"""Far above the seconds that it takes, far below the day that it would wait."""


def cases(_traces: object, _seed: int) -> list[dict[str, Any]]:
    """Each change, a few times."""
    names = [name for name in CHANGES if name not in ROOT_ONLY or os.geteuid() == 0]
    if not FAKETIME.exists():
        names = [name for name in names if not name.startswith("clock")]
    return [{"group": "world", "change": name, "round": n} for name in names for n in range(3)]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    world = World.fresh(base)
    try:
        world.faults([])
        CHANGES[case["change"]](world, case)
        world.recover()
        found = world.findings()
        points = [("world", case["change"], case["change"], "change")]
        return {"points": points, "violations": found, "tail": world.tail() if found else ""}
    finally:
        world.end()


def _stop(world: World, agent: tuple[int, Path]) -> None:
    os.kill(agent[0], signal.SIGTERM)
    world.wait(*agent)


def _ran(world: World, task_id: str) -> Callable[[], bool]:
    return lambda: any(line.task_id == task_id for line in checker.read_ledger(world.ledger))


def _over(world: World, *task_ids: str) -> Callable[[], bool]:
    return lambda: all((world.root / "results" / i / "result.json").exists() for i in task_ids)


def _clock(world: World, case: dict[str, Any], days: int) -> None:
    """The wall clock jumps by a day while one task runs, one waits for its retry and one for its time."""
    stamp = world.base / "faketime"
    stamp.write_text("+0\n")
    policy = {"max_retries": 1, "backoff": "fixed", "initial_delay_s": 1}
    world.drop("runs", script("sleep 1.5", task_id="runs", timeout=20), states=LOST)
    rest = 'n=$(wc -l < "$LEDGER"); [ "$n" -ge 3 ]'
    world.drop(
        "again", script(rest, task_id="again", retry_policy=policy), states=("succeeded", "failed"), retries=1
    )
    process = world.execute(
        *("agent", "agent", "--name", "A", "--slots", "3", "--drain"),
        more={
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(stamp),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
    )
    world.until(_ran(world, "runs"), 10)
    time.sleep(0.3 * case["round"])
    stamp.write_text(f"{days:+d}d\n")
    if not world.until(lambda: process.poll() is not None, JUMP_LIMIT_S):
        waiting = [n for n in ("runs", "again") if not _over(world, n)()]
        world.torn.append(
            f"liveness: {waiting} did not end within {JUMP_LIMIT_S} s of a jump by {days:+d} day"
        )
        process.kill()
    process.wait()


def _folder_replaced(world: World, _case: dict[str, Any]) -> None:
    agent = world.start("agent", "agent", "--name", "A")
    world.drop("before", script(task_id="before"))
    world.until(_over(world, "before"))
    tasks = world.root / "tasks"
    tasks.rename(world.root / "tasks.old")
    (tasks / "held").mkdir(parents=True)
    world.drop("after", script(task_id="after"))
    world.until(_over(world, "after"), 5)
    shutil.rmtree(world.root / "tasks.old")
    _stop(world, agent)


def _overflow(world: World, _case: dict[str, Any]) -> None:
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    world.until((world.root / "sessions" / ".agent-A" / "agent.json").exists)
    os.kill(agent[0], signal.SIGSTOP)
    tasks = world.root / "tasks"
    for number in range(OVERFLOW_FILES):
        os.close(os.open(tasks / f".n{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    for number in range(5):
        world.drop(f"real{number}", script(task_id=f"real{number}"))
    os.kill(agent[0], signal.SIGCONT)
    world.until(_over(world, *(f"real{n}" for n in range(5))), 30)
    _stop(world, agent)
    for number in range(OVERFLOW_FILES):
        (tasks / f".n{number}").unlink()


def _socket_removed(world: World, _case: dict[str, Any]) -> None:
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    world.drop("one", script("sleep 1", task_id="one"), states=LOST)
    world.until(_ran(world, "one"))
    (world.root / ".aispool.tmux").unlink()
    world.drop("two", script("sleep 0.3", task_id="two"), states=LOST)
    world.until(_over(world, "one", "two"))
    _stop(world, agent)


def _on_tmpfs(world: World, options: str) -> None:
    kept = world.base / "kept"
    shutil.copytree(world.root, kept)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(world.root)], check=True)
    shutil.copytree(kept, world.root, dirs_exist_ok=True)


def _read_only(world: World, case: dict[str, Any]) -> None:
    _on_tmpfs(world, "size=20m")
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    world.drop("long", script("sleep 0.6", task_id="long"), states=LOST)
    world.until(_ran(world, "long"))
    time.sleep(0.1 * case["round"])
    done = subprocess.run(
        ["mount", "-o", "remount,ro", str(world.root)], check=False, stderr=subprocess.DEVNULL
    )
    if done.returncode != 0:
        # files are open for writing: a bind mount on top refuses all new ones
        subprocess.run(["mount", "--bind", "-o", "ro", str(world.root), str(world.root)], check=False)
    time.sleep(1.0)
    subprocess.run(["mount", "-o", "remount,rw", str(world.root)], check=False)
    world.drop("next", script(task_id="next"), states=LOST)
    world.until(_over(world, "next"))
    _stop(world, agent)


def _inodes(world: World, _case: dict[str, Any]) -> None:
    _on_tmpfs(world, "size=20m,nr_inodes=600")
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    world.drop("early", script("sleep 0.5", task_id="early"), states=LOST)
    world.until(_ran(world, "early"))
    filling = world.root / "fill"
    filling.mkdir()
    with contextlib.suppress(OSError):
        for number in range(600):
            (filling / str(number)).touch()
    time.sleep(1.0)
    shutil.rmtree(filling)
    world.drop("later", script(task_id="later"), states=LOST)
    world.until(_over(world, "early", "later"))
    _stop(world, agent)


def _disk_full(world: World, _case: dict[str, Any]) -> None:
    _on_tmpfs(world, "size=3m")
    agent = world.start("agent", "agent", "--name", "A", "--slots", "2")
    world.drop("early", script("sleep 0.5; head -c 100000 /dev/zero", task_id="early"), states=LOST)
    world.until(_ran(world, "early"))
    filling = world.root / "fill"
    with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    time.sleep(1.2)
    filling.unlink()
    world.drop("later", script(task_id="later"), states=LOST)
    world.until(_over(world, "early", "later"))
    _stop(world, agent)


def _pid_reuse(world: World, _case: dict[str, Any]) -> None:
    """The recorded pids belong to an innocent process by the time of recovery: it must survive."""
    agent = world.start("agent", "agent", "--name", "A")
    world.drop("dead", script("sleep 20", task_id="dead"), states=("lost",))
    world.until(_ran(world, "dead"))
    started = world.root / "sessions" / "dead" / "attempts" / "001" / "started"
    record = checker.read_json(started)
    os.kill(agent[0], signal.SIGKILL)
    world.wait(*agent)
    os.kill(record["wrapper_pid"], signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(record["tool_pid"], signal.SIGKILL)  # while its group lives its number is not given out
    world.until(lambda: not Path("/proc", str(record["tool_pid"])).exists(), 5)
    innocent = _process_with_pid(record["tool_pid"])
    world.recover()
    if innocent is None:
        world.torn.append("harness: the pid was not given out again")
        return
    if innocent.poll() is not None:
        world.torn.append("I2: an innocent process with a reused pid was ended")
    innocent.kill()
    innocent.wait()


def _process_with_pid(wanted: int) -> subprocess.Popen[bytes] | None:
    for _ in range(200):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(wanted - 1))
        process = subprocess.Popen(["sleep", "60"], start_new_session=True, env={}, cwd="/")
        if process.pid == wanted:
            return process
        process.kill()
        process.wait()
    return None


CHANGES: dict[str, Callable[[World, dict[str, Any]], None]] = {
    "clock +1 day": lambda world, case: _clock(world, case, 1),
    "clock -1 day": lambda world, case: _clock(world, case, -1),
    "watched folder replaced": _folder_replaced,
    "inotify overflow": _overflow,
    "tmux socket removed": _socket_removed,
    "read-only remount": _read_only,
    "inodes used up": _inodes,
    "disk full": _disk_full,
    "pid reuse": _pid_reuse,
}
ROOT_ONLY = frozenset({"read-only remount", "inodes used up", "disk full", "pid reuse"})
