"""Git, run on a repository that nobody has to trust, and what a worktree for a task would be.

Hooks, the file system monitor and the filters that a repository configures for itself are programs of its
choice: none of them runs here. A path reaches git after `--` or as the value of an option only.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spool.workspace import Workspace

GIT_TIMEOUT_S = 30.0
"""For each call: the agent does nothing else meanwhile, and systemd watches it."""
BRANCHES = "aispool/"

_SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}
_FILTER = re.compile(r"filter\..*\.(?:clean|smudge|process)", re.DOTALL)
_FIELD = "worktree"


class GitError(Exception):
    """Git could not do it; the message is the last line that it said."""


@dataclass(frozen=True, slots=True)
class WorktreePlan:
    """The worktree of one task.

    Args:
        top: the top folder of the working copy that the task names, without links.
        path: of the task's own worktree.
        branch: the task's own.
        cwd: where the tool runs: the same sub folder of the new worktree.
        tracked: what the commit holds, folders and files, relative to the top.
    """

    top: Path
    path: Path
    branch: str
    cwd: Path
    tracked: frozenset[str] = field(default=frozenset(), repr=False)

    def moved(self, path: str) -> str:
        """Return where an input lies in the worktree; the path itself when the commit does not hold it."""
        if not Path(path).is_relative_to(self.top):
            return path
        below = Path(path).relative_to(self.top)
        return str(self.path / below) if str(below) in self.tracked or below == Path() else path


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        GitError: it failed, or took too long.
    """
    return _run(folder, _SAFE | _filters(folder), arguments)


def _filters(folder: Path) -> dict[str, str]:
    """Return what switches off the programs that the repository itself would run on every file."""
    try:
        listed = _run(folder, _SAFE, ("config", "--show-scope", "--name-only", "--null", "--list")).split(
            "\0"
        )
    except GitError:
        return {}  # not a repository: what follows says so
    options: dict[str, str] = {}
    for scope, name in zip(listed[::2], listed[1::2], strict=False):
        if scope in {"local", "worktree"} and _FILTER.fullmatch(name):
            options |= {name: "", f"{name.rpartition('.')[0]}.required": "false"}
    return options


def _run(folder: Path, options: Mapping[str, str], arguments: tuple[str, ...]) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    # not as `-c NAME=VALUE`: a name may hold an equals sign
    env["GIT_CONFIG_COUNT"] = str(len(options))
    for number, (name, value) in enumerate(options.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("git is not installed" if folder.is_dir() else f"{folder} is gone") from None
    except NotADirectoryError:
        raise GitError(f"{folder} is not a folder") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git took longer than {GIT_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(said[-1] if said else f"git ended with {done.returncode}")
    return os.fsdecode(done.stdout)


def branch_of(task_id: str) -> str:
    """Return a task's branch: its id, with the dots escaped that git-check-ref-format(1) forbids."""
    return BRANCHES + re.sub(r"\.(?=\.|lock$|$)", "%2E", task_id)


def plan_worktree(
    workspace: Workspace, task_id: str, cwd: Path, allow: Callable[[Path], bool]
) -> WorktreePlan | Refusal:
    """Return the worktree that a task is to have; nothing is written.

    Args:
        workspace: holds it, below worktrees/.
        task_id: the task's.
        cwd: where the task would run without it, without links.
        allow: tells whether the task may use a folder.
    """
    try:
        top, common = (
            Path(os.path.realpath(line, strict=False))
            for line in git(
                cwd, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir"
            ).splitlines()
        )
    except GitError as error:
        return Refusal(
            f"{cwd} cannot have a worktree: {error}",
            "name a folder of a git repository as parameters.cwd, or leave worktree out",
            field=_FIELD,
        )
    except ValueError:
        return Refusal(
            f"the path of the repository around {cwd} holds a line break", "rename the folder", field=_FIELD
        )
    for folder in (top, common):
        if not allow(folder):
            return Refusal(
                f"the repository around {cwd} lies in {folder}, which is not in a folder that tasks may use",
                "add it to allowed_paths in configs/agent.toml, or leave worktree out",
                field=_FIELD,
            )
    # without links, as git lists it
    path = Path(os.path.realpath(workspace.root)) / "worktrees" / task_id
    return WorktreePlan(top, path, branch_of(task_id), path / cwd.relative_to(top), _tracked(top))


def _tracked(top: Path) -> frozenset[str]:
    try:
        return frozenset(
            git(top, "ls-tree", "-r", "-t", "-z", "--name-only", "--full-tree", "HEAD").split("\0")
        )
    except GitError:
        return frozenset()  # there is no commit yet, which is said when the worktree is made
