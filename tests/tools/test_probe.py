from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

from agent.tools.probe import login_path, probe

if TYPE_CHECKING:
    from pathlib import Path

    from agent.tools.registry import Registry
    from spool.workspace import Workspace

    from .conftest import Install


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's shell, as a script."""
    file = tmp_path / "own-shell"
    monkeypatch.setenv("SHELL", str(file))
    return file


def write(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_what_is_installed(
    registry: Registry, workspace: Workspace, install: Install, programs: Path
) -> None:
    install("gemini", "gemini-cli")
    gemini, shell = registry.get("gemini"), registry.get("shell")
    assert gemini is not None
    assert shell is not None
    seen = probe(gemini, workspace, search_path=str(programs))
    assert (seen.executable, seen.source) == (str(programs / "gemini-cli"), "PATH")
    assert (seen.env_file_state, seen.ready, seen.virtual_env) == ("absent", True, None)
    assert probe(shell, workspace).executable == "/bin/sh"


def test_what_is_missing_names_the_remedy(
    registry: Registry, workspace: Workspace, install: Install, programs: Path
) -> None:
    """A program that only the login shell finds is told with the line that mends it."""
    gemini = registry.get("gemini")
    assert gemini is not None
    seen = probe(gemini, workspace, search_path="/nowhere")
    assert not seen.ready
    assert "not installed" in seen.problems[0].what
    install("gemini")
    seen = probe(gemini, workspace, search_path="/nowhere", login=["/nowhere", str(programs)])
    assert "your login shell finds" in seen.problems[0].what
    assert f'path = "{programs}/gemini"' in seen.problems[0].remedy


def test_secrets_that_others_may_read_are_a_problem(registry: Registry, workspace: Workspace) -> None:
    file = workspace.configs / "env" / "shell.env"
    file.write_text("A=b")
    file.chmod(0o600)
    shell = registry.get("shell")
    assert shell is not None
    assert probe(shell, workspace).env_file_state == "ready"
    file.chmod(0o644)
    seen = probe(shell, workspace)
    assert seen.env_file_state == "refused"
    assert seen.problems[0].remedy == f"run: chmod 600 {file}"


def test_set_up_program_that_is_missing(registry: Registry, workspace: Workspace) -> None:
    shell = registry.get("shell")
    assert shell is not None
    tool = shell.model_copy(update={"setup": ("no-such-program",)})
    assert "no-such-program" in probe(tool, workspace).problems[0].what


def test_login_path_is_found_among_what_profiles_print(shell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own PATH is not handed down."""
    monkeypatch.setenv("PATH", f"/service/only:{os.environ['PATH']}")
    write(shell, 'echo "Welcome!"; PATH=/a:/b; shift; eval "$1"; echo bye')
    assert login_path() == ["/a", "/b"]


def test_login_shell_that_refuses_to_be_interactive(shell: Path) -> None:
    write(shell, '[ "$1" = -lc ] || exit 2; PATH=/a; eval "$2"')
    assert login_path() == ["/a"]


def test_real_shell_answers(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    del home
    assert login_path()


@pytest.mark.parametrize("script", ["exit 1", "echo no"])
def test_shell_that_does_not_say(shell: Path, script: str) -> None:
    write(shell, script)
    assert login_path() is None


def test_shell_that_hangs_is_ended(shell: Path) -> None:
    """Neither it nor what it started in the background keeps us."""
    write(shell, "sleep 60 & wait")
    before = time.monotonic()
    assert login_path(timeout_s=0.2) is None
    assert time.monotonic() - before < 10


def test_shell_that_is_not_there(shell: Path) -> None:
    shell.unlink(missing_ok=True)
    assert login_path() is None
