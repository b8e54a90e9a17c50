"""Commands on a workspace whose tasks go to Slurm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from agent.inspect import checks_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

NAMES = ("sbatch", "squeue", "scancel", "sinfo", "srun")


@pytest.fixture
def slurm(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Slurm's commands, of which squeue does what a test wants; all tasks of a tool go there."""
    (workspace.configs / "agent.toml").write_text('launcher_by_tool = {shell = "slurm"}\n')
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def script(squeue: str) -> None:
        for name in NAMES:
            (folder / name).write_text(f"#!/bin/sh\n{squeue}\n")
            (folder / name).chmod(0o755)

    return script


def finding(workspace: Workspace) -> Any:
    (found,) = (found for found in checks_machine.service(workspace) if found.check == "slurm")
    return found


def test_doctor_asks_the_controller(workspace: Workspace, slurm: Callable[[str], None]) -> None:
    slurm("exit 0")
    assert finding(workspace).grade == "ok"


def test_doctor_says_that_the_controller_is_silent(
    workspace: Workspace, slurm: Callable[[str], None]
) -> None:
    slurm("echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1")
    found = finding(workspace)
    assert found.grade == "problem"
    assert "scontrol ping" in found.remedy


@pytest.mark.usefixtures("slurm")
def test_doctor_names_a_missing_command(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = finding(workspace)
    assert found.grade == "problem"
    assert "apt install slurm-client" in found.what


def test_doctor_knows_that_slurm_is_no_program(workspace: Workspace, slurm: Callable[[str], None]) -> None:
    """There is no command of that name."""
    slurm("exit 0")
    (workspace.configs / "agent.toml").write_text('launcher = "slurm"\n')
    assert "launcher" not in {found.check for found in checks_machine.service(workspace)}


@pytest.mark.usefixtures("slurm")
def test_dry_run_names_the_launcher_of_the_tool(aispool: Callable[..., Any]) -> None:
    document = aispool("submit", "-t", "shell", "-c", "true", "--id", "x", "--dry-run", "--json").document
    assert document["runs"][0]["launcher"] == "slurm"
