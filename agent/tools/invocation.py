"""How one attempt of a task is run: a value that holds no secret."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.tools.environment import names_in

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Invocation:
    """How one attempt of a task is run; the names are those of `spool.records.Intent`.

    Args:
        argv: the program's absolute path and its arguments.
        cwd: absolute, and there.
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

    def env_names(self) -> tuple[str, ...]:
        """Return every name that is set, those of the files with secrets included.

        Raises:
            OSError: a file with secrets cannot be read.
        """
        secret = (name for file in self.env_files for name in names_in(Path(file)))
        return tuple(sorted({*self.env, *self.env_aliases, *secret}))
