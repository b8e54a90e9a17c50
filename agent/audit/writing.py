"""Writing: one entry behind the last, whatever the last writer left."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.audit.line import (
    HEAD,
    LINE_BYTES,
    MENDED,
    NAME,
    NOTHING_BEFORE,
    OWN,
    AuditError,
    Entry,
    alone,
    contradicts,
    digest,
    files,
    head,
    parse,
)
from spool.files import fsync_folder, open_regular, put, read_tail, write_all
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from spool.workspace import Workspace

FILE_BYTES: Final = 64 << 20
"""A file of this size is full."""

_TAIL_BYTES: Final = (64 << 10, 4 * LINE_BYTES)
"""How much of a file's end is looked at; the second, when that holds no entry."""


def append(
    workspace: Workspace,
    event: str,
    *,
    who: str,
    task_id: str | None = None,
    now: datetime | None = None,
    **details: Any,
) -> Entry:
    """Write one entry; when this returns, it survives a power cut.

    Args:
        workspace: whose log.
        event: what happened, in one word: asked, proposed, rated, approved, run, result …
        who: the person, role or program that did it.
        task_id: of the task it is about.
        now: the wall clock.
        details: JSON values; never a secret.

    Raises:
        AuditError: the entry is too long or no JSON, or the log's end is beyond mending.
        OSError: the disk; the entry was not written.
    """
    if taken := OWN & details.keys():
        raise AuditError(f"an audit entry has a field {min(taken)!r} of its own: name the detail differently")
    fields = {"at": iso(now or utc_now()), "event": event, "who": who, "task_id": task_id}
    _encoded({**fields, **details})
    with alone(workspace):
        _rotate(workspace)
        last = _mended_end(workspace, fields)
        number, prev = (last.n + 1, last.sha256) if last else (1, NOTHING_BEFORE)
        return _write(workspace, number, prev, {**fields, **details})


@dataclass(slots=True)
class _End:
    """The log's end: its last entry, and the lines behind it that are none, oldest first."""

    last: Entry | None
    torn: list[bytes]
    unended: Path | None


def _find_end(workspace: Workspace) -> _End:
    end = _End(None, [], None)
    for path in reversed(files(workspace)):
        if _looked_through(path, end):
            break
    return end


def _looked_through(path: Path, end: _End) -> bool:
    """Look at a file from its end; tell whether an entry is found."""
    for most_bytes in _TAIL_BYTES:
        content, begins_before = read_tail(path, most_bytes)
        lines = content.split(b"\n")
        ended = not lines[-1]
        if ended:
            lines.pop()
        for position, line in reversed(list(enumerate(lines))):
            end.last = parse(line)
            if end.last is not None or (position == 0 and not begins_before):
                end.torn[:0] = lines[position + 1 if end.last else 0 :]
                end.unended = end.unended if ended else path
                return end.last is not None
        if not lines:
            return False
    raise AuditError(f"the end of {path} holds no entry: see `aispool audit verify`, then move the file away")


def _mended_end(workspace: Workspace, fields: dict[str, Any]) -> Entry | None:
    """Return the last entry; first write one about what a crash tore, or about entries that are gone."""
    end, noted = _find_end(workspace), head(workspace)
    if end.unended is not None:
        _append_bytes(end.unended, b"\n")
    missing = contradicts(noted, end.last)
    if not end.torn and not missing:
        return end.last
    last_n = end.last.n if end.last else 0
    last_sha256 = end.last.sha256 if end.last else NOTHING_BEFORE
    found: dict[str, Any] = {"before": last_sha256}
    if end.torn:
        torn = b"\n".join(end.torn)
        found |= {"torn_lines": len(end.torn), "torn_bytes": len(torn), "torn_sha256": digest(torn)}
    if missing and noted is not None:
        found["missing"] = {"n": noted[0], "sha256": noted[1]}
        last_n = max(last_n, noted[0])
    prev = digest(end.torn[-1]) if end.torn else last_sha256
    about = {"at": fields["at"], "event": MENDED, "who": "audit", "task_id": None}
    return _write(workspace, last_n + 1, prev, {**about, **found})


def _write(workspace: Workspace, number: int, prev: str, fields: dict[str, Any]) -> Entry:
    line = _encoded({"n": number, **fields, "prev": prev})
    entry = parse(line)
    assert entry is not None
    _append_bytes(workspace.logs / NAME, line + b"\n")
    put(workspace.logs / HEAD, f"{entry.n} {entry.sha256}\n".encode())
    return entry


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        line = json.dumps(fields, ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise AuditError(f"an audit entry must be JSON: {error}") from None
    if len(line) > LINE_BYTES - 200:  # room for n and prev
        raise AuditError(f"an audit entry has {len(line)} bytes: give a digest of what is long")
    return line


def _append_bytes(path: Path, content: bytes) -> None:
    is_new = not path.exists()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)  # a full disk takes a part of a line: that was never an entry
            raise
    finally:
        os.close(descriptor)
    if is_new:
        fsync_folder(path.parent)


def _rotate(workspace: Workspace) -> None:
    current = workspace.logs / NAME
    if not current.exists() or current.stat().st_size < FILE_BYTES:
        return
    with open_regular(current) as descriptor:
        first = parse(os.pread(descriptor, LINE_BYTES, 0).partition(b"\n")[0])
    if first is None:
        return  # it begins with a torn line: without a number it is left to grow
    current.rename(workspace.logs / f"audit-{first.n:012}.jsonl")
    fsync_folder(workspace.logs)
