"""An attempt starts at most once, whoever is killed at whichever step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent.wrap
from spool.attempt import Attempt, Phase

if TYPE_CHECKING:
    from conftest import Bench

WRAPPER = Path(agent.wrap.__file__).absolute()
REFUSED = 75
LEDGER = 'echo ran >>"$RAN"'


def test_started_is_written_before_the_tool_runs(bench: Bench) -> None:
    """The tool finds its own record on disk, with its pid, in its first instruction."""
    bench.run(f'{LEDGER}; cat "$AISPOOL_ATTEMPT/started"; echo; echo $$')
    *record, pid = bench.stdout.decode().strip().rpartition("\n")
    started = json.loads("".join(record))
    assert started["tool_pid"] == int(pid)
    assert started["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert started["wrapper_pid"] == bench.wrappers[0].pid


def test_second_wrapper_is_refused(bench: Bench) -> None:
    """After the end, and while it runs, another wrapper refuses and changes nothing."""
    bench.prepare(f"{LEDGER}; until [ -e go ]; do sleep 0.02; done")
    first = bench.spawn()
    bench.wait(lambda: bench.ran, "the tool runs")
    second = bench.spawn()
    said, _ = second.communicate(timeout=20)
    assert second.returncode == REFUSED
    assert b"held by another process" in said
    (bench.root / "go").touch()
    assert first.wait(20) == 0
    before = (bench.attempt / "exit").read_bytes()
    third = bench.spawn()
    assert third.wait(20) == REFUSED
    assert (bench.attempt / "exit").read_bytes() == before
    assert bench.ran == ["ran"]


def test_twenty_wrappers_at_once(bench: Bench) -> None:
    """Of twenty wrappers that start together exactly one runs the tool."""
    bench.prepare(f"{LEDGER}; sleep 0.3")
    wrappers = [bench.spawn() for _ in range(20)]
    codes = [wrapper.wait(60) for wrapper in wrappers]
    assert sorted(codes) == [0] + [REFUSED] * 19
    assert bench.ran == ["ran"]
    assert bench.exit()["exit_code"] == 0


def test_without_intent_nothing_runs(bench: Bench) -> None:
    """An attempt that nobody intends is refused and leaves no trace of a start."""
    bench.prepare()
    (bench.attempt / "intent").unlink()
    assert bench.spawn().wait(20) == REFUSED
    assert not (bench.attempt / "started").exists()


def test_ended_by_the_agent_is_refused(bench: Bench) -> None:
    """An attempt whose `exit` somebody else wrote (a cancellation before the start) never starts."""
    bench.prepare(LEDGER)
    (bench.attempt / "exit").write_text("{}")
    assert bench.spawn().wait(20) == REFUSED
    assert bench.ran == []


CALLS = [
    "flock",
    "fork,clone,clone3",
    "rename,renameat,renameat2",
    "link,linkat",
    "fsync",
    "fallocate",
    "write",
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.partition(",")[0])
def test_killed_at_each_step(bench: Bench, call: str) -> None:
    """Killed at the n-th system call of a kind, then started again: the tool ran at most once in all.

    Whatever is on disk afterwards says so: a run leaves `started`, no `started` means that it never ran.
    """
    if shutil.which("strace") is None:
        pytest.skip("cannot run here: no strace")
    for number in range(1, 40):
        shutil.rmtree(bench.session, ignore_errors=True)
        (bench.root / "ran").unlink(missing_ok=True)
        bench.prepare(LEDGER)
        inject = f"inject={call}:signal=KILL:when={number}"
        with (bench.root / "trace").open("wb") as trace:
            wrapper = bench.spawn("strace", "-qq", "-e", f"trace={call}", "-e", inject, stderr=trace)
            code = wrapper.wait(30)
        if b"ptrace" in (bench.root / "trace").read_bytes() and not bench.ran:
            pytest.skip("cannot run here: ptrace is not permitted")
        attempt = Attempt(bench.attempt)
        # the waiting child ends by itself when its wrapper is gone; a released one may still be at it
        bench.wait(lambda: not bench.processes(), "nothing runs any more")
        phase = attempt.phase()
        assert phase in {Phase.ENDED, Phase.VANISHED, Phase.INTENDED}
        if phase is Phase.INTENDED:
            assert bench.ran == [], number
        again = bench.spawn()
        assert again.wait(30) == (0 if phase is Phase.INTENDED else REFUSED)
        assert len(bench.ran) == (1 if phase is not Phase.VANISHED else len(bench.ran)) <= 1
        if code == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert number > 1, "at least one kill happened"


def test_killed_while_the_tool_runs(bench: Bench) -> None:
    """The wrapper killed: the tool lives on and holds tree.lock, so that it is seen as an orphan."""
    bench.prepare(f"{LEDGER}; exec sleep 300")
    wrapper = bench.spawn()
    bench.wait(lambda: bench.ran, "the tool runs")
    attempt = Attempt(bench.attempt)
    assert attempt.phase() is Phase.RUNNING
    tool = bench.started()["tool_pid"]
    wrapper.kill()
    wrapper.wait(10)
    assert attempt.phase() is Phase.ORPHANED
    assert bench.spawn().wait(20) == REFUSED
    os.kill(tool, signal.SIGKILL)
    bench.wait(lambda: attempt.phase() is Phase.VANISHED, "the orphan is gone")
    assert bench.spawn().wait(20) == REFUSED
    assert bench.ran == ["ran"]


def test_changed_task_is_not_run(bench: Bench) -> None:
    """task.json that is not the validated one: the attempt ends with an error, the tool never starts."""
    bench.prepare(LEDGER)
    with (bench.session / "task.json").open("a") as file:
        file.write(" ")
    assert bench.spawn().wait(20) == 0
    assert "changed after it was validated" in bench.exit()["error"]
    assert bench.exit()["exit_code"] is None
    assert bench.ran == []
    assert (bench.attempt / "started").exists()


def test_damaged_intent_is_not_run(bench: Bench) -> None:
    """An intent that is cut off, or a link, starts nothing."""
    bench.prepare(LEDGER)
    whole = (bench.attempt / "intent").read_bytes()
    (bench.attempt / "intent").write_bytes(whole[:100])
    assert bench.spawn().wait(20) != 0
    (bench.attempt / "intent").unlink()
    (bench.root / "other").write_bytes(whole)
    (bench.attempt / "intent").symlink_to(bench.root / "other")
    assert bench.spawn().wait(20) != 0
    assert bench.ran == []
    assert not (bench.attempt / "started").exists()


def test_only_paths_in_the_command_line(bench: Bench) -> None:
    """Neither the prompt nor a value of the environment stands in the wrapper's own command line."""
    bench.prepare("exec sleep 300", env={"WORD": "do-not-show"})
    wrapper = bench.spawn()
    bench.started()
    cmdline = Path(f"/proc/{wrapper.pid}/cmdline").read_bytes()
    assert b"sleep 300" not in cmdline
    assert b"do-not-show" not in cmdline
    (bench.session / "cancel").touch()
    assert wrapper.wait(20) == 0


def test_runs_from_a_folder_with_our_names(bench: Bench) -> None:
    """Started in a folder with packages `agent` and `spool`, it imports its own."""
    for name in ("agent", "spool", "json", "signal"):
        (bench.root / name).mkdir()
        (bench.root / name / "__init__.py").write_text("raise SystemExit(9)")
    bench.prepare(LEDGER)
    wrapper = bench.spawn(cwd=bench.root, env={"PYTHONPATH": str(bench.root), "PYTHONSTARTUP": "/x"})
    assert wrapper.wait(20) == 0
    assert bench.ran == ["ran"]


def test_only_the_standard_library_is_read(bench: Bench) -> None:
    """With -I -S no site-packages are on the path: an upgrade in the middle of a task harms nothing."""
    root = str(WRAPPER.parent.parent)
    code = "import sys; sys.path.append(sys.argv[1]); import agent.wrap; print(*sys.modules)"
    names = subprocess.run(
        [*bench.command[:3], "-c", code, root], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "agent.wrapper.pump" in names
    assert not {"pydantic", "filelock", "click", "watchdog", "sh"} & set(names)
