"""A disk that is full or read-only: nothing is claimed, what runs is recorded, and people are told."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Host


def is_mounted(target: Path) -> bool:
    """Tell it from the kernel's own list: a bind mount looks like the folder under it."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split(" ")[4] == str(target) for line in mounts)


def umount(target: Path) -> None:
    subprocess.run(["umount", "--lazy", target], check=True)


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mount something for one test."""
    targets: set[Path] = set()

    def one(target: Path, *options: str) -> None:
        targets.add(target)
        for _ in range(200):
            done = subprocess.run(["mount", *options, target], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            if "busy" not in done.stderr:  # somebody writes at this very moment
                break
        pytest.skip(f"cannot run here: no mount ({' '.join(done.stderr.split())})")

    yield one
    for target in targets:
        while is_mounted(target):
            umount(target)


def fill(path: Path) -> None:
    """Take all space that is left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 4096, 1):
            while True:
                try:
                    os.write(descriptor, bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
    finally:
        os.close(descriptor)


def test_reserve_stops_claims(host: Host) -> None:
    """Below reserve_bytes nothing is claimed, the file's line says why, what runs is still recorded."""
    agent = host.start()
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    host.configure(reserve_bytes=1 << 50)
    agent.signal(1)
    host.wait(lambda: "options reloaded" in host.agent_log(), "it was reloaded")
    host.drop("waits")
    assert "free some space" in host.why("waits", "MiB are kept")
    host.open_gate("go")
    assert host.results("runs") == {"runs": "succeeded"}
    assert (host.ws.tasks / "waits.json").exists()
    host.configure(reserve_bytes=0)
    agent.signal(1)
    assert host.results("waits") == {"waits": "succeeded"}


def test_full_disk(host: Host, mount: Callable[..., None]) -> None:
    """The disk fills up while a task runs: its end is recorded; nothing is lost when space is free again."""
    small = host.on_a_mount(mount, "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs")
    agent = small.start()
    small.drop("runs", "gate", "go")
    small.wait_for_run("runs")
    small.drop("later", "finish", not_before="2020-01-01T00:00:00Z", dependencies=["runs"])
    small.why("later", "runs")
    filler = small.ws.root / "filler"
    fill(filler)
    small.open_gate("go")
    exit_file = small.ws.root / "sessions/runs/attempts/001/exit"
    result_exit = small.ws.results / "runs/attempts/001/exit"
    small.wait(lambda: exit_file.exists() or result_exit.exists(), "the wrapper recorded the end")
    # names, not bytes: a file of no bytes needs no space
    (small.ws.tasks / "empty.json").touch()
    assert agent.process.poll() is None
    filler.unlink()
    assert small.results("runs", "later") == {"runs": "succeeded", "later": "succeeded"}
    assert small.result("runs")["exit_code"] == 0
    assert small.ledger() == ["runs 001", "later 001"]
    assert agent.stop() == 0


def test_read_only_disk(host: Host, mount: Callable[..., None]) -> None:
    """Read-only for a while: no claim, no crash, what runs goes on; then everything is made up for."""
    agent = host.start()
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    (host.ws.configs / "paused").touch()
    host.drop("waits")
    host.why("waits", "paused")
    (host.ws.configs / "paused").unlink()
    # a mount over the workspace: whatever is opened by its name from now on is read-only
    mount(host.ws.root, "--bind", str(host.ws.root))
    mount(host.ws.root, "-o", "remount,ro,bind")
    host.open_gate("go")
    turns = host.clock() + 2
    host.wait(lambda: host.clock() > turns, "some scans pass")
    assert not (host.ws.sessions / "runs/attempts/001/exit").exists()
    assert agent.process.poll() is None
    assert host.ledger() == ["runs 001"]
    umount(host.ws.root)
    assert host.results("runs", "waits") == {"runs": "succeeded", "waits": "succeeded"}
    assert host.ledger() == ["runs 001", "waits 001"]


def test_unwritable_results(host: Host) -> None:
    """results/ cannot be written: the ended task stays in sessions/, complete, until it can be moved."""
    host.start()
    host.drop("runs", "gate", "go")
    host.wait_for_run("runs")
    if subprocess.run(["chattr", "+i", host.ws.results], capture_output=True, check=False).returncode:
        pytest.skip("cannot run here: chattr +i is refused")
    try:
        host.open_gate("go")
        host.wait((host.ws.sessions / "runs/result.json").exists, "the result is written")
        beat = host.ws.agent("a1") / "agent.json"
        host.wait(lambda: (host.read(beat) or {}).get("disk_error"), "the heartbeat names it")
        host.drop("waits")
        host.why("waits", "disk")
        assert host.ledger() == ["runs 001"]
    finally:
        subprocess.run(["chattr", "-i", host.ws.results], check=True)
    assert host.results("runs", "waits") == {"runs": "succeeded", "waits": "succeeded"}
    assert host.ledger() == ["runs 001", "waits 001"]


def test_unwritable_sessions(host: Host) -> None:
    """Nothing can be claimed: no task is blamed for it, the heartbeat and the line say it, then all run."""
    host.start()
    folder = host.ws.agent("a1")
    host.drop("before")
    host.result("before")
    if subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode:
        pytest.skip("cannot run here: chattr +i is refused")
    try:
        host.drop("waits")
        host.why("waits", "disk fails")
        assert (host.ws.tasks / "waits.json").exists()
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)
    assert host.results("waits") == {"waits": "succeeded"}
    assert not list(host.ws.rejected.iterdir())
