"""The folders of a workspace: where each thing lies, and that this version may touch it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spool.files import make_folder, put_new, read_regular

PROTOCOL_VERSION = 1
ENVIRONMENT_NAME = "AISPOOL_WORKSPACE"
DEFAULT_FOLDER = "~/ai-workspace"
AGENT_PREFIX = ".agent-"


class WorkspaceError(Exception):
    """The folder is not a workspace that this version can use; the message says what to do."""


@dataclass(frozen=True)
class Workspace:
    """Names of the folders below one workspace; `root` is absolute. Each is put together once."""

    root: Path

    @cached_property
    def tasks(self) -> Path:
        """The drop folder."""
        return self.root / "tasks"

    @cached_property
    def held(self) -> Path:
        """Tasks on hold."""
        return self.root / "tasks" / "held"

    @cached_property
    def sessions(self) -> Path:
        """Claimed tasks, until they are over."""
        return self.root / "sessions"

    @cached_property
    def results(self) -> Path:
        """Tasks that are over."""
        return self.root / "results"

    @cached_property
    def tombstones(self) -> Path:
        """What is left of pruned results: one small file an id."""
        return self.root / "results" / ".tombstones"

    @cached_property
    def rejected(self) -> Path:
        """What could not be accepted, and why."""
        return self.root / "rejected"

    @cached_property
    def logs(self) -> Path:
        """Logs of tools and of the agent."""
        return self.root / "logs"

    @cached_property
    def recent_reports(self) -> Path:
        """Second names of the latest logs/healthcheck-*.log, by which a collector finds them."""
        return self.logs / ".healthchecks"

    @cached_property
    def configs(self) -> Path:
        """What people set: agent.toml, tools.toml, pauses, hooks."""
        return self.root / "configs"

    @cached_property
    def scripts(self) -> Path:
        """The shell side."""
        return self.root / "scripts"

    @cached_property
    def inbox_tasks(self) -> Path:
        """Tasks that a collector sends: ID.json, and ID.files/ before it."""
        return self.root / "inbox" / "tasks"

    @cached_property
    def inbox_control(self) -> Path:
        """What a collector asks for: ULID.json."""
        return self.root / "inbox" / "control"

    @cached_property
    def delivered(self) -> Path:
        """What came through the inbox, so that a repeated delivery is known for one."""
        return self.root / "inbox" / ".done"

    @cached_property
    def enrolment(self) -> Path:
        """Says which collector holds copies of this workspace's results."""
        return self.configs / "enrolled.json"

    @cached_property
    def uncollected(self) -> Path:
        """One small file for each result that the collector has not acknowledged yet."""
        return self.root / "results" / ".uncollected"

    @cached_property
    def version_file(self) -> Path:
        """Holds the protocol's version."""
        return self.root / "VERSION"

    def agent(self, name: str) -> Path:
        """The folder of one agent: its lock, its claims before their launch, its bell and its outbox."""
        return self.sessions / f"{AGENT_PREFIX}{name}"

    def agents(self) -> list[Path]:
        """Return the folders of all agents that ever worked here."""
        with os.scandir(self.sessions) as entries:
            return sorted(Path(e.path) for e in entries if e.name.startswith(AGENT_PREFIX) and e.is_dir())

    def inbox_folders(self) -> tuple[Path, ...]:
        """Return the folders of the inbox; a workspace of an older version gets them from its agent."""
        return (self.inbox_tasks, self.inbox_control, self.delivered / "tasks", self.delivered / "control")

    def folders(self) -> tuple[Path, ...]:
        """Return every folder that must exist."""
        return (
            *(self.tasks, self.held, self.sessions, self.results, self.tombstones, self.rejected, self.logs),
            *(self.configs, self.configs / "env", self.configs / "hooks", self.scripts),
        )


def chosen_root(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the workspace's place: as given, else by AISPOOL_WORKSPACE, else under the home folder."""
    path = given or os.environ.get(ENVIRONMENT_NAME) or DEFAULT_FOLDER
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - keeps the links a person chose


def create(root: Path) -> Workspace:
    """Make what is missing of a workspace; doing it twice changes nothing.

    Raises:
        WorkspaceError: the folder holds a newer protocol.
        OSError: it cannot be written.
    """
    workspace = Workspace(root)
    if workspace.version_file.exists():
        check_version(workspace)
    for folder in (*workspace.folders(), *workspace.inbox_folders()):
        make_folder(folder)
    if not workspace.version_file.exists():
        try:
            put_new(workspace.version_file, f"{PROTOCOL_VERSION}\n".encode())
        except FileExistsError:
            check_version(workspace)
    return workspace


def open_workspace(root: Path) -> Workspace:
    """Return an existing workspace.

    Raises:
        WorkspaceError: it does not exist, is damaged, or is of a newer protocol.
    """
    workspace = Workspace(root)
    if not workspace.version_file.exists():
        raise WorkspaceError(
            f"{root} is not a workspace (no VERSION file): run `aispool init --workspace {root}`, "
            f"or name yours with --workspace or {ENVIRONMENT_NAME}"
        )
    check_version(workspace)
    missing = [folder for folder in workspace.folders() if not folder.is_dir()]
    if missing:
        raise WorkspaceError(
            f"{missing[0]} is missing: run `aispool init --workspace {root}`, it keeps all there is"
        )
    return workspace


def check_version(workspace: Workspace) -> int:
    """Return the protocol version on disk.

    Raises:
        WorkspaceError: it is newer than ours, or unreadable.
    """
    try:
        version = int(read_regular(workspace.version_file, 64))
    except (ValueError, OSError) as error:
        raise WorkspaceError(
            f"{workspace.version_file} does not hold a number ({error}): write {PROTOCOL_VERSION} into it"
        ) from None
    if version > PROTOCOL_VERSION:
        raise WorkspaceError(
            f"{workspace.root} is of protocol {version}, this aispool knows {PROTOCOL_VERSION}: upgrade it"
        )
    if version < 1:
        raise WorkspaceError(f"{workspace.version_file} holds {version}: the first protocol is 1")
    return version
