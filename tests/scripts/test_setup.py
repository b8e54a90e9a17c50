"""setup-ai-protocol.sh, where aispool is not installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Shell

SCRIPTS = Path(__file__).parents[2] / "scripts"


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything that would show a change: modes, inodes, times."""
    facts = {str(path): path.lstat() for path in sorted(folder.rglob("*"))}
    return {name: (fact.st_mode, fact.st_ino, fact.st_mtime_ns) for name, fact in facts.items()}


def test_the_workspace_is_private_and_complete(bare_shell: Shell) -> None:
    """Every folder of the protocol, for its owner alone, and the version."""
    done = bare_shell.run("setup-ai-protocol.sh")
    assert (done.returncode, done.stderr) == (0, "")
    for name in (
        "",
        "tasks",
        "tasks/held",
        "sessions",
        "results",
        "rejected",
        "logs",
        "configs/env",
        "scripts",
    ):
        assert (bare_shell.workspace / name).stat().st_mode & 0o777 == 0o700
    assert (bare_shell.workspace / "VERSION").read_text() == "1\n"
    copied = {path.name for path in (bare_shell.workspace / "scripts").iterdir()}
    assert {"drop-task.sh", "healthcheck.sh", "workspace.sh", "ai-coordinator.py", "tmux.conf"} <= copied
    assert "not installed" in done.stdout


def test_the_agent_takes_such_a_workspace(shell: Shell) -> None:
    """The folders are those that the protocol's own code asks for."""
    from spool.workspace import open_workspace  # noqa: PLC0415 - the only test here that needs it

    assert open_workspace(shell.workspace).root == shell.workspace


def test_twice_changes_nothing(shell: Shell) -> None:
    """No file is written again, and no second backup made."""
    before = snapshot(shell.home)
    assert shell.run("setup-ai-protocol.sh").returncode == 0
    assert snapshot(shell.home) == before


def test_an_edited_script_of_the_workspace_is_kept(shell: Shell) -> None:
    """What a person changed stays."""
    mine = shell.workspace / "scripts/healthcheck.sh"
    mine.write_text("#!/bin/sh\necho mine\n")
    shell.run("setup-ai-protocol.sh")
    assert mine.read_text() == "#!/bin/sh\necho mine\n"


def test_an_existing_tmux_conf_is_kept_beside(bare_shell: Shell) -> None:
    """The backup's name tells when; the new file is the shipped one."""
    mine = bare_shell.home / ".tmux.conf"
    mine.write_text("set -g mouse on\n")
    done = bare_shell.run("setup-ai-protocol.sh")
    assert done.returncode == 0
    (backup,) = bare_shell.home.glob(".tmux.conf.backup-*")
    assert re.fullmatch(r"\.tmux\.conf\.backup-\d{8}-\d{6}", backup.name)
    assert str(backup) in done.stdout
    assert backup.read_text() == "set -g mouse on\n"
    assert mine.read_bytes() == (SCRIPTS / "tmux.conf").read_bytes()


def test_a_linked_tmux_conf_keeps_its_target(bare_shell: Shell) -> None:
    """A link into somebody's dotfiles is set aside, not written through."""
    dotfiles = bare_shell.home / "dotfiles"
    dotfiles.write_text("set -g mouse on\n")
    (bare_shell.home / ".tmux.conf").symlink_to(dotfiles)
    bare_shell.run("setup-ai-protocol.sh")
    assert dotfiles.read_text() == "set -g mouse on\n"
    assert not (bare_shell.home / ".tmux.conf").is_symlink()
