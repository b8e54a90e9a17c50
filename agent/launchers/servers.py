"""Finding the tmux server of a socket without the socket, among our own processes (proc(5))."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path


def server_pids(socket: Path) -> list[int]:
    """Find our tmux servers that were started with `-S socket`, in this pid namespace, lowest pid first."""
    found = {
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _serves(process, socket)
    }
    # a server's child looks like it until it becomes the pane's program
    return sorted(pid for pid in found if _parent(pid) not in found)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _serves(process: Path, socket: Path) -> bool:
    try:
        if process.stat().st_uid != os.getuid() or (process / "comm").read_bytes() != b"tmux: server\n":
            return False
        words = [os.fsdecode(word) for word in (process / "cmdline").read_bytes().split(b"\0")]
        # a container's server may show the same path and mean another file
        same_world = (process / "ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except OSError:  # it ended while we looked, or hides from us: not one that we could revive
        return False
    named = {
        os.path.realpath(after) for word, after in pairwise(words) if word == "-S" and after.startswith("/")
    }
    return same_world and os.path.realpath(socket) in named
