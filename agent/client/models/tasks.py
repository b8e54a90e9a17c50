"""Tasks: a line of a list, all that is known of one, and what became of a request."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from agent.client.models.base import Answer, Asked, Moment
from spool.records import State  # noqa: TC001 - pydantic reads it

_ROW: dict[str, Any] = {
    "task_id": "nightly-01JD6WZ8Q4X5N7M2K9T3V0B1RS",
    "state": "running",
    "reason": "it runs",
    "place": "sessions",
    "path": "/home/ada/ai-workspace/sessions/nightly-01JD6WZ8Q4X5N7M2K9T3V0B1RS",
    "tool": "shell",
    "command": "make test",
    "source_name": "nightly.json",
    "changed_at": "2026-11-22T02:00:03.120Z",
    "started_at": "2026-11-22T02:00:03.120Z",
    "finished_at": None,
    "duration_s": None,
    "labels": ["night"],
    "question": None,
    "next_attempt_at": None,
    "host": None,
    "group": None,
    "standing": "it runs",
}


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class TaskRow(Answer):
    """One task of a list.

    Args:
        task_id: null for a file that waits and has no id yet.
        reason: one sentence about the state.
        place: tasks, held, sessions or results.
        path: of its file or folder, on the server's machine.
        source_name: of the file that was dropped.
        host: null for the server's own workspace.
        standing: one line for people.
    """

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra={"examples": [_ROW]})

    task_id: str | None
    state: State
    reason: str
    place: str
    path: str
    tool: str | None
    command: str | None
    source_name: str
    changed_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    duration_s: float | None
    labels: tuple[str, ...]
    question: str | None
    next_attempt_at: Moment | None
    host: str | None
    group: str | None
    standing: str


class TaskPage(Answer):
    """A part of the list.

    Args:
        next: give it as `cursor` for what follows; null at the end.
        total: how many match.
        complete: false while the index is being built: what is newest is there already.
    """

    tasks: tuple[TaskRow, ...]
    next: str | None
    total: int
    revision: int
    complete: bool


class Counts(Answer):
    """How many tasks are in each state."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={"examples": [{"states": {"queued": 3, "running": 2}, "revision": 41}]},
    )

    states: dict[str, int]
    revision: int


class TaskFile(Answer):
    """A file in a task's folder; `path` is relative to it."""

    path: str
    bytes: int
    kind: str


class Attempt(Answer):
    """One attempt, as its files tell it."""

    number: int
    phase: str
    folder: str
    stdout: str | None
    stderr: str | None
    started: dict[str, Any] | None
    exit: dict[str, Any] | None
    damage: str | None


class TaskDetail(TaskRow):
    """All that is known of one task.

    Args:
        attach: the command that attaches a terminal to it.
        log: its log on the server's machine.
        task: the task as it was accepted.
        status: status.json while it is in session.
        result: result.json when it is over.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    **_ROW,
                    "schema_version": 1,
                    "workspace": "/home/ada/ai-workspace",
                    "attach": "tmux attach -t =task-nightly",
                    "log": "/home/ada/ai-workspace/logs/shell-nightly.log",
                    "task": {"tool": "shell", "command": "make test"},
                    "status": None,
                    "result": None,
                    "attempts": [],
                    "files": [{"path": "task.json", "bytes": 68, "kind": "json"}],
                }
            ]
        },
    )

    attach: str | None
    log: str | None
    task: dict[str, Any] | None
    status: dict[str, Any] | None
    result: dict[str, Any] | None
    attempts: tuple[Attempt, ...]
    files: tuple[TaskFile, ...]


class FileList(Answer):
    """The files of a task."""

    task_id: str
    files: tuple[TaskFile, ...]


class Submitted(Answer):
    """A task that was dropped.

    Args:
        name: of its file in tasks/.
        host: null for the server's own workspace.
        replayed: the idempotency key was used before: this is that task, nothing was dropped.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "task_id": "nightly-01JD6WZ8Q4X5N7M2K9T3V0B1RS",
                    "name": "nightly.json",
                    "host": None,
                    "warnings": [],
                    "replayed": False,
                }
            ]
        },
    )

    task_id: str
    name: str
    host: str | None
    warnings: tuple[str, ...]
    replayed: bool


class Checked(Answer):
    """A task that would be accepted; nothing was dropped."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={"examples": [{"task_id": None, "tool": "shell", "warnings": []}]},
    )

    task_id: str | None
    tool: str
    warnings: tuple[str, ...]


class Said(Answer):
    """What became of a request.

    Args:
        task_id: of the task; of a pause what is paused (everything, tool NAME, group NAME).
        said: one line for people.
        changed: false when everything stood like that already.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "task_id": "nightly",
                    "host": None,
                    "said": "asked to stop",
                    "warning": None,
                    "changed": True,
                }
            ]
        },
    )

    task_id: str
    host: str | None
    said: str
    warning: str | None
    changed: bool


class Retry(Asked):
    """How a task is run again; `resume`: an AI tool goes on with its own session."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_extra={"examples": [{"resume": False}]}
    )

    resume: bool = False


class Reply(Asked):
    """What a tool that waits for a person is answered."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_extra={"examples": [{"text": "yes"}]}
    )

    text: str = Field(min_length=1, max_length=100_000)


class Move(Asked):
    """To which host a task is given; `force`: also when it may have started, and may then run twice."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_extra={"examples": [{"to": "any"}]}
    )

    to: str = Field(default="any", min_length=1, max_length=100)
    force: bool = False


class Rejected(Answer):
    """A file that could not be accepted.

    Args:
        explanation: the file that says why, on the server's machine.
        error: its content; null when it cannot be read.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "name": "broken.json",
                    "path": "/home/ada/ai-workspace/rejected/broken.json",
                    "explanation": "/home/ada/ai-workspace/rejected/broken.json.error.json",
                    "host": None,
                    "error": {"what": "the object is not closed", "remedy": "upload it again"},
                }
            ]
        },
    )

    name: str
    path: str
    explanation: str
    host: str | None
    error: dict[str, Any] | None


class RejectedPage(Answer):
    """Files that could not be accepted, the latest first."""

    rejected: tuple[Rejected, ...]
    next: str | None
    total: int


class Result(Answer):
    """result.json: how a task ended."""

    task_id: str
    tool: str
    command: str
    state: State
    reason: str
    exit_code: int | None
    signal: int | None
    host: str
    submitted_at: Moment
    started_at: Moment | None
    finished_at: Moment
    duration_s: float | None
    attempts: tuple[dict[str, Any], ...]
    output: dict[str, Any]
    usage: dict[str, Any]
    artifacts: tuple[str, ...]


class LogPart(Answer):
    """A piece of a task's output.

    Args:
        offset: where it begins, in bytes of all that the task ever printed.
        next_offset: where to go on.
        over: the task is over, and this is the end.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={"examples": [{"offset": 0, "next_offset": 6, "text": "hello\n", "over": False}]},
    )

    offset: int
    next_offset: int
    text: str
    over: bool


class Pause(Asked):
    """What is not to be started any more: a tool, a group, or everything; here or on a host."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"tool": "shell"}],
            "not": {
                "required": ["tool", "group"],
                "properties": {"tool": {"type": "string"}, "group": {"type": "string"}},
            },
        },
    )

    tool: str | None = Field(default=None, pattern=_NAME)
    group: str | None = Field(default=None, pattern=_NAME)
    host: str | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.tool is not None and self.group is not None:
            raise ValueError("give a tool or a group, not both")
        return self


class Event(Answer):
    """Something of the workspace or of a mirror changed; `revision` grows."""

    revision: int


SortBy = Literal["changed_at", "started_at", "finished_at", "task_id", "state", "tool", "host", "duration_s"]
