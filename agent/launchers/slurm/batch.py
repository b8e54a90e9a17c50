"""What one submission leaves on the shared file system: which element of its array is which task.

    .aispool.slurm/BATCH/starts     one line of JSON for each element: session, argv, cwd, socket
    .aispool.slurm/BATCH/script     what sbatch is given
    .aispool.slurm/BATCH/INDEX.out  what the job printed before its session began, for whoever looks why

BATCH is a ULID and a part of the job's name. That name decides what a job is, never its number: a controller
that was killed gives numbers out again (measured with Slurm 22.05).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spool.files import make_folder, move, put, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER: Final = ".aispool.slurm"
STARTS: Final = "starts"
SCRIPT: Final = "script"


@dataclass(frozen=True, slots=True)
class Element:
    """One session of a batch.

    Args:
        session: its name.
        argv: what it runs, byte for byte.
        socket: of its tmux server, on the node.
        after: ids of tasks that must have succeeded.
    """

    session: str
    argv: tuple[str, ...]
    cwd: str
    socket: str
    after: tuple[str, ...] = ()

    def line(self) -> str:
        """Write it as a line; what is not ASCII is escaped, so that any byte of an argument survives."""
        fields = {
            "session": self.session,
            "argv": list(self.argv),
            "cwd": self.cwd,
            "socket": self.socket,
            "after": list(self.after),
        }
        return json.dumps(fields)


def write(root: Path, name: str, elements: Sequence[Element], script: str) -> None:
    """Put a batch on disk, whole.

    Raises:
        OSError: the disk; there is no such batch.
    """
    hidden = root / f".{name}"
    make_folder(hidden)
    put(hidden / STARTS, "".join(f"{element.line()}\n" for element in elements).encode())
    put(hidden / SCRIPT, script.encode())
    move(hidden, root / name)


def sessions_of(root: Path, name: str) -> tuple[str, ...]:
    """Return the sessions of a batch by their index; none when the batch was removed.

    Raises:
        OSError: it cannot be read now.
    """
    try:
        content = read_regular(root / name / STARTS, 1 << 30)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(json.loads(line)["session"] for line in content.splitlines())


def names(root: Path) -> Iterator[str]:
    """Yield the names of all batches that are still there."""
    if root.is_dir():
        yield from sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def remove(root: Path, name: str) -> None:
    """Remove a batch none of whose jobs can start any more."""
    hidden = root / f".{name}"
    try:
        (root / name).rename(hidden)
    except FileNotFoundError:
        return
    shutil.rmtree(hidden)
