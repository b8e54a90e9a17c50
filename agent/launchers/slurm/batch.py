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
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spool.files import make_folder, move, put, read_regular
from spool.names import is_ulid

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

FOLDER: Final = ".aispool.slurm"
STARTS: Final = "starts"
SCRIPT: Final = "script"
KEPT_S: Final = 600.0
"""So long a batch is kept that no job names: its own may be on its way, and people look what one printed."""


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
    return tuple(json.loads(line)["session"] for line in _lines(root, name))


@lru_cache(maxsize=4)
def commands_of(root: Path, name: str) -> tuple[tuple[str, ...], ...]:
    """Return what each element of a batch runs; a batch never changes.

    Raises:
        OSError: it cannot be read now.
    """
    return tuple(tuple(json.loads(line)["argv"]) for line in _lines(root, name))


def remove_old(root: Path, named: Container[str]) -> Iterator[str]:
    """Remove old batches that no job names, and what a kill left half made; yield their names.

    What cannot be removed, as a file on NFS that is still open, is tried again the next time.
    """
    for path in sorted(root.iterdir()):
        name = path.name.removeprefix(".")
        if name in named or not is_ulid(name):
            continue
        with suppress(OSError):
            if path.stat().st_mtime > time.time() - KEPT_S:
                continue
            hidden = root / f".{name}"
            path.rename(hidden)  # a job that comes now finds all of it or nothing
            shutil.rmtree(hidden, ignore_errors=True)
            yield name


def _lines(root: Path, name: str) -> list[bytes]:
    try:
        return read_regular(root / name / STARTS, 1 << 30).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
