from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agent.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def test_a_new_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Private, with scripts that run, samples, and what to do next."""
    root = tmp_path / "new"
    assert main(["-w", str(root), "init"]) == 0
    assert "aispool doctor" in capsys.readouterr().out
    assert root.stat().st_mode & 0o777 == 0o700
    for name in ("drop-task.sh", "healthcheck.sh", "setup-ai-protocol.sh", "workspace.sh"):
        assert os.access(root / "scripts" / name, os.X_OK)
    assert (root / "configs" / "tmux.conf").read_bytes() == (root / "scripts" / "tmux.conf").read_bytes()
    assert (root / "configs" / "agent.toml").exists()
    assert not (root / "scripts" / "packages.sh").exists()
    assert not [path for path in root.rglob("*") if path.stat().st_mode & 0o077]


def test_doing_it_twice_changes_nothing(aispool: Run, workspace: Workspace) -> None:
    """Not one byte, not one time."""
    aispool("init")
    before = {path: path.stat().st_mtime_ns for path in workspace.scripts.iterdir() if path.suffix == ".sh"}
    document = aispool("init", "--json").document
    assert (document["added"], document["upgraded"], document["kept"]) == ([], [], [])
    assert before == {p: p.stat().st_mtime_ns for p in workspace.scripts.iterdir() if p.suffix == ".sh"}


def test_edited_files_stay_and_old_ones_are_upgraded(
    aispool: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A newer version replaces what nobody touched, and names what it left alone."""
    aispool("init")
    (workspace.scripts / "healthcheck.sh").write_text("#!/bin/sh\necho mine\n")
    (workspace.configs / "agent.toml").write_text("slots = 7\n")
    newer = tmp_path / "newer"
    for name in ("scripts", "configs"):
        (newer / name).mkdir(parents=True)
    for name in ("healthcheck.sh", "drop-task.sh"):
        (newer / "scripts" / name).write_text("#!/bin/sh\necho newer\n")
    (newer / "scripts" / "tmux.conf").write_text("# newer\n")
    (newer / "configs" / "agent.toml").write_text("# newer\n")
    monkeypatch.setattr("agent.share.share_folder", lambda name: newer / name)
    said = aispool("init")
    assert "upgraded: scripts/drop-task.sh" in said.out
    assert "scripts/healthcheck.sh" in said.out.split("left as you edited them:")[1]
    assert "echo mine" in (workspace.scripts / "healthcheck.sh").read_text()
    assert (workspace.configs / "agent.toml").read_text() == "slots = 7\n"
    aispool("init", "--force-scripts")
    assert "echo newer" in (workspace.scripts / "healthcheck.sh").read_text()
    assert os.access(workspace.scripts / "healthcheck.sh", os.X_OK)
    assert (workspace.configs / "agent.toml").read_text() == "slots = 7\n"


def test_scripts_copied_by_hand_count_as_edited_only_when_they_differ(
    aispool: Run, workspace: Workspace
) -> None:
    """setup-ai-protocol.sh copies without a manifest."""
    aispool("init")
    (workspace.scripts / ".shipped.json").unlink()
    (workspace.scripts / "drop-task.sh").write_text("# older, or edited: who knows\n")
    assert aispool("init", "--json").document["kept"] == ["scripts/drop-task.sh"]


def test_a_newer_protocol_is_left_alone(aispool: Run, workspace: Workspace) -> None:
    """It says to upgrade."""
    workspace.version_file.write_text("99\n")
    assert "upgrade" in aispool("init", code=1).err
