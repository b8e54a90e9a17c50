from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from agent.cli import listing

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def test_done_input_and_usage(shell: Run, over: Run) -> None:
    """0, 1 with a sentence, 2 with the usage: as a program of its own, without a traceback."""
    over()
    assert shell("ls").returncode == 0
    missing = shell("show", "nobody")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("aispool: no task nobody")
    usage = shell("ls", "--no-such-option")
    assert usage.returncode == 2
    assert "Usage:" in usage.stderr


def test_no_workspace_is_your_input(capfd: pytest.CaptureFixture[str], tmp_path: object) -> None:
    """It says how to make one."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "-w", f"{tmp_path}/none", "ls"], check=False, timeout=60
    )
    assert done.returncode == 1
    assert "aispool init" in capfd.readouterr().err


def test_a_broken_configuration_names_the_place(aispool: Run, workspace: Workspace) -> None:
    """The option, and what was meant."""
    (workspace.configs / "agent.toml").write_text("slotz = 3\n")
    said = aispool("clean", code=1)
    assert "slotz" in said.err
    assert "slots" in said.err


def test_a_bug_says_how_to_report_it(aispool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """3, with the traceback."""

    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(listing, "_views", broken)
    said = aispool("ls", code=3)
    assert "RuntimeError: no such luck" in said.err
    assert "report it" in said.err


def test_a_full_disk_is_no_bug(aispool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """1, with what to do."""

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, os.strerror(28), "/workspace/tasks/x")

    monkeypatch.setattr(listing, "_views", full)
    said = aispool("ls", code=1)
    assert (
        said.err == "aispool: /workspace/tasks/x: No space left on device: free some space, then try again\n"
    )


def test_interrupted(workspace: Workspace, running: Run) -> None:
    """^C of a follower is 130 and one word."""
    running()
    (workspace.logs / "shell-build.log").write_text("ready\n")
    command = [sys.executable, "-m", "agent", "-w", str(workspace.root), "logs", "-f", "build"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.strip() == "aispool: interrupted"


def test_a_reader_that_went_away_is_silent(workspace: Workspace, over: Run) -> None:
    """`aispool ls | head` prints no traceback."""
    for number in range(40):
        over(f"task-{number}", reason="x" * 5000)
    script = f'"{sys.executable}" -m agent -w "{workspace.root}" ls --all | head -n 1'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("ID")
    assert done.stderr == ""
