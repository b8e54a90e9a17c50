from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from spool.workspace import Workspace, WorkspaceError, check_version, chosen_root, create, open_workspace

if TYPE_CHECKING:
    from pathlib import Path


def test_create_makes_private_folders_and_keeps_what_is_there(tmp_path: Path) -> None:
    """Doing it twice changes nothing, and repairs what was removed."""
    workspace = create(tmp_path / "new" / "ws")
    for folder in (workspace.root, *workspace.folders()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (workspace.tasks / "x.json").write_text("mine")
    workspace.logs.rmdir()
    create(workspace.root)
    assert (workspace.tasks / "x.json").read_text() == "mine"
    assert open_workspace(workspace.root) == workspace


@pytest.mark.parametrize("content", ["2\n", "0\n", "-1", "", "one", "9" * 100])
def test_another_protocol_is_refused(workspace: Workspace, content: str) -> None:
    """An agent never touches a newer or a damaged workspace."""
    workspace.version_file.write_text(content)
    for way in (open_workspace, create):
        with pytest.raises(WorkspaceError):
            way(workspace.root)


def test_what_is_missing_is_named(tmp_path: Path, workspace: Workspace) -> None:
    """The message says which folder, and what to run."""
    with pytest.raises(WorkspaceError, match="aispool init"):
        open_workspace(tmp_path / "nothing")
    workspace.rejected.rmdir()
    with pytest.raises(WorkspaceError, match=r"rejected is missing: run `aispool init"):
        open_workspace(workspace.root)
    assert check_version(workspace) == 1


def test_which_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As given, else by the environment, else under the home folder; always absolute."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AISPOOL_WORKSPACE", raising=False)
    assert chosen_root() == tmp_path / "ai-workspace"
    monkeypatch.setenv("AISPOOL_WORKSPACE", "~/other")
    assert chosen_root() == tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    assert chosen_root("rel/../x") == tmp_path / "x"


def test_agents_are_folders_of_that_name(workspace: Workspace) -> None:
    """Sessions and files beside them are none."""
    workspace.agent("b").mkdir()
    workspace.agent("a").mkdir()
    (workspace.sessions / "t1").mkdir()
    (workspace.sessions / ".agent-file").touch()
    assert workspace.agents() == [workspace.agent("a"), workspace.agent("b")]
