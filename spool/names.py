"""Names on disk: task ids, ULIDs, and the files that belong to one dropped file.

An id names a folder, a tmux session and a log, so its alphabet is small. A task that brings no
id gets its file's stem and a ULID, so that cron can drop the same file every night.
"""

from __future__ import annotations

import hashlib
import os
import re
import time

TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_ID_LENGTH = 100
TASK_ID_RULE = "1 to 100 of the characters A-Z a-z 0-9 . _ - , the first one a letter or a digit"
TASK_SUFFIX = ".json"
FILES_SUFFIX = ".files"
WHY_SUFFIX = ".why"
ERROR_SUFFIX = ".error.json"

MAX_TASK_NAME_BYTES = 200
"""Longest accepted file name: NAME.error.json and its kin must still fit the 255 bytes of a name."""

MAX_NAME_BYTES = 255
"""Longest name of any file (NAME_MAX of Linux file systems)."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26


def is_task_id(text: str) -> bool:
    """Tell whether the text may name a task."""
    return TASK_ID.fullmatch(text) is not None


def new_ulid(now_ms: int | None = None) -> str:
    """Return a ULID: 48 bits of Unix milliseconds, 80 random bits, in Crockford's base 32 (ulid/spec)."""
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(5 * (ULID_LENGTH - 1), -1, -5))


def is_ulid(text: str) -> bool:
    """Tell whether the text is a ULID as we write them."""
    return len(text) == ULID_LENGTH and text[0] in "01234567" and set(text) <= set(_CROCKFORD)


def given_id(stem: str) -> str:
    """Make an id for a task that brought none: the readable part of its file's stem, and a ULID."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return f"{readable[: 99 - ULID_LENGTH] or 'task'}-{new_ulid()}"


def child_id(task_id: str, suffix: str) -> str:
    """Return the id of a task that exists for the sake of another, always the same: `ID.SUFFIX`.

    One too long for an id is cut, and told apart by a digest.

    Args:
        task_id: the other's.
        suffix: short, of the characters of an id.
    """
    name = f"{task_id}.{suffix}"
    if is_task_id(name):
        return name
    digest = hashlib.sha256(task_id.encode()).hexdigest()[:12]
    return f"{task_id[: MAX_ID_LENGTH - len(suffix) - len(digest) - 2]}-{digest}.{suffix}"


def is_dropped_name(name: str) -> bool:
    """Tell whether an entry of the drop folder is meant as a task; dotfiles are not there."""
    return name.endswith(TASK_SUFFIX) and not name.startswith(".")


def stem_of(name: str) -> str:
    """Return NAME of NAME.json."""
    return name.removesuffix(TASK_SUFFIX)


def name_problem(name: str) -> str | None:
    """Return why a dropped file's name cannot be taken, or None."""
    if len(os.fsencode(name)) > MAX_TASK_NAME_BYTES:
        return f"the file name is longer than {MAX_TASK_NAME_BYTES} bytes"
    if not name.isprintable():
        return "the file name holds a control character or bytes that are not UTF-8"
    return None


def error_name(name: str) -> str:
    """Return the name of the explanation beside a rejected file, shortened when it would not fit."""
    return shortened(name, ERROR_SUFFIX)


def shortened(name: str, suffix: str) -> str:
    """Return the name with a suffix; one too long for a file system is cut, and told apart by a digest."""
    raw = os.fsencode(name)
    if len(raw) + len(suffix) <= MAX_NAME_BYTES:
        return name + suffix
    digest = hashlib.sha256(raw).hexdigest()[:12]
    return raw[:MAX_TASK_NAME_BYTES].decode(errors="ignore") + f"~{digest}{suffix}"


def with_suffix_number(name: str, number: int) -> str:
    """Return NAME~2.json for NAME.json and 2: the next free name when one is taken."""
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}~{number}{dot}{suffix}" if dot else f"{name}~{number}"
