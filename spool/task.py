"""What a task says: the fields of a dropped file, their defaults, and their limits.

`parse_task` turns bytes into a `Task` or a `Refusal` that names what is wrong, where, and what to do.
Unknown top-level fields are kept under `metadata` with a warning, so that newer clients can drop on
older hosts; inside known objects they are refused, since a misspelt `max_retries` must not go unnoticed.
"""

from __future__ import annotations

import difflib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from spool.names import MAX_NAME_BYTES, TASK_ID_RULE, is_task_id, is_ulid
from spool.refusal import Refusal
from spool.strictjson import StrictJSONError, parse_object, place_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PRIORITIES = {"critical": 30, "high": 20, "normal": 10, "low": 0}
"""Named priorities on the integer scale; ten points are worth one hour of waiting."""

MAX_PRIORITY = 1000
MAX_INPUT_BYTES = 2048
YEAR_S = 366 * 86400.0


def _check_id(text: str) -> str:
    if not is_task_id(text):
        raise ValueError(f"{text[:120]!r} is not a task id: use {TASK_ID_RULE}")
    return text


def _check_name(text: str) -> str:
    if not is_task_id(text):
        raise ValueError(f"{text[:120]!r} is not a name: use {TASK_ID_RULE}")
    return text


def _check_ulid(text: str) -> str:
    if not is_ulid(text):
        raise ValueError(f"{text[:40]!r} is not a ULID")
    return text


def parse_time(value: object) -> datetime:
    """Read ISO 8601 into UTC; a time without a zone is the host's local time.

    Raises:
        ValueError: it is not a time.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value[:60]!r} is not a time: write it like 2026-11-30T22:00:00Z") from None
    else:
        raise ValueError("a time is a string: write it like 2026-11-30T22:00:00Z")  # noqa: TRY004 - pydantic's contract
    try:
        return moment.astimezone(UTC)
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"{value!r} is outside the years that this machine knows") from None


def _check_input(text: str) -> str:
    task_id, colon, path = text.partition(":")
    _check_id(task_id)
    if not colon or not path:
        raise ValueError(f"{text[:120]!r} is not an input: write it as ID:path")
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise ValueError(f"{text[:120]!r} leaves the result's folder: name a path inside it")
    if len(os.fsencode(path)) > MAX_INPUT_BYTES or any(
        len(os.fsencode(p)) > MAX_NAME_BYTES for p in path.split("/")
    ):
        raise ValueError(f"{text[:120]!r} is longer than a path can be")
    return text


def _check_priority(value: object) -> int | str:
    if isinstance(value, str) and value in PRIORITIES:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_PRIORITY:
        return value
    names = ", ".join(PRIORITIES)
    raise ValueError(f"use one of {names}, or an integer from -{MAX_PRIORITY} to {MAX_PRIORITY}")


TaskId = Annotated[StrictStr, AfterValidator(_check_id)]
Name = Annotated[StrictStr, AfterValidator(_check_name)]
Ulid = Annotated[StrictStr, AfterValidator(_check_ulid)]
Input = Annotated[StrictStr, AfterValidator(_check_input)]
Time = Annotated[datetime, BeforeValidator(parse_time)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[Number, Field(gt=0, le=YEAR_S)]
DelaySeconds = Annotated[Number, Field(ge=0, le=YEAR_S)]
EnvironmentName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Outcome = Literal["failed", "timed_out", "lost"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class RetryPolicy(BaseModel):
    """When an attempt that ended badly is followed by another."""

    model_config = _STRICT
    max_retries: Annotated[StrictInt, Field(ge=0, le=1000)] = 0
    backoff: Literal["none", "fixed", "linear", "exponential"] = "exponential"
    initial_delay_s: DelaySeconds = 30.0
    max_delay_s: DelaySeconds = 3600.0
    on: tuple[Outcome, ...] = ("failed", "timed_out")


class Resources(BaseModel):
    """What a cluster is asked for."""

    model_config = _STRICT
    cpus: Annotated[StrictInt, Field(ge=1)] | None = None
    memory_mb: Annotated[StrictInt, Field(ge=1)] | None = None
    gpus: Annotated[StrictInt, Field(ge=0)] | None = None
    partition: Name | None = None
    account: Name | None = None
    qos: Name | None = None
    constraint: StrictStr | None = None


class Task(BaseModel):
    """One task, as a person or a program wrote it."""

    model_config = _STRICT
    task_id: TaskId | None = None
    tool: Name
    command: StrictStr = ""
    parameters: dict[StrictStr, Any] = Field(default_factory=dict)
    priority: Annotated[int | str, BeforeValidator(_check_priority)] = "normal"
    retry_policy: RetryPolicy = RetryPolicy()
    timeout: Seconds | None = None
    waiting_timeout: Seconds = 86400.0
    dependencies: tuple[TaskId, ...] = ()
    estimated_duration: DelaySeconds | None = None
    not_before: Time | None = None
    expires_at: Time | None = None
    labels: tuple[StrictStr, ...] = ()
    group: Name | None = None
    weight: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    host: StrictStr | None = None
    idempotent: StrictBool = False
    interactive: StrictBool = False
    approval: Literal["read-only", "ask", "auto"] = "ask"
    worktree: StrictBool = False
    resume: StrictStr | None = None
    review: StrictBool = False
    inputs: tuple[Input, ...] = ()
    launcher: Literal["tmux", "screen", "process", "slurm"] | None = None
    resources: Resources | None = None
    status: Any = None
    created_at: Time | None = None
    submitted_by: StrictStr | None = None
    env: dict[EnvironmentName, StrictStr] = Field(default_factory=dict)
    metadata: dict[StrictStr, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        prompt = self.parameters.get("prompt")
        if prompt is not None and not isinstance(prompt, str):
            raise ValueError("parameters.prompt is not a string")
        if not self.command and not prompt:
            raise ValueError("there is neither a command nor parameters.prompt: say what the tool is to do")
        for key in ("cwd", "output"):
            if not isinstance(self.parameters.get(key, ""), str):
                raise ValueError(f"parameters.{key} is not a string")  # noqa: TRY004 - pydantic's contract
        args = self.parameters.get("args", [])
        if not isinstance(args, list) or not all(isinstance(a, str | int | float) for a in args):
            raise ValueError("parameters.args is not a list of strings")
        return self

    @property
    def priority_points(self) -> int:
        """Return the priority on the integer scale."""
        return PRIORITIES[self.priority] if isinstance(self.priority, str) else self.priority

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids that must have succeeded: the dependencies, and the tasks that inputs come from."""
        return tuple(dict.fromkeys((*self.dependencies, *(i.partition(":")[0] for i in self.inputs))))


class AcceptedTask(Task):
    """The validated copy in a session's folder: the only thing ever executed."""

    task_id: TaskId
    source_name: StrictStr
    source_sha256: StrictStr
    submitted_at: Time
    warnings: tuple[StrictStr, ...] = ()


def parse_task(content: bytes) -> tuple[Task, tuple[str, ...]] | Refusal:
    """Read a dropped file; the second part of the answer are warnings for its writer."""
    try:
        raw = parse_object(content)
    except StrictJSONError as error:
        return Refusal(error.what, error.remedy, place=error.place, final=False)
    if (problem := unencodable(raw, "")) is not None:
        return problem
    known, warnings = _set_unknown_aside(raw)
    try:
        return Task.model_validate(known), warnings
    except ValidationError as error:
        return refusal_of(error, content, Task)


def _set_unknown_aside(raw: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    unknown = {name: value for name, value in raw.items() if name not in Task.model_fields}
    if not unknown:
        return raw, ()
    known = {name: value for name, value in raw.items() if name not in unknown}
    metadata = known.get("metadata", {})
    if isinstance(metadata, dict):
        known["metadata"] = {**unknown, **metadata}
    warnings = []
    for name in unknown:
        close = difflib.get_close_matches(name, Task.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        kept = not isinstance(metadata, dict) or name not in metadata
        where = "is kept under metadata" if kept else "is left out, metadata holds one of this name"
        warnings.append(f"unknown field {name[:100]!r} {where}{hint}")
    return known, tuple(warnings)


def unencodable(value: object, where: str) -> Refusal | None:
    """Find a string that no argument, file name or log could hold: NUL, or half a surrogate pair."""
    match value:
        case str():
            if "\0" in value:
                return Refusal("a string holds a NUL character", "take the \\u0000 out", field=where)
            try:
                value.encode()
            except UnicodeEncodeError:
                return Refusal(
                    "a string holds half a surrogate pair", "write the character whole", field=where
                )
        case list():
            return next(
                (p for i, item in enumerate(value) if (p := unencodable(item, f"{where}[{i}]"))), None
            )
        case dict():
            for name, item in value.items():
                problem = unencodable(name, where) or unencodable(item, f"{where}.{name}".lstrip("."))
                if problem:
                    return problem
    return None


def refusal_of(error: ValidationError, content: bytes, model: type[BaseModel], kind: str = "task") -> Refusal:
    """Put pydantic's findings into words for the file's writer.

    Args:
        error: what pydantic found.
        content: the file's bytes, for the place.
        model: whose fields they are, to suggest the one that was meant.
        kind: what the file is.
    """
    findings = error.errors(include_url=False, include_input=False)
    fields = [_field_of(finding) for finding in findings]
    problems = [
        f"{field or kind}: {_in_words(finding, model)}"
        for field, finding in zip(fields, findings, strict=True)
    ]
    return Refusal(
        "; ".join(problems[:5]),
        f"mend the field {fields[0]!r}" if fields[0] else f"mend the {kind}",
        field=fields[0] or None,
        place=place_of(content, findings[0]["loc"] or tuple(fields[0].split("."))),
    )


_WORDS = {
    "missing": "is missing",
    "string_type": "is not a string",
    "int_type": "is not an integer",
    "float_type": "is not a number",
    "bool_type": "is neither true nor false",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "tuple_type": "is not a list",
    "string_pattern_mismatch": "is not the name of an environment variable",
}


def _field_of(finding: ErrorDetails) -> str:
    if not finding["loc"]:
        first, _, _rest = finding["msg"].removeprefix("Value error, ").partition(" ")
        return first if first.startswith("parameters.") else ""
    return ".".join(str(part)[:100] for part in finding["loc"] if part != "[key]")


_PARTS: dict[int | str, type[BaseModel]] = {"resources": Resources, "retry_policy": RetryPolicy}


def _in_words(finding: ErrorDetails, model: type[BaseModel]) -> str:
    kind = finding["type"]
    if kind == "extra_forbidden":
        model = _PARTS.get(finding["loc"][0], model)
        close = difflib.get_close_matches(str(finding["loc"][-1]), model.model_fields, n=1)
        return "is not a known field" + (f": did you mean {close[0]!r}?" if close else "")
    message = finding["msg"].removeprefix("Value error, ").removeprefix(f"{_field_of(finding)} ")
    return _WORDS.get(kind) or message.replace("Input should be", "must be")
