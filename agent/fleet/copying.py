"""Single results and logs, as they are copied from a host: what is left out, how long it may take.

Links, devices, pipes and sockets stay where they are: rsync is not asked for them, and names each of them.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from agent.fleet.rsync import unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.fleet.calls import Ended
    from agent.fleet.peer import Peer

SLOWEST_DISK_BYTES_S: Final = 4 << 20
"""What a file's checksum takes at most: neither side says a word while it reads one."""
_EXACT: Final = (
    *("-r", "--delete", "--ignore-missing-args", "--no-implied-dirs", "--files-from=-", "--from0"),
    *(
        "--filter",
        "H /results/*/.*",  # not asked for, and not kept here: a killed rsync leaves such names
        "--filter",
        "- /results/*/retry",
        "--filter",
        "- /results/*/status.json",
    ),
)
_SKIPPED: Final = re.compile(rb'^skipping non-regular file "(.*)"$', re.MULTILINE)


def copy(
    peer: Peer, entries: Iterable[str], *more: str, target: Path | None = None, reading_bytes: int = 0
) -> Ended:
    """Copy some entries of the host's workspace, as they are there.

    Args:
        peer: the host.
        entries: `results/ID/`, `logs/NAME`.
        more: options of rsync.
        target: where to; the mirror's `.incoming` when left out.
        reading_bytes: so much is read through on both sides before anything is heard.

    Raises:
        TransferError: the connection broke.
        CallError: a program is missing here.
    """
    transfers = peer.collecting
    return transfers.fetch(
        ["./"],
        target or peer.mirror.incoming,
        *(*_EXACT, *more),
        watching=peer.watching,
        given=b"".join(os.fsencode(entry) + b"\0" for entry in entries),
        silence_s=transfers.silence_s + reading_s(reading_bytes),
    )


def reading_s(size: int) -> float:
    """Return the seconds in which so many bytes are read through, at the latest."""
    return size / SLOWEST_DISK_BYTES_S


def size_bytes(paths: Iterable[Path]) -> int:
    """Return how large the files at these paths, and in these folders, are together."""
    return sum(os.lstat(file).st_size for path in paths for file in _files(path))


def _files(path: Path) -> Iterator[str | Path]:
    if path.is_file():
        yield path
    for parent, _, names in os.walk(path):
        yield from (os.path.join(parent, name) for name in names)  # noqa: PTH118 - many files


def skipped(output: bytes) -> list[str]:
    """Return the entries that rsync says it left out because they are neither files nor folders."""
    return [os.fsdecode(unescaped(name)) for name in _SKIPPED.findall(output)]
