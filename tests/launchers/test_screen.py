"""What only GNU screen can get wrong: its socket folder and its names."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.launchers import LaunchError, calls
from agent.launchers.screen import ScreenLauncher, screen_folder

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Bench

WAIT = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]

pytestmark = pytest.mark.skipif(shutil.which("screen") is None, reason="screen is not installed")


@pytest.fixture
def launcher(workspace: Path) -> ScreenLauncher:
    return ScreenLauncher(workspace)


def test_sockets_lie_in_a_private_folder_of_the_workspace(launcher: ScreenLauncher, workspace: Path) -> None:
    launcher.start("t", WAIT, workspace)
    place = workspace / ".aispool.screen"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert [path.name.partition(".")[2] for path in place.iterdir() if path.is_socket()] == ["task-t"]


def test_the_log_is_flushed_at_once(launcher: ScreenLauncher, workspace: Path) -> None:
    launcher.start("t", WAIT, workspace)
    assert "logfile flush 0" in (workspace / ".aispool.screen" / ".screenrc").read_text().splitlines()


def test_a_dot_is_kept(launcher: ScreenLauncher, workspace: Path) -> None:
    launcher.start("a.b", WAIT, workspace)
    assert launcher.sessions() == {"task-a.b"}


def test_the_attach_command_names_one_process(
    launcher: ScreenLauncher, workspace: Path, bench: Bench
) -> None:
    """A name matches by its prefix: task-1 would be task-10 as well."""
    launcher.start("10", WAIT, workspace)
    assert launcher.attach_command("1")[-1] == "task-1"
    launcher.start("1", WAIT, workspace)
    pids = bench.servers(workspace)
    assert launcher.attach_command("1")[-1] in {f"{pid}.task-1" for pid in pids}
    assert launcher.attach_command("1")[:2] == ["env", f"SCREENDIR={workspace}/.aispool.screen"]


def test_the_longest_name_fits_a_socket(launcher: ScreenLauncher) -> None:
    """PID.NAME in the longest folder stays under the 108 bytes of a socket's path."""
    assert max(len(launcher.session_name("x" * length)) for length in range(1, 101)) == 40
    assert 56 + len("/4194304.") + 40 < 108


def test_a_folder_that_another_took_is_refused(folder: Path, bench: Bench) -> None:
    """Under /tmp, anybody may have been there first."""
    workspace = folder / ("d" * 120)
    workspace.mkdir()
    place = screen_folder(workspace)
    place.symlink_to(folder)
    try:
        with pytest.raises(LaunchError, match="somebody took its name"):
            ScreenLauncher(workspace).start("t", WAIT, workspace)
    finally:
        place.unlink()
        bench.reap(workspace)


def test_a_folder_open_to_others_is_refused(launcher: ScreenLauncher, workspace: Path) -> None:
    (workspace / ".aispool.screen").mkdir()
    (workspace / ".aispool.screen").chmod(0o755)
    with pytest.raises(LaunchError, match="chmod 700"):
        launcher.start("t", WAIT, workspace)


def test_two_sessions_that_a_person_made_are_both_ended(launcher: ScreenLauncher, workspace: Path) -> None:
    """The program itself takes a name twice."""
    launcher.start("t", WAIT, workspace)
    env = os.environ | {"SCREENDIR": str(workspace / ".aispool.screen")}
    rc = workspace / ".aispool.screen" / ".screenrc"
    subprocess.run(["screen", "-c", rc, "-dmS", "task-t", *WAIT], env=env, check=True)
    launcher.end("t")
    assert launcher.sessions() == set()


def test_a_session_that_does_not_answer_is_given_up(
    launcher: ScreenLauncher, workspace: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher.start("t", WAIT, workspace)
    (pid,) = bench.servers(workspace)
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.3)
    monkeypatch.setattr("agent.launchers.screen.GONE_S", 0.1)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(LaunchError, match=r"did not answer|does not quit"):
            launcher.end("t")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_mark_of_a_start_that_was_cut_short_is_not_believed(
    launcher: ScreenLauncher, workspace: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A screen that exits 0 and starts nothing is found out."""
    launcher.start("other", WAIT, workspace)
    (workspace / ".aispool.screen" / ".started-task-t").touch()
    fake = folder / "bin" / "screen"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o700)
    monkeypatch.setattr("agent.launchers.screen.START_S", 0.1)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(LaunchError, match="started no session task-t"):
        launcher.start("t", WAIT, workspace)


def test_nothing_but_sockets_and_its_own_files_stays(launcher: ScreenLauncher, workspace: Path) -> None:
    launcher.start("t", WAIT, workspace)
    launcher.end("t")
    assert {path.name for path in (workspace / ".aispool.screen").iterdir()} == {".lock", ".screenrc"}
