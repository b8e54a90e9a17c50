"""Whether a dropped file is finished and fit to be read: the part of acceptance that looks at the file.

No event says "complete" (a killed scp fires close-write, too), so a file is read when no writer holds
it: by a read lease, or, where the kernel refuses one, when size and ctime were quiet for a while on our
own monotonic clock. The bytes are then parsed strictly, and only then is it a task.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from spool.files import (
    NotRegularError,
    TooLargeError,
    kind_of,
    no_writer_holds,
    open_regular,
    read_descriptor,
)
from spool.names import MAX_TASK_NAME_BYTES, name_problem
from spool.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path


class Signature(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Read it from stat(2)."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Sight:
    """When we first saw a file as it is now, on the monotonic clock."""

    signature: Signature
    since_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be dropped here."""

    max_task_bytes: int
    quiet_s: float
    unparsable_after_s: float
    allowed_uids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """A finished file's bytes."""

    content: bytes
    sha256: str
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class NotYet:
    """Look again: at once after an event, at the latest after this time."""

    reason: str
    again_in_s: float


Verdict = Ready | NotYet | Refusal


def look(path: Path, before: Sight | None, now_s: float, rules: Rules) -> tuple[Sight, Verdict] | None:
    """Look at one dropped file; None when it is gone.

    Args:
        path: the file.
        before: what the last look at this name returned.
        now_s: the monotonic clock.
        rules: what may be dropped.

    Raises:
        OSError: the folder cannot be read; nothing was decided about the file.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    signature = Signature.of(status)
    sight = before if before and before.signature == signature else Sight(signature, now_s)
    try:
        verdict = _unfit(path.name, status, rules) or _read(path, sight, now_s, rules)
    except FileNotFoundError:
        return None
    except NotRegularError as error:
        verdict = Refusal(str(error), "put a regular file there")
    return sight, verdict


def give_up_waiting(refusal: Refusal, sight: Sight, now_s: float, rules: Rules) -> NotYet | Refusal:
    """Turn a refusal that later bytes may mend into NotYet, until the file was quiet for long enough."""
    left_s = sight.since_s + rules.unparsable_after_s - now_s
    if refusal.final or left_s <= 0:
        return refusal
    return NotYet(
        f"not readable yet, refused if it stays so for {left_s:.0f} s: {refusal.sentence()}", left_s
    )


def _unfit(name: str, status: os.stat_result, rules: Rules) -> Refusal | None:
    if (problem := name_problem(name)) is not None:
        return Refusal(problem, f"give it a plain name of at most {MAX_TASK_NAME_BYTES} bytes")
    if not stat.S_ISREG(status.st_mode):
        return Refusal(f"it is {kind_of(status.st_mode)}, not a regular file", "copy the file itself there")
    if status.st_uid not in rules.allowed_uids:
        return Refusal(
            f"it belongs to user {status.st_uid}, who may not give tasks here",
            "drop it as the owner of the workspace, or name the user in allowed_users of configs/agent.toml",
        )
    return None


def _read(path: Path, sight: Sight, now_s: float, rules: Rules) -> Verdict:
    quiet_in_s = sight.since_s + rules.quiet_s - now_s
    try:
        with open_regular(path) as descriptor:
            free = no_writer_holds(descriptor)
            if free is False:
                return NotYet("a program still has it open for writing", rules.quiet_s)
            if sight.signature.size > rules.max_task_bytes:
                return _too_large(sight.signature.size, rules, quiet_in_s)
            if free is None and quiet_in_s > 0:
                return NotYet("it changed a moment ago", quiet_in_s)
            content = read_descriptor(descriptor, rules.max_task_bytes)
            if Signature.of(os.fstat(descriptor)) != sight.signature:
                return NotYet("it is changing", rules.quiet_s)
    except TooLargeError:
        return NotYet("it is growing", rules.quiet_s)
    except PermissionError:
        return Refusal("it may not be read", "chmod u+r, or drop it as the owner of the workspace")
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV}:
            return Refusal("it is not a regular file", "copy the file itself there")
        raise
    arrived_at = datetime.fromtimestamp(sight.signature.ctime_ns / 1e9, UTC)
    return Ready(content, hashlib.sha256(content).hexdigest(), arrived_at)


def _too_large(size_bytes: int, rules: Rules, quiet_in_s: float) -> Verdict:
    if quiet_in_s > 0:
        return NotYet("it is too large and changed a moment ago", quiet_in_s)
    return Refusal(
        f"it holds {size_bytes} bytes; a task may hold {rules.max_task_bytes}",
        "put large input into NAME.files/ beside it, or raise max_task_bytes in configs/agent.toml",
    )
