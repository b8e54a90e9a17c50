"""Submitting sessions to Slurm, and finding them again by the name of their job.

A start is an acknowledged sbatch, which is less than it seems: a controller that is killed right after
forgets it (it saves its state every few seconds). So nobody waits for a job for ever: `outlook` tells
whether the controller still knows it, and whoever is not known any more is submitted again. Should both
turn up, the wrapper's own rule lets one of them run.

Starts of one kind (time limit, resources) become one job array, whatever their number.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.launchers.base import LaunchError, Outlook, SessionExists, Start
from agent.launchers.place import alone, short_hash
from agent.launchers.slurm import batch
from agent.launchers.slurm.controller import Controller, expect, unavailable
from spool.names import new_ulid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.launchers.slurm.jobs import Job
    from spool.task import Resources

JOB: Final = Path(__file__).with_name("job.py")
MOST_ELEMENTS: Final = 1000
"""Of one array; Slurm's own default limit (MaxArraySize) is 1001."""
ARRAY_REFUSED: Final = re.compile(r"invalid job array specification|job array index", re.IGNORECASE)
KINDS: Final = {"cpus": "--cpus-per-task", "memory_mb": "--mem", "gpus": "--gpus", "partition": "--partition",
                "account": "--account", "qos": "--qos", "constraint": "--constraint"}  # fmt: skip


class ArrayRefusedError(LaunchError):
    """This cluster takes no job array of that size (MaxArraySize)."""


class SlurmLauncher:
    """Sessions `task-ID`, each in a tmux server of its own inside a job."""

    name: Final = "slurm"

    def __init__(self, workspace: Path) -> None:
        self._root = workspace.resolve() / batch.FOLDER
        self._prefix = f"aispool-{short_hash(str(workspace.resolve()))}-"
        self._controller = Controller(self._root, self._prefix)
        self._submitted_s: dict[str, float] = {}
        self._most = MOST_ELEMENTS

    def available(self) -> str | None:
        """Say what to install, in a sentence; None when nothing is missing."""
        return unavailable() or self._controller.silence

    def warm_up(self) -> None:
        """Make nothing ready: the controller starts what it takes."""

    def session_name(self, task_id: str) -> str:
        """Name the session of a task: `~` is in no id, so it stands for the dot that tmux would replace."""
        return "task-" + task_id.replace(".", "~")

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Submit one session; it begins when Slurm has a place for it."""
        error = self.start_all([Start(task_id, tuple(argv), cwd)]).get(task_id)
        if error is not None:
            raise error

    def start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        """Submit sessions, those of one kind as one job array; those of an error were not submitted."""
        try:
            self._root.mkdir(mode=0o700, exist_ok=True)
            with alone(self._root / ".lock"):
                return self._start_all(starts)
        except LaunchError as error:
            return dict.fromkeys((start.task_id for start in starts), error)
        except OSError as error:
            what = LaunchError(f"cannot write in {self._root}: {error.strerror}; free some space")
            return dict.fromkeys((start.task_id for start in starts), what)

    def outlook(self, task_id: str) -> Outlook | None:
        """Tell whether a submitted session may still run, and in words how it stands."""
        session = self.session_name(task_id)
        job = self._controller.known().get(session)
        asked_s = self._controller.said_s
        if job is not None and not job.is_over:
            may_run, in_line = not job.is_stuck, job.is_in_line
            return Outlook(may_run=may_run, words=_standing(job), in_line=in_line, asked_s=asked_s)
        if self._submitted_s.get(session, -math.inf) >= asked_s:
            words = "it was handed to Slurm, which has not answered since"
            return Outlook(may_run=True, words=words, asked_s=asked_s)
        if job is None:
            return Outlook(may_run=False, words="Slurm does not know its job any more", asked_s=asked_s)
        printed = f"{batch.FOLDER}/{job.batch}/{job.index}.out"
        words = f"Slurm says of its job: {job.state}{_because(job)}; what it printed is in {printed}"
        return Outlook(may_run=False, words=words, asked_s=asked_s)

    def refusal(self, resources: Resources, time_s: float) -> str | None:
        """Say why no node could ever run this; None when one could, or when nobody can tell now."""
        return self._controller.refusal(resources, time_s)

    def attach_command(self, task_id: str) -> list[str]:
        """Give the words that join the job on its node; while it waits, those that show its place in line."""
        session = self.session_name(task_id)
        job = self._controller.known().get(session)
        if job is None or not job.node:
            with suppress(LaunchError):
                job = self._controller.jobs().get(session)
        return self._attach(session, job)

    def _attach(self, session: str, job: Job | None) -> list[str]:
        if job is None or _is_gone(job):
            return ["squeue", "--me", "--start"]
        if not job.node:
            return ["squeue", "--start", f"--name={self._prefix}{job.batch}"]
        join = ["srun", f"--jobid={job.number}", "--overlap", "--pty"]
        return [*join, *self._tmux(job), "attach-session", f"-t={session}"]

    def sessions(self) -> set[str]:
        """List the names of all sessions that wait or run."""
        return {session for session, job in self._controller.jobs().items() if not _is_gone(job)}

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session."""
        return self.session_name(task_id) in self.sessions()

    def end(self, task_id: str) -> None:
        """Cancel the task's job if there is one; its name must fit, as the number alone may be another's."""
        job = self._controller.jobs().get(self.session_name(task_id))
        if job is None or _is_gone(job):
            return
        named = f"--name={self._prefix}{job.batch}"
        expect(self._controller.call("scancel", named, job.address), "cancel a job")
        self._submitted_s.pop(self.session_name(task_id), None)
        self._controller.ask_again()

    def _start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        present = self._controller.jobs()
        errors: dict[str, LaunchError] = {}
        kinds: dict[tuple[str, ...], list[Start]] = {}
        for start in starts:
            job = present.get(self.session_name(start.task_id))
            if job is not None and not _is_gone(job):
                attach = shlex.join(self._attach(self.session_name(start.task_id), job))
                errors[start.task_id] = SessionExists(
                    f"Slurm has job {job.address} ({job.state}) of {start.task_id} already; attach: {attach}",
                    is_same=not job.is_stuck and self._controller.is_of(job, start.argv),
                )
            elif not start.cwd.is_dir():
                errors[start.task_id] = LaunchError(f"{start.cwd} is not a folder here: make it")
            else:
                kinds.setdefault(_options(start) + self._dependencies(start, present), []).append(start)
        self._controller.forget_batches()
        said_s = self._controller.said_s
        self._submitted_s = {name: s for name, s in self._submitted_s.items() if s >= said_s}
        for options, alike in kinds.items():
            errors |= self._submit_all(options, alike)
        return errors

    def _submit_all(self, options: tuple[str, ...], alike: Sequence[Start]) -> dict[str, LaunchError]:
        """Submit sessions of one kind; where an array is too large for this cluster, in smaller ones."""
        errors: dict[str, LaunchError] = {}
        left = list(alike)
        while left:
            some = left[: self._most]
            try:
                self._submit(options, some)
            except ArrayRefusedError:
                self._most = max(len(some) // 2, 1)
                continue
            except LaunchError as error:
                errors |= dict.fromkeys((start.task_id for start in some), error)
            left = left[len(some) :]
        return errors

    def _dependencies(self, start: Start, present: Mapping[str, Job]) -> tuple[str, ...]:
        """Let Slurm hold a job back while those that it needs are there; job.py looks how they ended."""
        jobs = (present.get(self.session_name(task_id)) for task_id in start.after)
        numbers = [job.address for job in jobs if job is not None and not _is_gone(job)]
        return (f"--dependency=afterany:{':'.join(numbers)}",) if numbers else ()

    def _submit(self, options: tuple[str, ...], starts: Sequence[Start]) -> None:
        name = new_ulid()
        elements = [
            batch.Element(
                *(self.session_name(start.task_id), start.argv, str(start.cwd)),
                *(self._socket(name, index), start.after),
            )
            for index, start in enumerate(starts)
        ]
        folder = self._root / name
        words = [sys.executable, "-I", "-S", str(JOB), str(folder)]
        batch.write(self._root, name, elements, f"#!/bin/sh\nexec {shlex.join(words)}\n")
        output = str(folder).replace("%", "%%")  # sbatch(1), filename pattern
        array = [f"--output={output}/0.out"]
        if len(starts) > 1:
            array = [f"--output={output}/%a.out", f"--array=0-{len(starts) - 1}"]
        submitted_s = time.monotonic()
        answer = self._controller.call(
            *("sbatch", "--parsable", f"--job-name={self._prefix}{name}", f"--chdir={starts[0].cwd}"),
            *("--nodes=1", "--ntasks=1", "--requeue", *array, *options, str(folder / batch.SCRIPT)),
        )
        if answer.code and len(starts) > 1 and ARRAY_REFUSED.search(answer.error):
            raise ArrayRefusedError(answer.said)
        # an error may come after the controller took it: it is asked again, and the batch stays
        expect(answer, "take a job")
        for start in starts:
            self._submitted_s[self.session_name(start.task_id)] = submitted_s
        self._controller.ask_again()

    def _tmux(self, job: Job) -> list[str]:
        return ["tmux", "-u", "-S", self._socket(job.batch, job.index)]

    def _socket(self, name: str, index: int) -> str:
        """Name a socket on the node; a job that ends late must not remove its successor's."""
        folder = f"/tmp/aispool-slurm-{os.getuid()}"  # noqa: S108 - checked in job.py
        return f"{folder}/{short_hash(f'{self._prefix}{name}-{index}')}"


def _options(start: Start) -> tuple[str, ...]:
    """Write the wishes of a start as options of sbatch; values stand behind `=`: none becomes an option."""
    options = [] if start.time_s is None else [f"--time={math.ceil(start.time_s / 60)}"]
    for field, option in KINDS.items():
        value = getattr(start.resources, field, None)
        if value is not None:
            options.append(f"{option}={value}" + ("M" if field == "memory_mb" else ""))
    return tuple(options)


def _is_gone(job: Job) -> bool:
    return job.is_over or job.is_leaving


def _because(job: Job) -> str:
    return "" if job.reason in {"", "None"} else f" ({job.reason})"


def _standing(job: Job) -> str:
    if job.is_leaving:
        return f"Slurm is ending its job {job.number}{_because(job)}"
    if job.node:
        return f"it runs in Slurm's job {job.number} on {job.node}"
    return f"it waits in Slurm's queue{_because(job)}, job {job.address}"
