"""What the owner of a workspace sets: configs/agent.toml, read once at start and again on SIGHUP.

A missing file means the defaults. A file that does not parse, an option nobody knows and a value out of
its range are a `ConfigError` which names the file, the place, and what to write instead; nothing is
guessed. The same reader serves configs/tools.toml.
"""

from __future__ import annotations

import difflib
import os
import pwd
import re
import socket
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
)

from agent.budget import Budget  # noqa: TC001 - pydantic reads the annotations
from agent.cluster import LauncherName, SlurmOptions
from agent.collector import CollectorOptions
from agent.mistakes import in_words
from agent.quantities import Bytes, Count, Days, Duration, Name, Slots, SomeBytes  # noqa: TC001 - pydantic reads them
from spool.admit import Rules
from spool.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from spool.task import Task
    from spool.workspace import Workspace

AGENT_FILE = "agent.toml"
MIB = 1 << 20
MAX_FILE_BYTES = 4 * MIB
GIB = 1 << 30

Event = Literal["on-start", "on-finish", "on-waiting"]


class ConfigError(Exception):
    """A configuration file cannot be used; nothing was changed.

    Args:
        file: the file.
        what: the problem, in words.
        remedy: what the person does next.
        place: the dotted option, or the line and column.
    """

    def __init__(self, file: Path, what: str, remedy: str, *, place: str | None = None) -> None:
        where = f"{file}, {place}" if place else f"{file}"
        super().__init__(f"{where}: {what}: {remedy}")
        self.file = file
        self.what = what
        self.remedy = remedy
        self.place = place


def host_name() -> str:
    """Return this host's name, without its domain, as far as it fits a name of ours."""
    first = socket.gethostname().partition(".")[0]
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", first).strip("-._")[:100]
    return readable or "host"


def _check_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError("it is not a web address: write it like https://example.org/hook")
    return text


class AgentConfig(BaseModel):
    """Options of one agent; agent/share/configs/agent.toml explains each to people.

    Args:
        name: under which agents of one workspace know each other.
        slots: tasks that run at once, counted by weight.
        slots_by_tool: at most that many of a tool; wins over the tool's own `slots`.
        allowed_paths: absolute folders in which the paths of a task must lie.
        allowed_users: names or numbers of users whose files are accepted beside our own.
        max_output_bytes: kept of each stream of one attempt.
        max_log_bytes: of one log before it is rotated.
        rate_limit_patience_s: a task waits for so long in all for the end of a rate limit or quota.
        quiet_s: a file without a read lease must not have changed for so long.
        launcher_by_tool, launcher_by_group: for tasks that name no launcher; a group wins over a tool.
        budgets: what a day of work may cost, in all, of a tool, of a label.
        collector: how other hosts are collected from, when a collector runs here.
        slurm: what a cluster is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: Name = Field(default_factory=host_name)
    slots: Slots = 2
    slots_by_tool: dict[Name, Slots] = Field(default_factory=dict)
    slots_by_group: dict[Name, Slots] = Field(default_factory=dict)
    launcher: LauncherName = "tmux"
    launcher_by_tool: dict[Name, LauncherName] = Field(default_factory=dict)
    launcher_by_group: dict[Name, LauncherName] = Field(default_factory=dict)
    timeout_s: Duration = 3600.0
    grace_s: Duration = 10.0
    scan_interval_s: Duration = 5.0
    reserve_bytes: Bytes = 256 * MIB
    max_task_bytes: SomeBytes = 4 * MIB
    allowed_paths: tuple[StrictStr, ...] = ("~",)
    allowed_users: tuple[StrictStr | StrictInt, ...] = ()
    max_output_bytes: SomeBytes = 64 * MIB
    max_log_bytes: SomeBytes = 64 * MIB
    keep_days: Days = 30.0
    keep_count: Count = 10_000
    keep_bytes: SomeBytes = 10 * GIB
    keep_log_days: Days = 30.0
    reject_unparsable_after_s: Duration = 60.0
    quiet_s: Duration = 2.0
    webhook_url: Annotated[StrictStr, AfterValidator(_check_url)] | None = Field(default=None, repr=False)
    webhook_events: tuple[Event, ...] = ("on-finish", "on-waiting", "on-start")
    hook_timeout_s: Duration = 60.0
    budgets: tuple[Budget, ...] = ()
    rate_limit_patience_s: Duration = 86_400.0
    collector: CollectorOptions = CollectorOptions()
    slurm: SlurmOptions = SlurmOptions()

    def launcher_of(self, task: Task) -> str:
        """Return the launcher of a task: its own, else its group's, its tool's, or the usual one."""
        by_group = self.launcher_by_group.get(task.group) if task.group else None
        return task.launcher or by_group or self.launcher_by_tool.get(task.tool) or self.launcher

    @field_validator("allowed_paths")
    @classmethod
    def _absolute(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        expanded = tuple(os.path.expanduser(path) for path in paths)  # noqa: PTH111 - keeps text as text
        for given, path in zip(paths, expanded, strict=True):
            if not path.startswith("/"):
                raise ValueError(f"{given[:200]!r} is not absolute: begin it with / or ~/")
        return tuple(os.path.normpath(path) for path in expanded)

    @field_validator("allowed_users")
    @classmethod
    def _known(cls, users: tuple[str | int, ...]) -> tuple[str | int, ...]:
        for user in users:
            _uid_of(user)
        return users

    @property
    def allowed_uids(self) -> frozenset[int]:
        """Return the users whose files are accepted; our own is always among them."""
        return frozenset((os.geteuid(), *(_uid_of(user) for user in self.allowed_users)))

    def rules(self) -> Rules:
        """Return what may be dropped."""
        return Rules(self.max_task_bytes, self.quiet_s, self.reject_unparsable_after_s, self.allowed_uids)


def _uid_of(user: str | int) -> int:
    if isinstance(user, int):
        if not 0 <= user < (1 << 32):
            raise ValueError(f"{user} is not the number of a user: see `id -u NAME`")
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ValueError(f"there is no user {user[:100]!r} here: name one, or give its number") from None


def load(workspace: Workspace) -> AgentConfig:
    """Return the options of configs/agent.toml; `allowed_paths` includes the workspace unless it is set.

    Raises:
        ConfigError: the file cannot be used.
    """
    file = workspace.configs / AGENT_FILE
    try:
        return _with_defaults(workspace, read_toml(file))
    except ValidationError as error:
        raise config_error(file, error, tuple(AgentConfig.model_fields)) from None


def load_or_defaults(workspace: Workspace) -> tuple[AgentConfig, ConfigError | None]:
    """Return the options, or the defaults and what is wrong with the file.

    For whoever only looks: the agent itself must never guess what its owner meant.
    """
    try:
        return load(workspace), None
    except ConfigError as error:
        return _with_defaults(workspace, {}), error


def _with_defaults(workspace: Workspace, options: dict[str, Any]) -> AgentConfig:
    return AgentConfig.model_validate({"allowed_paths": ["~", str(workspace.root)], **options})


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; a missing file is an empty one.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        text = read_regular(file, MAX_FILE_BYTES).decode()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(file, f"byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise ConfigError(file, what, "put a regular file there that you may read") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).rstrip(")").partition(" (at ")
        raise ConfigError(
            file,
            f"not TOML: {what}",
            "mend it, or move the file away to use the defaults",
            place=place or None,
        ) from None


def config_error(
    file: Path, error: ValidationError, known: tuple[str, ...], prefix: tuple[str, ...] = ()
) -> ConfigError:
    """Put pydantic's first finding into words for the file's writer.

    Args:
        file: where the options came from.
        error: what pydantic found.
        known: the names of the options, to suggest the one that was meant.
        prefix: the table in which the options stand.
    """
    findings = error.errors(include_url=False, include_context=False)
    finding = next((f for f in findings if f["type"] == "extra_forbidden"), findings[0])
    place = ".".join(str(part) for part in (*prefix, *finding["loc"]))
    if finding["type"] == "extra_forbidden":
        name = str(finding["loc"][-1])
        close = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else "take it out"
        return ConfigError(file, f"there is no option {name[:100]!r}", remedy, place=place)
    problem, remedy = in_words(finding, place)
    return ConfigError(file, problem, remedy, place=place)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one set of tables over another: tables merge, everything else is replaced."""
    result = dict(lower)
    for name, value in upper.items():
        below = result.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[name] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result
