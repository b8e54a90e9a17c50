"""What holds for every script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMANDS = sorted(path.name for path in SCRIPTS.iterdir() if os.access(path, os.X_OK) and path.is_file())
SHELL_COMMANDS = [name for name in COMMANDS if name.endswith(".sh")]
NAMED_IN_THE_PROTOCOL = {
    *(
        "setup-ai-protocol.sh",
        "init-ai-session.sh",
        "task-executor.sh",
        "healthcheck.sh",
        "connect-ai-host.sh",
    ),
    *("auto-reconnect.sh", "drop-task.sh", "ai-coordinator.py"),
}


def test_all_are_there() -> None:
    """Each script that the workspace promises exists and can be run."""
    assert set(COMMANDS) >= NAMED_IN_THE_PROTOCOL | {"quickstart", "test"}


@pytest.mark.parametrize("name", [*COMMANDS, "workspace.sh", "packages.sh", "fleet-host.sh"])
def test_shellcheck_is_silent(name: str) -> None:
    """No finding, not even a remark."""
    if name.endswith(".py"):
        return
    done = subprocess.run(
        ["shellcheck", "--external-sources", f"scripts/{name}"],
        cwd=SCRIPTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", [*SHELL_COMMANDS, "quickstart", "test"])
def test_help_names_the_script_and_changes_nothing(bare_shell: Shell, name: str) -> None:
    """--help needs no workspace and makes none."""
    done = bare_shell.run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout.splitlines()[0]
    assert not bare_shell.workspace.exists()


@pytest.mark.parametrize("name", sorted(set(SHELL_COMMANDS) - {"setup-ai-protocol.sh"}))
def test_without_a_workspace_it_says_what_to_do(bare_shell: Shell, name: str) -> None:
    """The message names the folder it looked in, and the remedy."""
    arguments = {"init-ai-session.sh": ["qwen", "t1"], "task-executor.sh": ["x"], "drop-task.sh": ["x"]}
    if name == "connect-ai-host.sh":
        return  # the workspace it needs is the other host's
    done = bare_shell.run(name, *arguments.get(name, []))
    assert done.returncode == 1
    assert f"{bare_shell.workspace} is no workspace" in done.stderr
    assert "setup-ai-protocol.sh" in done.stderr


@pytest.mark.parametrize("name", SHELL_COMMANDS)
def test_a_misspelt_option_is_exit_2(bare_shell: Shell, name: str) -> None:
    """Usage errors are told apart from failures."""
    assert bare_shell.run(name, "--no-such-option", "a", "b", "c", "d").returncode == 2


def test_a_copy_in_a_workspace_serves_that_workspace(shell: Shell) -> None:
    """Without AISPOOL_WORKSPACE a script serves the workspace it lies in, not the one in the home folder."""
    other = shell.home / "other place"
    assert shell.run("setup-ai-protocol.sh", AISPOOL_WORKSPACE=str(other)).returncode == 0
    done = subprocess.run(
        [other / "scripts/drop-task.sh", "-", "mine"],
        env=shell.environment,
        input=b'{"tool": "shell"}',
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"mine.json\n"
    assert (other / "tasks/mine.json").exists()
    assert not (shell.workspace / "tasks/mine.json").exists()
