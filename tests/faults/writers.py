"""Group 5: programs that write into tasks/, cut off at every byte, stalled, on a full disk, racing the claim.

A file that was cut off is refused, untouched, or not there; one that is whole runs once. All offsets of one
writer are one point. The real programs run: cat, cp, mv across disks, dd, `scp -t` (what `scp -O`
starts on the far side), sftp and scp by their SFTP server, rsync, `sed -i`; an in-place editor is played.
Over the network scp, scp -O, sftp and rsync go through a real sshd, and either side of the connection dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from faults import checker, sshd
from faults.checker import Expected
from faults.scenarios import script
from faults.world import World

if TYPE_CHECKING:
    from pathlib import Path

STREAMS = ("cat", "cp", "dd", "tee", "scp-O", "editor")
"""Fed byte by byte through a pipe, then killed."""
TRANSFERS = ("rsync", "rsync-partial", "rsync-inplace", "sftp", "scp", "sed-i", "mv")
"""Killed at some moment in the middle of a large file."""
REMOTE = ("scp by ssh", "scp-O by ssh", "sftp by ssh", "rsync by ssh", "rsync-partial by ssh")
"""Killed when a part of a large file has arrived."""
PARTS = 6
PROGRESS_LIMIT_S = 60.0
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
BATCH = 30
BIG_BYTES = 3_000_000


def cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """Every offset for streams, many moments for transfers, and the single ones."""
    length = len(task_bytes("x000"))
    found: list[dict[str, Any]] = []
    for writer in STREAMS:
        for first in range(0, length + 1, BATCH):
            offsets = list(range(first, min(first + BATCH, length + 1)))
            found.append({"group": "writer", "writer": writer, "offsets": offsets})
    for writer in TRANSFERS:
        found += [
            {"group": "writer", "writer": writer, "after_ms": 5 + 7 * n, "seed": seed} for n in range(12)
        ]
    found += [{"group": "writer", "writer": "stalled", "hold_s": s} for s in (1.0, 61.0)]
    found += [{"group": "writer", "writer": "rewriting", "round": n} for n in range(10)]
    if sshd.program() is not None:
        found += [
            {"group": "writer", "writer": writer, "part": part, "dies": side}
            for writer in REMOTE
            for part in range(PARTS)
            for side in ("client", "server")
        ]
    if os.geteuid() == 0:
        found += [{"group": "writer", "writer": "full-disk", "program": p} for p in ("cat", "cp", "dd")]
    return found


def task_bytes(name: str, padding: int = 0) -> bytes:
    """Return a whole task file of this name."""
    fields = script("echo done", task_id=name, metadata={"mark": f"mark-{name}-", "pad": "x" * padding})
    return json.dumps(fields).encode()


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    world = World.fresh(base)
    try:
        world.faults([])
        writer = case["writer"]
        if writer in STREAMS:
            for number, offset in enumerate(case["offsets"]):
                _cut_stream(world, writer, f"x{number:03d}", offset)
            faults = len(case["offsets"])
        else:
            faults = 1
            plays = {"stalled": _stalled, "rewriting": _rewriting, "full-disk": _full_disk}
            plays.get(writer, _remote if writer in REMOTE else _transfer)(world, case)
        world.recover()
        found = world.findings()
        site = "cut off at a byte" if writer in STREAMS else "in the middle"
        points = [(writer, "write", site, f"kill {case['dies']}" if "dies" in case else "kill")]
        return {
            "points": points,
            "faults": faults,
            "violations": found,
            "tail": world.tail() if found else "",
        }
    finally:
        world.end()


def _expect(world: World, name: str, target: Path, whole: bytes) -> None:
    """Put into the history what must become of the file as it lies there now."""
    mark = f"mark-{name}-"
    if not target.exists():
        world.history.tasks.append(Expected(mark, certain=False))
        return
    content = target.read_bytes()
    if content == whole:
        world.history.tasks.append(Expected(mark, name, content=whole))
        return
    if mark.encode() in content:
        world.history.tasks.append(Expected(mark, refused=True, content=content))
    world.notes.append(f"{target.name}: {len(content)} of {len(whole)} bytes")


def _cut_stream(world: World, writer: str, name: str, offset: int) -> None:
    whole = task_bytes(name)
    target = world.root / "tasks" / f"{name}.json"
    if writer == "editor":
        with target.open("wb") as file:
            file.write(whole[:offset])
    else:
        command = {
            "cat": ["sh", "-c", 'exec cat > "$0"', str(target)],
            "cp": ["cp", "/dev/stdin", str(target)],
            "dd": ["dd", f"of={target}", "bs=1", "status=none"],
            "tee": ["sh", "-c", 'exec tee "$0" > /dev/null', str(target)],
            "scp-O": ["scp", "-t", str(target)],
        }[writer]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            if writer == "scp-O":
                process.stdin.write(f"C0600 {len(whole)} {name}.json\n".encode())
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(whole[:offset])
                process.stdin.flush()
            wanted = offset if writer != "scp-O" else None
            deadline_s = time.monotonic() + 0.5
            while time.monotonic() < deadline_s:
                if target.exists() and (wanted is None or target.stat().st_size >= wanted):
                    break
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    _expect(world, name, target, whole)


def _transfer(world: World, case: dict[str, Any]) -> None:
    name = "big"
    whole = task_bytes(name, BIG_BYTES)
    source = world.base / "big.json"
    source.write_bytes(whole)
    tasks = world.root / "tasks"
    target = tasks / "big.json"
    batch = world.base / "batch"
    batch.write_text(f"put {source} {target}\n")
    writer = case["writer"]
    if writer == "sed-i":
        shutil.copy(source, tasks / ".hidden")
        (tasks / ".hidden").rename(target)
    limit = ["--bwlimit=20000"]
    command = {
        "rsync": ["rsync", *limit, str(source), f"{tasks}/"],
        "rsync-partial": ["rsync", "--partial", *limit, str(source), f"{tasks}/"],
        "rsync-inplace": ["rsync", "--inplace", *limit, str(source), f"{tasks}/"],
        "sftp": ["sftp", "-l", "200000", "-D", SFTP_SERVER, "-b", str(batch)],
        "scp": ["scp", "-q", "-l", "200000", "-D", SFTP_SERVER, str(source), f"localhost:{target}"],
        "sed-i": ["sed", "-i", "s/nothing/else/", str(target)],
        "mv": ["mv", _on_other_disk(source), str(target)],
    }[writer]
    agent = world.start("agent", "agent", "--name", "A")
    with subprocess.Popen(
        command,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(case["after_ms"] / 1000)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if writer != "rsync-partial" else signal.SIGTERM)
    time.sleep(0.2)
    _account(world, agent, target, whole, certain=writer == "sed-i")


def _account(world: World, agent: tuple[int, Path], target: Path, whole: bytes, *, certain: bool) -> None:
    """Stop the agent, and tell the history what lies there, or that it may lie anywhere by now."""
    os.kill(agent[0], signal.SIGTERM)
    world.wait(*agent)
    if certain or not target.exists():
        # if it ran, it was whole
        world.history.tasks.append(Expected("mark-big-", "big", certain=certain, content=whole))
        if (world.root / "rejected" / "big.json").exists():
            world.history.tasks[-1] = Expected("mark-big-", refused=True, certain=False)
    else:
        _expect(world, "big", target, whole)


def _remote(world: World, case: dict[str, Any]) -> None:
    """A transfer through sshd; one side dies when a part of the file has arrived."""
    whole = task_bytes("big", BIG_BYTES)
    source = world.base / "big.json"
    source.write_bytes(whole)
    tasks = world.root / "tasks"
    target = tasks / "big.json"
    batch = world.base / "batch"
    batch.write_text(f"put {source} {target}\n")
    agent = world.start("agent", "agent", "--name", "A")
    with sshd.sshd(world.base / "ssh") as server:
        options, place = [*server.options], f"127.0.0.1:{target}"
        rsync = ["rsync", "--bwlimit=8000", "-e", f"ssh {' '.join(options)}"]
        command = {
            "scp by ssh": ["scp", "-q", "-l", "64000", *options, str(source), place],
            "scp-O by ssh": ["scp", "-O", "-q", "-l", "64000", *options, str(source), place],
            "sftp by ssh": ["sftp", "-q", "-l", "64000", *options, "-b", str(batch), "127.0.0.1"],
            "rsync by ssh": [*rsync, str(source), place],
            "rsync-partial by ssh": [*rsync, "--partial", str(source), place],
        }[case["writer"]]
        with subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            wanted = len(whole) * case["part"] // PARTS
            arrived = world.until(lambda: _arrived(tasks) >= wanted, PROGRESS_LIMIT_S)
            if not arrived and process.poll() is None:
                world.torn.append(f"harness: {case['writer']} does not come forward")
            if case["dies"] == "server":
                server.cut()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if not world.until(lambda: not server.sessions(), PROGRESS_LIMIT_S):
            world.torn.append("harness: sshd's sessions do not end")
        _account(world, agent, target, whole, certain=False)


def _arrived(tasks: Path) -> int:
    """Return how much of the file is there, under its own or a temporary name; -1 before there is any."""
    sizes = [-1]
    for name in checker.names(tasks):
        if "big.json" in name and not name.endswith(".why"):
            with contextlib.suppress(FileNotFoundError):
                sizes.append((tasks / name).stat().st_size)
    return max(sizes)


def _on_other_disk(source: Path) -> str:
    other = f"/var/tmp/aispool-faults-{os.getpid()}.json"
    shutil.copy(source, other)
    return other


def _stalled(world: World, case: dict[str, Any]) -> None:
    """Half a file, its writer holds it for longer than a broken file is waited for, then it is finished."""
    whole = task_bytes("slow")
    target = world.root / "tasks" / "slow.json"
    with target.open("wb", buffering=0) as file:
        file.write(whole[: len(whole) // 2])
        pid, output = world.start("agent", "agent", "--name", "A")
        time.sleep(case["hold_s"])
        if not target.exists():
            world.torn.append("I4: a file was taken from its writer")
        file.write(whole[len(whole) // 2 :])
    world.history.tasks.append(Expected("mark-slow-", "slow", content=whole))
    world.until((world.root / "results" / "slow").exists, 10)
    os.kill(pid, signal.SIGTERM)
    world.wait(pid, output)


def _rewriting(world: World, case: dict[str, Any]) -> None:
    """A writer writes other whole tasks into the same file again and again while it is claimed."""
    target = world.root / "tasks" / "hot.json"
    pid, output = world.start("agent", "agent", "--name", "A")
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
    deadline_s = time.monotonic() + 1.5
    number = 0
    while time.monotonic() < deadline_s:
        content = json.dumps(
            script(f"echo {number % 7}", task_id="hot", idempotent=True, metadata={"mark": "mark-hot-"})
        ).encode()
        os.pwrite(descriptor, content.ljust(400), 0)
        number += 1
        if number % (3 + case["round"]) == 0:
            os.close(descriptor)
            time.sleep(0.0005 * case["round"])
            if not target.exists():
                break
            try:
                descriptor = os.open(target, os.O_WRONLY)
            except FileNotFoundError:
                break
    with contextlib.suppress(OSError):
        os.close(descriptor)
    world.history.tasks.append(Expected("mark-hot-", "hot", idempotent=True))
    world.until((world.root / "results" / "hot").exists, 10)
    os.kill(pid, signal.SIGTERM)
    world.wait(pid, output)


def _full_disk(world: World, case: dict[str, Any]) -> None:
    """A writer meets a full disk; then there is room again."""
    source = world.base / "new.json"
    whole = task_bytes("new", 200_000)
    source.write_bytes(whole)
    kept = world.base / "kept"
    shutil.copytree(world.root, kept)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(world.root)], check=True)
    shutil.copytree(kept, world.root, dirs_exist_ok=True)
    with contextlib.suppress(OSError), (world.root / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    os.truncate(world.root / "fill", max((world.root / "fill").stat().st_size - 100_000, 0))
    target = world.root / "tasks" / "new.json"
    command = {
        "cat": ["sh", "-c", 'cat "$1" > "$0"', str(target), str(source)],
        "cp": ["cp", str(source), str(target)],
        "dd": ["dd", f"if={source}", f"of={target}", "status=none"],
    }[case["program"]]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    pid, output = world.start("agent", "agent", "--name", "A")
    time.sleep(0.2)
    (world.root / "fill").unlink()
    if target.exists():
        _expect(world, "new", target, whole)
    time.sleep(0.8)
    os.kill(pid, signal.SIGTERM)
    world.wait(pid, output)
