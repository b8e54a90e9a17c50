"""Calling Slurm: each command with its time limit, and what squeue said last kept for a moment.

A controller that is away is not asked again for a while, so that nobody waits for it in every pass; meanwhile
what it said last holds.
"""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.launchers.base import LaunchError, NeverStartsError
from agent.launchers.calls import Answer, environment, missing, spawn
from agent.launchers.slurm import batch, jobs, offer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.launchers.slurm.jobs import Job
    from spool.task import Resources

COMMANDS: Final = ("sbatch", "squeue", "scancel", "sinfo", "srun")
FRESH_S: Final = 2.0
"""What it said is asked again after so long, or after twenty times as long as it took to say it."""
SILENT_S: Final = 15.0
"""So long it is left alone after it did not answer."""
PATIENCE_S: Final = 8.0
"""One call; Slurm's own commands try for much longer."""
OFFER_S: Final = 60.0
NO_CONTACT: Final = re.compile(
    r"unable to contact|connection (refused|timed out|failure)|socket timed out"
    r"|establish a configuration source",
    re.IGNORECASE,
)
NEVER: Final = re.compile(
    r"invalid (account|qos|feature|partition|constraint|gres|generic resource)"
    r"|requested (node configuration is not available|time limit is invalid)",
    re.IGNORECASE,
)
"""What sbatch says of wishes that it takes at no other time either."""
OURS_ALONE: Final = re.compile(r"(SBATCH|SALLOC|SLURM|SQUEUE|SCANCEL|SINFO)_")
"""Variables that would change what our own calls do; only the configuration's place is kept."""


class Controller:
    """slurmctld, for the jobs of one workspace.

    Args:
        root: the folder of its batches.
        prefix: how the names of its jobs begin.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._asked_s = -math.inf
        self._refused_s = -math.inf
        self._took_s = 0.0
        self._silent_until_s = -math.inf
        self._offer_until_s = -math.inf
        self._jobs: dict[str, Job] | None = None
        self._kinds: tuple[offer.Kind, ...] = ()
        self._named: frozenset[str] = frozenset()
        self._sessions: dict[str, tuple[str, ...]] = {}

    @property
    def said_s(self) -> float:
        """When it was asked what it said last, in monotonic seconds; -inf before its first answer."""
        return self._asked_s if self._jobs is not None else -math.inf

    @property
    def silence(self) -> str | None:
        """Say that it did not answer a moment ago; None when it did, or was not asked."""
        if time.monotonic() >= self._silent_until_s:
            return None
        return "Slurm's controller does not answer: look with scontrol ping; it is tried again by itself"

    def known(self) -> dict[str, Job]:
        """Return our jobs by session, as the controller said lately; it is asked again when that is old."""
        now_s = time.monotonic()
        due_s = max(self._asked_s + max(FRESH_S, 20 * self._took_s), self._refused_s + SILENT_S)
        if not self.silence and now_s >= due_s:
            self._refused_s = now_s  # whoever is refused is not asked again for every task
            with suppress(LaunchError):
                found = self.jobs()
                self._refused_s = -math.inf
                return found
        return self._jobs or {}

    def jobs(self) -> dict[str, Job]:
        """Ask for our jobs, by session: those that are over too, for as long as it remembers them.

        Raises:
            LaunchError: it does not answer.
        """
        asked_s = time.monotonic()
        answer = self.call("squeue", "--noheader", "--array", "--states=all", "--me", "-o", jobs.FORMAT)
        expect(answer, "list jobs")
        found: dict[str, Job] = {}
        listed = jobs.parse(answer.text, self._prefix)
        for job in listed:
            sessions = self._sessions_of(job.batch)
            if job.index < len(sessions):
                _add(found, sessions[job.index], job)
        self._asked_s, self._took_s, self._jobs = asked_s, time.monotonic() - asked_s, found
        self._named = frozenset(job.batch for job in listed)
        return found

    def ask_again(self) -> None:
        """Take the last answer for old: something was changed."""
        self._took_s, self._silent_until_s = 0.0, -math.inf
        self._asked_s = min(self._asked_s, time.monotonic() - FRESH_S)

    def refusal(self, resources: Resources, time_s: float) -> str | None:
        """Say why no node could ever run this; None when one could, or when nobody can tell now."""
        if time.monotonic() > self._offer_until_s:
            answer = self.call("sinfo", "--noheader", "--exact", "-o", offer.FORMAT)
            if answer.code == 0:
                self._kinds, self._offer_until_s = offer.parse(answer.text), time.monotonic() + OFFER_S
        return offer.problem(self._kinds, resources, time_s) if self._kinds else None

    def call(self, *words: str) -> Answer:
        """Run one of Slurm's commands.

        Raises:
            LaunchError: it is missing, or the controller does not answer, now or a moment ago.
        """
        if self.silence:
            raise LaunchError(self.silence)
        lacking = unavailable()
        if lacking:
            raise LaunchError(lacking)
        kept = {name: value for name, value in environment().items() if not OURS_ALONE.match(name)}
        if "SLURM_CONF" in os.environ:
            kept["SLURM_CONF"] = os.environ["SLURM_CONF"]
        self._silent_until_s = time.monotonic() + SILENT_S
        answer = spawn(words, cwd=self._root.parent, env=kept, timeout_s=PATIENCE_S)
        if not (answer.code and NO_CONTACT.search(answer.error)):
            self._silent_until_s = -math.inf
        return answer

    def forget_batches(self) -> None:
        """Remove the batches that no job of the last answer names, once their jobs cannot be on the way."""
        for name in batch.remove_old(self._root, self._named):
            self._sessions.pop(name, None)

    def is_of(self, job: Job, argv: Sequence[str]) -> bool:
        """Tell whether it is a job for this very command.

        Raises:
            OSError: its batch cannot be read now.
        """
        commands = batch.commands_of(self._root, job.batch)
        return job.index < len(commands) and commands[job.index] == tuple(argv)

    def _sessions_of(self, name: str) -> tuple[str, ...]:
        if name not in self._sessions:
            found = batch.sessions_of(self._root, name)
            if not found:
                return ()  # another machine's may be there a moment later
            self._sessions[name] = found
        return self._sessions[name]


def _add(found: dict[str, Job], session: str, job: Job) -> None:
    """Of several jobs of a session the one that runs counts, else one that may, else the latest."""
    other = found.get(session)
    if other is None or _weight(job) >= _weight(other):
        found[session] = job


def _weight(job: Job) -> tuple[bool, bool, bool, str]:
    return not job.is_over, not job.is_leaving, not job.is_in_line, job.batch


def expect(answer: Answer, doing: str) -> None:
    """Raise a LaunchError when a call failed."""
    if answer.code and NEVER.search(answer.error):
        remedy = "change the task's resources or timeout"
        raise NeverStartsError(f"Slurm refuses to {doing}: {answer.said}; {remedy}")
    if answer.code:
        raise LaunchError(f"Slurm could not {doing}: {answer.said}; look with: scontrol ping, sinfo")


def unavailable() -> str | None:
    """Say which of Slurm's commands is missing, in a sentence."""
    lacking = next((program for program in COMMANDS if missing(program)), None)
    if lacking is None:
        return None
    return f"{lacking} is not on PATH: install Slurm's commands (Debian, Ubuntu: apt install slurm-client)"
