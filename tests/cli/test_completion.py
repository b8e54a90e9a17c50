from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agent.fleet.layout import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

    Run = Callable[..., Any]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The command `aispool` on a PATH of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "aispool").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent "$@"\n')
    (folder / "aispool").chmod(0o700)
    return folder


def completed(command: Path, words: str, workspace: Workspace) -> list[str]:
    """Press tab behind these words in a real bash."""
    script = f"""
    source <(aispool completion bash)
    COMP_WORDS=({words} ""); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _aispool_completion aispool
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={
            **os.environ,
            "PATH": f"{command}:{os.environ['PATH']}",
            "AISPOOL_WORKSPACE": str(workspace.root),
        },
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_ids_complete_in_bash(
    command: Path, workspace: Workspace, dropped: Run, running: Run, over: Run
) -> None:
    """Each command offers the ids that it can work on."""
    dropped("waits")
    running("runs")
    over("done")
    assert {"submit", "ls", "completion"} <= set(completed(command, "aispool", workspace))
    assert completed(command, "aispool hold", workspace) == ["waits"]
    assert completed(command, "aispool retry", workspace) == ["done"]
    assert completed(command, "aispool cancel", workspace) == ["waits", "runs"]
    assert completed(command, "aispool cancel waits", workspace) == ["runs"]


@pytest.mark.parametrize("name", ["ls", "submit", "top"])
def test_hosts_of_the_fleet_complete(name: str, command: Path, workspace: Workspace) -> None:
    """Wherever --host names one."""
    (workspace.configs / "hosts.toml").write_text('[[hosts]]\nname = "gpu-box"\naddress = "gpu-box"\n')
    Fleet(workspace).mirror("gpu-box").make()
    assert "gpu-box" in completed(command, f"aispool {name} --host", workspace)


def test_without_a_workspace_nothing_is_offered(command: Path, workspace: Workspace) -> None:
    """And no error disturbs who types."""
    shutil.rmtree(workspace.root)
    assert completed(command, "aispool show", workspace) == []


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(name: str, aispool: Run) -> None:
    """It asks us by the variable that our entry point listens to."""
    assert "_AISPOOL_COMPLETE" in aispool("completion", name).out


def test_another_shell_is_usage(aispool: Run) -> None:
    """The known ones are named."""
    assert "zsh" in aispool("completion", "tcsh", code=2).err
