"""Where things lie on a collector: fleet/HOST is laid out as a workspace, and read as one.

Folders that begin with a dot belong to the collector. rsync writes into `.mirror` and `.incoming` only;
nothing in them is believed until it was validated, and what people see is put there by us:

    fleet/HOST/tasks, sessions, results, rejected, logs   what people see, and drop into
    fleet/HOST/state.json      how the host is, for people: reachable, since when, last error, next try
    fleet/HOST/.mirror/        an exact copy of the small, living part of the host's workspace
    fleet/HOST/.incoming/      results and logs on their way
    fleet/HOST/.shown/         a second name of every file that we put among what people see
    fleet/HOST/.logs/          how far each log was collected
    fleet/HOST/.outbox/        not given to the host yet: provably not there
    fleet/HOST/.sent/          given to the host, or perhaps given
    fleet/any/                 tasks for which the collector chooses the host
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.files import make_folder
from spool.names import is_task_id
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANY: Final = "any"
"""fleet/any: no host's name."""
STATE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class Mirror:
    """One host's folder on the collector; `root` is absolute and its name is the host's."""

    root: Path

    @property
    def name(self) -> str:
        """The host's name."""
        return self.root.name

    @property
    def workspace(self) -> Workspace:
        """The part that people see."""
        return Workspace(self.root)

    @property
    def raw(self) -> Path:
        """A copy by rsync of the small, living part."""
        return self.root / ".mirror"

    @property
    def incoming(self) -> Path:
        """A copy by rsync of results and logs that are not published yet."""
        return self.root / ".incoming"

    @property
    def shown(self) -> Path:
        """Second names of the files that we put among what people see."""
        return self.root / ".shown"

    @property
    def log_records(self) -> Path:
        """One small file a log."""
        return self.root / ".logs"

    @property
    def outbox(self) -> Workspace:
        """Tasks (tasks/) that the host provably does not have yet."""
        return Workspace(self.root / ".outbox")

    @property
    def outbox_controls(self) -> Path:
        """Control files that the host may not have yet: ULID.json, sorted by time."""
        return self.root / ".outbox" / "control"

    @property
    def sent(self) -> Workspace:
        """Tasks (tasks/) that the host may have."""
        return Workspace(self.root / ".sent")

    @property
    def sent_controls(self) -> Path:
        """Control files that the host may have, until it says that they are done."""
        return self.root / ".sent" / "control"

    @property
    def state_file(self) -> Path:
        """How the host is."""
        return self.root / STATE

    def make(self) -> None:
        """Make what is missing; no VERSION, so that no agent ever works on a mirror and runs its tasks here.

        Raises:
            OSError: it cannot be written.
        """
        for folder in (
            *self.workspace.folders(),
            *(self.raw, self.incoming, self.log_records, self.outbox.tasks, self.outbox_controls),
            *(self.sent.tasks, self.sent_controls, self.shown),
        ):
            make_folder(folder)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of a collector's mirrors; `workspace` is the collector's own."""

    workspace: Workspace

    @property
    def root(self) -> Path:
        """The folder of all hosts."""
        return self.workspace.root / "fleet"

    @property
    def any(self) -> Workspace:
        """Where tasks are dropped for which the collector chooses the host."""
        return Workspace(self.root / ANY)

    def mirror(self, name: str) -> Mirror:
        """Return a host's folder, made or not."""
        return Mirror(self.root / name)

    def mirrors(self) -> Iterator[Mirror]:
        """Yield the folders there are, by name, those of hosts that were taken out as well."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return
        for name in names:
            if name != ANY and is_task_id(name) and (self.root / name).is_dir():
                yield self.mirror(name)
