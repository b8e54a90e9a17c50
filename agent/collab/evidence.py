"""Evidence: what read-only commands tell of a host, files that were given, and a result under review.

    evidence/NAME.txt     as it was printed, or as it was given
    evidence/index.json   what there is, from where, and what is missing and why; written last, once

All commands of a host run in one `shell` task, `ID.facts`, each with its own time limit, their outputs being
the task's artifacts. Whoever asks again finds the task, or its result. What is evidence is data: it is
decoded for the models and otherwise left as it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.collab.children import ChildError, Patience, drop_once, spool_of, wait_for_result
from agent.collab.records import EvidenceIndex, EvidenceRecord
from spool.files import NotRegularError, TooLargeError, make_folder, put, put_new, read_regular
from spool.names import child_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.collab.roles import Roles
    from spool.workspace import Workspace

FOLDER: Final = "evidence"
INDEX: Final = "index.json"
AFTER: Final = "index-after.json"
OUTPUT_BYTES: Final = 256 << 10

SCRIPT: Final = f"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
cd /
while [ $# -ge 3 ]; do
    {{
        timeout -k 2 "$2" /bin/sh -c "$3" </dev/null 2>&1
        echo $? >"$AISPOOL_ARTIFACTS/$1.exit"
    }} | head -c {OUTPUT_BYTES} >"$AISPOOL_ARTIFACTS/$1.txt"
    shift 3
done
"""
"""Runs NAME LIMIT COMMAND for as long as there are such; a command that fails is evidence too."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run collects.

    Args:
        collab: the run's collab/ folder.
        task_id: by which the run's own tasks are named.
        own_host: this host's names.
        host: the one that the question is about; None for this one.
        wait: for a result; given how long.
    """

    workspace: Workspace
    collab: Path
    task_id: str
    own_host: str
    host: str | None
    roles: Roles
    now: Callable[[], datetime]
    wait: Callable[[float], Patience] = Patience

    @property
    def place(self) -> str:
        """The host's name."""
        return self.host or self.own_host


Piece = tuple[EvidenceRecord, bytes]


def collected(collab: Path, index: str = INDEX) -> EvidenceIndex | None:
    """Return what was collected; None while it is not complete."""
    return EvidenceIndex.read(collab / FOLDER / index)


def texts(collab: Path, index: EvidenceIndex) -> dict[str, str]:
    """Return name → content, as text."""
    folder = collab / FOLDER
    return {
        item.name: read_regular(folder / f"{item.name}.txt").decode(errors="replace") for item in index.items
    }


def collect(
    site: Site, wanted: Sequence[str], given: Sequence[Piece] = (), *, after: bool = False
) -> EvidenceIndex:
    """Collect, or return what was collected before.

    Args:
        site: where.
        wanted: names of the catalogue.
        given: what is there already: files, a result.
        after: once more, after commands were run.

    Raises:
        OSError: the disk; calling again goes on.
    """
    name = AFTER if after else INDEX
    found = collected(site.collab, name)
    if found is not None:
        return found
    make_folder(site.collab / FOLDER)
    pieces, missing = list(given), dict[str, str]()
    known = [entry for entry in dict.fromkeys(wanted) if entry in site.roles.evidence]
    missing |= {entry: "there is no such evidence in roles.toml" for entry in wanted if entry not in known}
    if known:
        facts, gone = _facts(site, known, after=after)
        pieces += facts
        missing |= gone
    for record, content in pieces:
        put(site.collab / FOLDER / f"{record.name}.txt", content)
    index = EvidenceIndex(items=tuple(record for record, _ in pieces), missing=missing)
    put_new(site.collab / FOLDER / name, index.encoded())
    return index


def _facts(site: Site, names: Sequence[str], *, after: bool) -> tuple[list[Piece], dict[str, str]]:
    """Have the commands run where they belong; what cannot be collected is named with its reason."""
    task_id = child_id(site.task_id, "facts-after" if after else "facts")
    limits = site.roles.limits
    catalogue = {name: site.roles.evidence[name] for name in names}
    args = [part for n, e in catalogue.items() for part in (n, f"{e.timeout_s:g}", e.command)]
    fields = {
        "task_id": task_id,
        "tool": "shell",
        "command": SCRIPT,
        "parameters": {"args": args},
        "priority": "high",
        "timeout": sum(e.timeout_s for e in catalogue.values()) + 30,
        "idempotent": True,
        "labels": ["collab"],
        "submitted_by": f"collab {site.task_id}",
    }
    try:
        spool = spool_of(site.workspace, site.host)
        drop_once(spool, fields)
        limit_s = limits.fleet_wait_s if site.host else limits.evidence_wait_s
        wait_for_result(spool, task_id, site.wait(limit_s))
    except (ChildError, OSError) as error:
        return [], dict.fromkeys(names, str(error))
    artifacts = spool.results / task_id / "artifacts"
    pieces, missing = [], {}
    for name, entry in catalogue.items():
        content = content_of(artifacts / f"{name}.txt")
        code = content_of(artifacts / f"{name}.exit").strip()
        if not content.strip():
            missing[name] = f"its command printed nothing (exit code {code.decode(errors='replace') or '?'})"
            continue
        stored = f"{name}.after" if after else name
        record = record_of(site, stored, content, command=entry.command, task_id=task_id)
        exit_code = int(code) if code.isdigit() else None
        pieces.append((record.model_copy(update={"exit_code": exit_code}), content))
    return pieces, missing


def record_of(
    site: Site, name: str, content: bytes, *, command: str = "", task_id: str | None = None
) -> EvidenceRecord:
    """Return what the index says of a piece that is collected now."""
    return EvidenceRecord(
        name=name,
        host=site.place,
        command=command,
        task_id=task_id,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        collected_at=site.now(),
    )


def piece(site: Site, name: str, text: str, *, command: str, task_id: str | None) -> Piece:
    """Return one more piece of evidence, such as what a command of this run printed."""
    content = text.encode(errors="replace")
    return record_of(site, name, content, command=command, task_id=task_id), content


def content_of(path: Path) -> bytes:
    """Return what a command or a task left in a file; nothing when it is not there or not readable."""
    try:
        return read_regular(path, OUTPUT_BYTES * 4)
    except (OSError, NotRegularError, TooLargeError):
        return b""


def catalogue_of(roles: Roles, given: Sequence[Piece]) -> Mapping[str, str]:
    """Return what the plan may choose from, and what is there anyhow: name → what it shows."""
    there = {record.name: f"given: {record.command}, {record.size_bytes} bytes" for record, _ in given}
    return {**there, **{name: entry.about for name, entry in roles.evidence.items()}}
