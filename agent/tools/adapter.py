"""What a tool's module offers: how it is prepared, and what its output really says.

A module under agent/tools/ that has these names is an adapter; `agent.tools.adapters` lists them. How the
tool is found, and its arguments, are data (builtin.toml and configs/tools.toml).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from agent.tools.report import Report
    from spool.task import Task


@dataclass(frozen=True, slots=True)
class Need:
    """For what a tool is prepared.

    Args:
        task: what the person wrote.
        config_dir: the private configuration folder of this run; the tool's own files lie below it.
        cwd: where it will run.
        has: names of the environment variables that it will find set.
        hook: argv of the program that a tool's own hooks call: with `waiting` and the hook's JSON on its
            standard input when the tool waits for a person, with `working` when it goes on.
        headless: no terminal; nobody can answer a question.
    """

    task: Task
    config_dir: Path
    cwd: Path
    has: frozenset[str]
    hook: tuple[str, ...]
    headless: bool


@dataclass(frozen=True, slots=True)
class Seed:
    """What is put in place before a tool starts.

    Args:
        files: below the private configuration folder; written when it is not there yet.
        env: set for the tool; no secrets.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What one attempt of a tool left behind.

    Args:
        ended_by: why we ended it, as in `spool.records.Exit`; None when it ended by itself.
        stdout: its beginning and end when it was too long to keep.
        config_dir: the private configuration folder, where some tools leave a transcript.
        session_id: the conversation that was chosen for it.
    """

    exit_code: int | None
    signal: int | None
    ended_by: str | None
    stdout: bytes
    stderr: bytes
    interactive: bool
    finished_at: datetime
    config_dir: Path | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """By what one sees, while a tool runs, that it only waits.

    Args:
        limit: a regular expression for a line of its output by which it says that it sleeps at a limit of its
            provider for so long that it had better be ended, and the task parked.
        title: the same for its terminal's title while it waits for a person, where it has no hook for that.
        text: the same for the last lines of its screen.
    """

    title: str | None = None
    text: str | None = None
    limit: str | None = None


class Adapter(Protocol):
    """One tool's module."""

    SIGNS: Signs

    def seed(self, need: Need) -> Seed:
        """Say what has to lie there before it starts: first-run dialogs answered, hooks set."""

    def read(self, said: Said) -> Report:
        """Say what an attempt came to, from the tool's structured output."""

    def question(self, raw: str) -> str:
        """Put what its hook was given into words for the person who is asked."""
