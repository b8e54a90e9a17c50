"""The records that the agent and the wrapper write: status, result, and the files of an attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from spool.files import NotRegularError, TooLargeError, put, read_regular
from spool.task import parse_time

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1


def iso(moment: datetime) -> str:
    """Write a time as UTC ISO 8601 with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> datetime:
    """Return the time of the wall clock."""
    return datetime.now(UTC)


Utc = Annotated[datetime, BeforeValidator(parse_time), PlainSerializer(iso, return_type=str)]


class State(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    HELD = "held"
    BLOCKED = "blocked"
    RUNNING = "running"
    WAITING_INPUT = "waiting_input"
    DEFERRED = "deferred"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    DEPENDENCY_FAILED = "dependency_failed"
    EXPIRED = "expired"

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will happen unless a person asks for it."""
        return self in OVER


OVER = frozenset(
    {
        *(State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.CANCELLED),
        *(State.LOST, State.DEPENDENCY_FAILED, State.EXPIRED),
    }
)


class Record(BaseModel):
    """A JSON file of ours: read leniently, so that an older reader takes a newer writer's file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def write(self, path: Path, *, durable: bool = True) -> None:
        """Replace the file on disk by this record."""
        put(path, self.encoded(), durable=durable)

    def encoded(self) -> bytes:
        """Return the file's content."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record, or None when there is no such file.

        Raises:
            DamagedError: it is there, but not a record of this kind.
        """
        try:
            content = read_regular(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (NotRegularError, TooLargeError) as error:
            raise DamagedError(f"{path} is damaged: {error}") from None
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise DamagedError(f"{path} is damaged: {error.errors(include_url=False)[0]['msg']}") from None


class DamagedError(Exception):
    """A record on disk does not parse; the message names it."""


class Output(Record):
    """What the tool said; paths are inside the result's folder or the logs.

    Args:
        text: the answer, or its end.
        file: where it lies whole below results/, when the task wanted that.
    """

    text: str = ""
    file: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    log: str | None = None
    truncated: bool = False


class Usage(Record):
    """Tokens and money of all attempts; null where the tool does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class AttemptRecord(Record):
    """One attempt, as the result tells it; `outcome` is finer than the state (auth, rate_limit …)."""

    number: int
    state: State
    reason: str
    outcome: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at: Utc | None = None
    finished_at: Utc | None = None
    retry_after_s: float | None = None
    usage: Usage = Usage()
    tool_session_id: str | None = None
    can_resume: bool = False


class Status(Record):
    """status.json of a session: where it stands now."""

    schema_version: int = SCHEMA_VERSION
    task_id: str
    tool: str
    command: str
    state: State
    reason: str
    since: Utc
    attempt: int
    agent: str
    host: str
    session: str | None = None
    attach: str | None = None
    submitted_at: Utc
    started_at: Utc | None = None
    timeout_s: float | None = None
    estimated_duration_s: float | None = None
    next_attempt_at: Utc | None = None
    question: str | None = None
    source_name: str
    log: str | None = None
    attempts: tuple[AttemptRecord, ...] = ()


class Worktree(Record):
    """Where a task with a worktree of its own left changes; kept until a person removes them."""

    path: str
    branch: str


class Result(Record):
    """result.json: how a task ended. Times are UTC, durations seconds."""

    schema_version: int = SCHEMA_VERSION
    task_id: str
    tool: str
    command: str
    state: State
    reason: str
    outcome: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    host: str
    session: str | None = None
    source_name: str
    submitted_at: Utc
    started_at: Utc | None = None
    finished_at: Utc
    duration_s: float | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    output: Output = Output()
    usage: Usage = Usage()
    tool_session_id: str | None = None
    artifacts: tuple[str, ...] = ()
    worktree: Worktree | None = None
    warnings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Tombstone(Record):
    """What is left of a pruned result."""

    task_id: str
    state: State
    source_sha256: str
    finished_at: Utc


class Intent(Record):
    """attempts/NNN/intent: all that the wrapper needs; no secret stands in it.

    Args:
        argv: the program's absolute path and its arguments.
        cwd: absolute.
        env: set over what the wrapper inherits; values that may be read by anyone who reads results.
        env_files: KEY=VALUE files that the wrapper reads itself, so that secrets stay in them.
        env_aliases: new name → names that may hold its value, tried in order when the new name is unset.
        setup_argv: run before the tool with the same environment; its failure fails the attempt.
        stdin_file: what the tool reads instead of the null device.
        config_dir: the tool's private configuration folder.
        waiting_title, waiting_text: regular expressions for a terminal that waits for a person.
        limit_text: the same for output that says that the tool sleeps at its provider's limit.
        output: the stream that holds the answer: stdout, stderr or none.
        output_name: where the answer is put as well, below results/.
        timeout_s: of the attempt, waiting for a person not counted.
    """

    schema_version: int = SCHEMA_VERSION
    task_id: str
    attempt: int
    agent: str
    host: str
    boot_id: str
    task_sha256: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = {}
    env_files: tuple[str, ...] = ()
    env_aliases: dict[str, tuple[str, ...]] = {}
    setup_argv: tuple[str, ...] = ()
    stdin_file: str | None = None
    config_dir: str | None = None
    waiting_title: str | None = None
    waiting_text: str | None = None
    limit_text: str | None = None
    interactive: bool = False
    output: str = "stdout"
    output_name: str | None = None
    timeout_s: float
    waiting_timeout_s: float
    grace_s: float
    max_output_bytes: int
    max_log_bytes: int
    log: str
    bell: str
    launcher: str
    session: str
    tool_session_id: str | None = None
    created_at: Utc


class Started(Record):
    """attempts/NNN/started: who runs the attempt, written before the tool's first instruction."""

    wrapper_pid: int
    wrapper_start_ticks: int
    tool_pid: int
    tool_start_ticks: int
    boot_id: str
    started_at: Utc


class Exit(Record):
    """attempts/NNN/exit: how the attempt ended, as the wrapper saw it.

    Args:
        ended_by: why we ended it: cancel, timeout, waiting_timeout, limit (it slept at its provider's limit),
            shutdown (of the machine), lost (nobody saw its end; written by the agent); null: by itself.
        error: why the tool could not be started; null when it was.
    """

    exit_code: int | None = None
    signal: int | None = None
    ended_by: str | None = None
    error: str | None = None
    started_at: Utc
    finished_at: Utc
    duration_s: float
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False
