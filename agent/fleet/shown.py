"""What is put among what people see, and told apart from what people put there themselves.

A mirrored file is a hard link of rsync's copy. A second link of it in `.shown/KIND/`, whose name is the
inode's number, makes it known as ours, also after a person moved it; while that link is there the number is
given to no other file. The second link is made before the first is seen, and removed after it: killed
anywhere, nothing of ours is ever taken for a new drop.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from spool.files import fsync_folder, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def inode(path: Path) -> int | None:
    """Return a file's inode number; None when there is none, or it is no regular file."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino if stat.S_ISREG(status.st_mode) else None


def link_over(source: Path, target: Path) -> None:
    """Give a file another name, replacing what has it; readers see the one or the other."""
    temporary = target.with_name(f".{os.getpid()}.{os.urandom(4).hex()}.tmp")
    os.link(source, temporary, follow_symlinks=False)
    try:
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # rename(2) of two links of one file does nothing, and leaves both


class Known:
    """The files of one kind that are ours.

    Args:
        folder: `.shown/KIND`.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self.inodes = {int(name) for name in os.listdir(folder) if name.isdigit()}

    def add(self, sources: Iterable[Path]) -> None:
        """Know these files, for good."""
        added = False
        for source in sources:
            number = inode(source)
            if number is None or number in self.inodes:
                continue
            with suppress(FileExistsError):
                os.link(source, self._folder / str(number), follow_symlinks=False)
            self.inodes.add(number)
            added = True
        if added:
            fsync_folder(self._folder)

    def keep_only(self, numbers: Iterable[int]) -> None:
        """Forget all other files, which nobody sees any more."""
        for number in self.inodes - set(numbers):
            (self._folder / str(number)).unlink(missing_ok=True)
            self.inodes.discard(number)


def names_in(folder: Path) -> list[str]:
    """Return a folder's names, sorted; none when there is no folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def inodes_in(folder: Path) -> dict[str, int | None]:
    """Return what `inode` returns for each name in a folder, in their order; of thousands, in one look."""
    try:
        with os.scandir(folder) as entries:
            found = {e.name: e.inode() if e.is_file(follow_symlinks=False) else None for e in entries}
            return dict(sorted(found.items()))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def ours_in(folder: Path, known: set[int]) -> set[str]:
    """Return the names of a folder's files that are known as ours."""
    with os.scandir(folder) as entries:
        return {e.name for e in entries if e.inode() in known and e.is_file(follow_symlinks=False)}
