"""How one attempt of a task is run: a value that holds no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.tools.environment import names_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.tools.repository import WorktreePlan


@dataclass(frozen=True, slots=True)
class Call:
    """One of several calls of a tool, each for some of the files.

    Args:
        files: their paths.
        argv: the program's absolute path and its arguments.
        stdin: what it reads; None for nothing at all.
    """

    files: tuple[str, ...]
    argv: tuple[str, ...]
    stdin: bytes | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """How one attempt of a task is run; the names are those of `spool.records.Intent`.

    Args:
        argv: the program's absolute path and its arguments.
        cwd: absolute, and there, or in a worktree that is still to be made.
        env: set over what is inherited; no secrets.
        env_files: KEY=VALUE files with the secrets.
        env_aliases: new name → names that may hold its value.
        setup_argv: run before the tool; empty when there is nothing to set up.
        tool_session_id: the tool's conversation, ours to choose or the one that goes on.
        timeout_s: of the attempt.
        interactive: the tool reads from the pane.
        max_output_bytes: kept of each stream.
        output: which stream holds the answer.
        output_path: where the answer is to be put as well.
        stdin: what it reads; None for nothing at all.
        script: what the file holds that argv runs.
        config_dir: the tool's private configuration folder; None when it has nothing to put there.
        seeds: files below config_dir, made where they are not there yet.
        calls: argv works through these calls, one after the other.
        worktree: to be made first.
        limit_text: what a line of its output is like when it sleeps at its provider's limit.
        waiting_title: what the terminal's title is like while the tool waits for a person.
        waiting_text: the same for the end of its screen.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    env_files: tuple[str, ...]
    env_aliases: Mapping[str, tuple[str, ...]]
    setup_argv: tuple[str, ...]
    tool_session_id: str | None
    timeout_s: float
    interactive: bool
    max_output_bytes: int
    output: Literal["stdout", "stderr", "none"]
    output_path: Path | None
    stdin: bytes | None = None
    script: bytes | None = None
    config_dir: Path | None = None
    seeds: Mapping[str, bytes] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    worktree: WorktreePlan | None = None
    waiting_title: str | None = None
    limit_text: str | None = None
    waiting_text: str | None = None

    def env_names(self) -> tuple[str, ...]:
        """Return every name that is set, those of the files with secrets included.

        Raises:
            OSError: a file with secrets cannot be read.
        """
        secret = (name for file in self.env_files for name in names_in(Path(file)))
        return tuple(sorted({*self.env, *self.env_aliases, *secret}))
