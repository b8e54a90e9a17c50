"""What only the launcher without a terminal can get wrong: its files, its children, its words."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.launchers import LaunchError, SessionExists
from agent.launchers.process import ProcessLauncher

if TYPE_CHECKING:
    from conftest import Bench

WAIT = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
STUBBORN = "import signal; signal.signal(1, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def launcher(workspace: Path) -> ProcessLauncher:
    return ProcessLauncher(workspace)


def children() -> set[int]:
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


def files(workspace: Path) -> list[str]:
    return sorted(path.name for path in (workspace / ".aispool.process").glob("*task-*"))


def test_nothing_is_left_of_what_has_ended(launcher: ProcessLauncher, workspace: Path, bench: Bench) -> None:
    """Neither a zombie nor a file, though nobody asks."""
    before = children()
    for number in range(20):
        launcher.start(f"t{number}", ["/bin/true"], workspace)
    bench.wait_until(lambda: not files(workspace), "the files are gone")
    assert children() <= before


def test_it_reads_nothing_and_has_no_terminal(
    launcher: ProcessLauncher, workspace: Path, bench: Bench
) -> None:
    out, argv = bench.recorder()
    launcher.start("t", argv, workspace)
    record = bench.record(out)
    assert record["fds"]["0"] == os.devnull
    assert record["fds"]["1"] == record["fds"]["2"] == str(workspace / ".aispool.process/.task-t.out")
    assert int(Path(f"/proc/{record['pid']}/stat").read_text().rpartition(")")[2].split()[4]) == 0  # tty_nr
    assert os.getsid(record["pid"]) == record["pid"]


def test_what_a_session_printed_is_logged(
    launcher: ProcessLauncher, workspace: Path, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrapper that could not run says why nowhere else."""
    launcher.start("t", ["/bin/echo", "no such attempt"], workspace)
    bench.wait_until(lambda: not files(workspace), "the file is gone")
    assert any("no such attempt" in str(vars(record)) for record in caplog.records)


def test_a_session_of_another_agent_is_found_and_ended(
    launcher: ProcessLauncher, workspace: Path, bench: Bench
) -> None:
    """Whoever started it may be dead."""
    out, argv = bench.recorder()
    code = (
        "import sys, pathlib\nfrom agent.launchers.process import ProcessLauncher\n"
        "workspace, *argv = sys.argv[1:]\n"
        "ProcessLauncher(pathlib.Path(workspace)).start('t', argv, pathlib.Path(workspace))\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(workspace), *argv], cwd=root, check=True)
    pid = bench.record(out)["pid"]
    assert launcher.sessions() == {"task-t"}
    assert f"--pid={pid}" in launcher.attach_command("t")
    with pytest.raises(SessionExists):
        launcher.start("t", WAIT, workspace)
    launcher.end("t")
    bench.wait_until(lambda: not Path(f"/proc/{pid}").exists(), "it ended")


def test_files_of_a_killed_agent_are_cleared(launcher: ProcessLauncher, workspace: Path) -> None:
    """Those whose process lives stay."""
    launcher.start("living", WAIT, workspace)
    (workspace / ".aispool.process/task-over").symlink_to("1 0 another-boot")
    (workspace / ".aispool.process/.task-over.out").touch()
    ProcessLauncher(workspace).start("next", WAIT, workspace)
    assert files(workspace) == [".task-living.out", ".task-next.out", "task-living", "task-next"]


def test_what_ignores_a_hang_up_outlives_its_session(
    launcher: ProcessLauncher, workspace: Path, bench: Bench
) -> None:
    launcher.start("t", [sys.executable, "-I", "-S", "-c", STUBBORN], workspace)
    file = workspace / ".aispool.process/.task-t.out"
    bench.wait_until(lambda: file.read_text() == "deaf\n", "it ignores the signal")
    pid = launcher._living("task-t")
    assert pid is not None
    launcher.end("t")
    assert not launcher.exists("t")
    assert Path(f"/proc/{pid}").exists()
    launcher.start("t", WAIT, workspace)
    os.kill(pid, signal.SIGKILL)
    bench.wait_until(lambda: not Path(f"/proc/{pid}").exists(), "it was reaped")
    assert launcher.exists("t")


def test_attaching_says_that_there_is_no_terminal_and_follows(
    launcher: ProcessLauncher, workspace: Path
) -> None:
    """The pasted words show what the task printed and prints, and end with it."""
    attempt = workspace / "sessions/a task's/attempts/001"
    attempt.mkdir(parents=True)
    (attempt / "stderr").touch()
    stdout = attempt / "stdout"
    stdout.write_text("printed before\n")
    launcher.start("a task's", WAIT, workspace)
    command = shlex.join(launcher.attach_command("a task's"))
    with subprocess.Popen(
        ["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stderr is not None
        assert follower.stdout is not None
        said = follower.stderr.readline()
        assert "a task's has no terminal" in said
        assert "aispool logs -f a task's" in said
        assert "printed before\n" in [follower.stdout.readline() for _ in range(2)]
        with stdout.open("a") as file:
            file.write("printed now\n")
        rest = iter(follower.stdout.readline, "")
        assert "printed now\n" in rest
        launcher.end("a task's")
        assert follower.wait(20) == 0


def test_a_folder_that_is_not_ours_is_refused(launcher: ProcessLauncher, workspace: Path) -> None:
    (workspace / ".aispool.process").mkdir(mode=0o755)
    (workspace / ".aispool.process").chmod(0o755)
    with pytest.raises(LaunchError, match="chmod 700"):
        launcher.start("t", WAIT, workspace)
