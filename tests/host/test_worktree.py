from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.host import worktree as module
from agent.host.worktree import finish_worktree, prepare_worktree
from agent.tools import repository
from agent.tools.repository import GitError, WorktreePlan, branch_of, plan_worktree
from spool.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace


def run(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a\n")
    (folder / "sub" / "b.txt").write_text("b\n")
    (folder / ".gitignore").write_text("*.o\n")
    run(folder, "init", "-q", "-b", "main")
    run(folder, "add", ".")
    run(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def session(workspace: Workspace) -> Path:
    folder = workspace.sessions / "t-1"
    folder.mkdir()
    return folder


def planned(workspace: Workspace, cwd: Path, task_id: str = "t-1") -> WorktreePlan:
    plan = plan_worktree(workspace, task_id, cwd, lambda _: True)
    assert isinstance(plan, WorktreePlan), plan
    return plan


def branches(repo: Path) -> list[str]:
    return run(repo, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def test_an_untouched_worktree_goes_with_its_branch(workspace: Workspace, repo: Path, session: Path) -> None:
    """What git ignores does not count; preparing again changes nothing, nor does finishing again."""
    plan = planned(workspace, repo / "sub")
    assert plan.cwd == workspace.root / "worktrees" / "t-1" / "sub"
    assert not plan.path.exists(), "a plan writes nothing"
    assert prepare_worktree(session, plan) is None
    assert prepare_worktree(session, plan) is None
    assert (plan.cwd / "b.txt").read_text() == "b\n"
    assert run(plan.cwd, "branch", "--show-current") == "aispool/t-1"
    (plan.path / "made.o").touch()
    assert finish_worktree(session) is None
    assert finish_worktree(session) is None
    assert not plan.path.exists()
    assert branches(repo) == ["main"]
    assert run(repo, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("how", ["untracked", "changed", "staged", "committed", "detached", "hidden"])
def test_what_a_person_could_want_is_kept_and_named(
    workspace: Workspace, repo: Path, session: Path, how: str
) -> None:
    plan = planned(workspace, repo)
    prepare_worktree(session, plan)
    if how == "detached":
        run(plan.path, "checkout", "-q", "--detach")
    if how == "hidden":
        run(plan.path, "config", "status.showUntrackedFiles", "no")
    (plan.path / ("a.txt" if how == "changed" else "new.txt")).write_text("new\n")
    if how in {"staged", "committed", "detached"}:
        run(plan.path, "add", ".")
    if how in {"committed", "detached"}:
        run(plan.path, "commit", "-q", "-m", "second")
    kept = finish_worktree(session)
    assert kept is not None
    assert (kept.path, kept.branch) == (str(plan.path), "aispool/t-1")
    assert plan.path.is_dir()
    assert "aispool/t-1" in branches(repo)
    assert prepare_worktree(session, plan) is None, "a retry goes on in it"
    assert finish_worktree(session) == kept


def test_a_commit_outlives_the_folder(workspace: Workspace, repo: Path, session: Path) -> None:
    """When a person removed the folder, a retry gets it again at the branch's commit."""
    plan = planned(workspace, repo)
    prepare_worktree(session, plan)
    (plan.path / "new.txt").touch()
    run(plan.path, "add", ".")
    run(plan.path, "commit", "-q", "-m", "second")
    run(repo, "worktree", "remove", str(plan.path))
    assert finish_worktree(session) is not None
    assert prepare_worktree(session, plan) is None
    assert (plan.path / "new.txt").exists()
    assert finish_worktree(session) is not None


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_while_it_is_made(
    workspace: Workspace, repo: Path, session: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A half-made worktree is made anew, and removed when the task ends before that."""
    plan = planned(workspace, repo)

    def killed(folder: Path, *arguments: str) -> str:
        if arguments[:2] != ("worktree", "add"):
            return repository.git(folder, *arguments)
        if moment == "after":
            repository.git(folder, *arguments)
            (plan.path / "a.txt").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "git", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_worktree(session, plan)
    monkeypatch.undo()
    assert prepare_worktree(session, plan) is None
    assert (plan.path / "a.txt").exists()
    assert finish_worktree(session) is None
    monkeypatch.setattr(module, "git", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_worktree(session, plan)
    monkeypatch.undo()
    assert finish_worktree(session) is None
    assert branches(repo) == ["main"]
    assert not plan.path.exists()


def test_a_kill_while_a_kept_branch_is_taken_up_again(
    workspace: Workspace, repo: Path, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit is never lost."""
    plan = planned(workspace, repo)
    prepare_worktree(session, plan)
    run(plan.path, "commit", "-q", "--allow-empty", "-m", "second")
    commit = run(plan.path, "rev-parse", "HEAD")
    run(repo, "worktree", "remove", str(plan.path))

    def killed(folder: Path, *arguments: str) -> str:
        if arguments[:2] == ("worktree", "add"):
            raise KeyboardInterrupt
        return repository.git(folder, *arguments)

    monkeypatch.setattr(module, "git", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_worktree(session, plan)
    monkeypatch.undo()
    assert finish_worktree(session) is not None
    assert prepare_worktree(session, plan) is None
    assert run(plan.path, "rev-parse", "HEAD") == commit
    assert finish_worktree(session) is not None


def test_a_kill_while_it_is_removed(workspace: Workspace, repo: Path, session: Path) -> None:
    plan = planned(workspace, repo)
    prepare_worktree(session, plan)
    run(repo, "worktree", "remove", str(plan.path))
    assert finish_worktree(session) is None
    assert branches(repo) == ["main"]


def test_nothing_that_a_repository_configures_is_run(
    workspace: Workspace, repo: Path, session: Path, tmp_path: Path
) -> None:
    """Hooks, the file system monitor, and filters, also one with an equals sign in its name."""
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {tmp_path}/ran\ncat\n")
    program.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (repo / ".git" / "hooks" / hook).write_bytes(program.read_bytes())
        (repo / ".git" / "hooks" / hook).chmod(0o755)
    (repo / ".gitattributes").write_text("a.txt filter=one\nsub/b.txt filter=x=y\n")
    run(repo, "-c", "core.hooksPath=/dev/null", "add", ".")
    run(repo, "-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "attributes")
    for driver in ("one", "x=y"):
        for kind in ("clean", "smudge"):
            run(repo, "config", f"filter.{driver}.{kind}", str(program))
        run(repo, "config", f"filter.{driver}.required", "true")
    run(repo, "config", "core.fsmonitor", str(program))
    plan = planned(workspace, repo)
    assert prepare_worktree(session, plan) is None
    os.utime(plan.path / "a.txt", (1, 1))
    assert finish_worktree(session) is None
    assert not (tmp_path / "ran").exists()


def test_where_there_can_be_none(workspace: Workspace, repo: Path, session: Path, tmp_path: Path) -> None:
    outside = plan_worktree(workspace, "t-1", tmp_path, lambda _: True)
    assert isinstance(outside, Refusal)
    assert "not a git repository" in outside.what
    forbidden = plan_worktree(workspace, "t-1", repo / "sub", lambda path: path == repo / "sub")
    assert isinstance(forbidden, Refusal)
    assert "allowed_paths" in forbidden.remedy
    empty = tmp_path / "empty"
    empty.mkdir()
    run(empty, "init", "-q")
    refused = prepare_worktree(session, planned(workspace, empty))
    assert refused is not None
    assert "no commit yet" in refused.what
    assert finish_worktree(session) is None


def test_what_is_not_ours_stays(workspace: Workspace, repo: Path, session: Path) -> None:
    """A branch or a folder of that name that was there before is neither taken nor removed."""
    run(repo, "branch", "aispool/t-1")
    plan = planned(workspace, repo)
    refused = prepare_worktree(session, plan)
    assert refused is not None
    assert "is there already" in refused.what
    assert finish_worktree(session) is None
    assert branches(repo) == ["aispool/t-1", "main"]


def test_a_link_does_not_lead_out(workspace: Workspace, repo: Path, session: Path) -> None:
    (repo / "way").symlink_to("/")
    run(repo, "add", ".")
    run(repo, "commit", "-q", "-m", "link")
    (repo / "way").unlink()
    (repo / "way").mkdir()
    refused = prepare_worktree(session, planned(workspace, repo / "way"))
    assert refused is not None
    assert "leads out" in refused.what


def test_a_folder_that_is_not_in_the_commit_is_made(workspace: Workspace, repo: Path, session: Path) -> None:
    (repo / "new" / "deep").mkdir(parents=True)
    plan = planned(workspace, repo / "new" / "deep")
    assert prepare_worktree(session, plan) is None
    assert plan.cwd.is_dir()
    assert finish_worktree(session) is None


def test_it_is_kept_when_git_cannot_tell(
    workspace: Workspace, repo: Path, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(workspace, repo)
    prepare_worktree(session, plan)

    def broken(*_: object) -> str:
        raise GitError("broken")

    monkeypatch.setattr(module, "git", broken)
    assert finish_worktree(session) is not None
    assert plan.path.is_dir()


@pytest.mark.parametrize("task_id", ["a", "a..b", "a.", "a.lock", "a...lock", "x.lock.y", "A-_.9"])
def test_every_id_makes_a_branch(task_id: str, repo: Path) -> None:
    run(repo, "check-ref-format", "--branch", branch_of(task_id))
