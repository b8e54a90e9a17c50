"""rsync as the fleet uses it: what it may write, what its exit statuses mean, and what it lists.

Only regular files and folders are ever made here: links and devices of a host are left out by the sender's
file list, and a sender that lies about names is refused by our own rsync (3.2.5 and newer check every name
against what was asked for).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.fleet import calls, ssh
from agent.fleet.calls import SILENT, STOPPED, UNREACHED, CallError, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.collector import CollectorOptions
    from agent.fleet.calls import Watching
    from agent.fleet.ssh import Link

OLDEST: Final = (3, 2, 5)
"""The first that checks a sender's file list (CVE-2022-29154)."""
PARTIAL: Final = ".rsync-partial"
VANISHED: Final = 24
INCOMPLETE: Final = 23
NOT_FOUND: Final = 127
NO_ROOM: Final = 11

_PROGRESS: Final = re.compile(rb"([0-9][0-9,]{0,30})\s+([0-9]{1,3})%")

_CHANGE: Final = re.compile(rb"([<>ch.][fdLDS]\S{9}|\*\w+) +(.*)")

_MEANING: Final = {
    1: "rsync was called wrongly: is the rsync there older than 3.1?",
    2: "the two rsyncs do not understand each other: upgrade the older one",
    NO_ROOM: "a file could not be written: is a disk full?",
    20: "rsync was ended by a signal",
    NOT_FOUND: "there is no rsync: install it there",
    126: "rsync cannot be run there",
    SILENT: "it stopped answering",
    STOPPED: "the transfer was stopped",
    UNREACHED: "it cannot be reached",
}
"""Beside these (rsync(1), EXIT VALUES), any other status is a connection that broke: 10, 12, 30, 35."""

_REMEDIES: Final = (
    (
        "Host key verification failed",
        "its key is unknown or has changed: `ssh-keyscan`, compare, known_hosts",
    ),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its key has changed: find out why before you trust it"),
    ("Permission denied", "it refuses our key: `ssh-copy-id`, or name the key in hosts.toml"),
    ("Could not resolve hostname", "its name is not known: mend its address in hosts.toml"),
)


class TransferError(Exception):
    """A transfer did not come to its end; what was received so far is kept.

    Args:
        message: one sentence for people.
        code: rsync's or ssh's exit status, or one of ours.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NoFolderError(TransferError):
    """The host was reached, and has no such folder."""


_NO_FOLDER: Final = re.compile(r"change_dir .* failed: No such file or directory")


@dataclass(frozen=True, slots=True)
class Transfers:
    """How transfers with one host are made.

    Args:
        silence_s: of both sides, before a transfer is given up.
        bandwidth_kib_s: 0: as fast as it goes.
    """

    link: Link
    silence_s: float
    bandwidth_kib_s: int = 0
    compress: bool = True

    @classmethod
    def over(cls, link: Link, options: CollectorOptions) -> Transfers:
        """Return how the options want it for this host."""
        bandwidth = link.host.bandwidth_kib_s or options.bandwidth_kib_s
        return cls(link, options.silence_s, bandwidth, options.compress)

    def fetch(
        self,
        sources: Sequence[str],
        target: str | os.PathLike[str],
        *more: str,
        watching: Watching | None = None,
        given: bytes | None = None,
        silence_s: float | None = None,
    ) -> Ended:
        """Copy from the host; 0, 23 (some could not be read there) and 24 (some vanished) are no errors.

        Args:
            sources: paths in the host's workspace; with `given`, the folder alone.
            target: a folder here, made by the caller.
            more: options.
            watching: who looks on.
            given: a list of names for `--files-from=-`, each ended by NUL.
            silence_s: instead of the usual one.

        Raises:
            TransferError: it broke.
            CallError: a program is missing here.
        """
        named = [f"{self.link.remote}:{self.link.base}{source}" for source in sources]
        # -1: to the nanosecond; a record that is written twice in a second is often as long as before
        words = ["--modify-window=-1", *more, "--", *named, f"{os.fspath(target)}/"]
        return self._run(words, watching, given, silence_s=silence_s)

    def push(
        self,
        folder: str | os.PathLike[str],
        names: Iterable[str],
        target: str,
        *more: str,
        watching: Watching | None = None,
        silence_s: float | None = None,
    ) -> Ended:
        """Copy files of a folder here into a folder of the host's inbox, in the order of their names.

        Args:
            folder: here.
            names: below it; what a name stands for may be a folder.
            target: below the inbox.
            more: options.
            watching: who looks on.
            silence_s: instead of the usual one.

        Raises:
            TransferError: it broke.
            CallError: a program is missing here.
        """
        given = b"".join(os.fsencode(name) + b"\0" for name in names)
        there = f"{self.link.remote}:{self.link.inbox}{target}"
        words = ["-r", "--files-from=-", "--from0", *more, "--", f"{os.fspath(folder)}/", f"{there}/"]
        return self._run(words, watching, given, modes="D700,Fu=rwX,Fgo=", silence_s=silence_s)

    def _run(
        self,
        words: Sequence[str],
        watching: Watching | None,
        given: bytes | None,
        *,
        modes: str = "D700,F600",
        silence_s: float | None = None,
    ) -> Ended:
        silence_s = self.silence_s if silence_s is None else silence_s
        argv = [
            *("rsync", "-t", "--perms", f"--chmod={modes}"),
            *(f"--timeout={max(round(silence_s), 1)}", "-e", ssh.remote_shell(self.link)),
            *(["-z"] if self.compress else []),
            *([f"--bwlimit={self.bandwidth_kib_s}"] if self.bandwidth_kib_s else []),
            *words,
        ]
        heard = None
        if "--dry-run" not in words:
            # by it we hear that it lives: a large file takes longer than any silence may
            argv[1:1] = ["--info=progress2"]
            heard = _told(watching)
        # rsync keeps the silence itself, as far as it is not stopped or stuck
        keeps = "--itemize-changes" in words
        ended = calls.run(argv, 2 * silence_s, watching, given, heard=heard, keeps=keeps)
        if ended.code not in {0, INCOMPLETE, VANISHED}:
            kind = NoFolderError if _NO_FOLDER.search(ended.err) else TransferError
            raise kind(sentence(ended), ended.code)
        return ended


def _told(watching: Watching | None) -> Callable[[bytes], None]:
    """Return what takes rsync's own account of a transfer: `  1,234,567  45%  1.20MB/s  0:00:03`."""
    line = bytearray()

    def heard(piece: bytes) -> None:
        line.extend(piece)
        if not piece.endswith((b"\r", b"\n")):
            return
        found = _PROGRESS.search(bytes(line))
        line.clear()
        if found and watching is not None and watching.progress is not None:
            watching.progress(int(found[1].replace(b",", b"")), int(found[2]) / 100)

    return heard


def sentence(ended: Ended) -> str:
    """Say for people why a call of ssh or rsync failed."""
    for said, remedy in _REMEDIES:
        if said in ended.err:
            return f"{said}: {remedy}"
    return f"{_MEANING.get(ended.code, 'the connection broke')} ({telling(ended)})"


def telling(ended: Ended) -> str:
    """Return the line that names the cause: rsync's own last line names its source code."""
    lines = [line for line in ended.err.splitlines() if line.strip() and not line.startswith("rsync error:")]
    return Ended(ended.code, b"", "\n".join(lines)).said if lines else ended.said


def is_away(code: int) -> bool:
    """Tell whether a status means that the host was not reached, or no longer."""
    return code in {UNREACHED, SILENT, 10, 12, 30, 35}


def listed(output: bytes) -> list[tuple[str, bytes]]:
    r"""Return what `--itemize-changes` lists: the change, and the name, in which \#ooo is a byte."""
    changes = (match for line in output.splitlines() if (match := _CHANGE.fullmatch(line)))
    return [(change[1].decode(errors="replace"), unescaped(change[2])) for change in changes]


def unescaped(name: bytes) -> bytes:
    r"""Return a name as it is on the disk: rsync writes a byte that cannot be shown as \#ooo."""
    return re.sub(rb"\\#([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 255]), name)


def check_version() -> None:
    """Make sure that our own rsync protects us from a lying sender.

    Raises:
        CallError: it does not, or is missing.
    """
    version = calls.rsync_version()
    if version < OLDEST:
        wanted, ours = (".".join(map(str, numbers)) for numbers in (OLDEST, version))
        raise CallError(f"rsync is {ours} here; older than {wanted} it trusts what a host sends: upgrade it")
