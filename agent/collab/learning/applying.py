"""Changing configs/roles.toml, and changing it back.

collab/tune/NNNN/ is written before the file is: `before.toml` as it was (missing when there was none), and
`tuned.json` with the proposals and the digests. So a change that was killed half-way is undone like any
other. Comments and layout of the file stay (tomlkit).
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from agent import audit
from agent.collab.roles import ROLES_FILE, builtin, checked
from agent.config import MAX_FILE_BYTES, ConfigError, merged
from spool.files import make_folder, move, put, put_new, read_regular, remove
from spool.names import new_ulid
from spool.records import SCHEMA_VERSION, Record, Utc, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.collab.learning.proposing import Proposal
    from spool.workspace import Workspace

BEFORE: Final = "before.toml"
TUNED: Final = "tuned.json"
UNDONE: Final = "undone"


class TuneError(Exception):
    """roles.toml cannot be changed, or changed back; the message says what to do."""


class Tuned(Record):
    """tuned.json: what was changed.

    Args:
        before_sha256: of the file before; None when there was none.
    """

    schema_version: int = SCHEMA_VERSION
    who: str
    at: Utc
    names: tuple[str, ...]
    proposals: tuple[dict[str, Any], ...]
    before_sha256: str | None
    after_sha256: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A change of roles.toml, done or undone."""

    folder: Path
    names: tuple[str, ...]


def apply(
    workspace: Workspace, chosen: Sequence[Proposal], *, who: str, now: datetime | None = None
) -> Applied:
    """Write proposals into roles.toml.

    Raises:
        TuneError: tomlkit is not installed, or the file would be refused afterwards.
        OSError: it cannot be written.
    """
    with _alone(workspace):
        return _apply(workspace, chosen, who, now or utc_now())


def _apply(workspace: Workspace, chosen: Sequence[Proposal], who: str, now: datetime) -> Applied:
    file = workspace.configs / ROLES_FILE
    before = _read(file)
    after = _edited(before or b"", chosen)
    try:
        checked(file, merged(builtin(), tomllib.loads(after.decode())))
    except ConfigError as error:
        raise TuneError(
            f"roles.toml was left as it is: with the change it would be refused: {error}"
        ) from None
    names = tuple(each.name for each in chosen)
    tuned = Tuned(
        who=who,
        at=now,
        names=names,
        proposals=tuple(each.document() for each in chosen),
        before_sha256=None if before is None else _sha256(before),
        after_sha256=_sha256(after),
    )
    folder = _keep(workspace, tuned, before)
    put(file, after)
    audit.append(workspace, "tuned", who=who, kept=folder.name, changes=list(tuned.proposals))
    return Applied(folder, names)


def undo(workspace: Workspace, *, who: str) -> Applied:
    """Bring roles.toml back to what it was before the last change that is not undone yet.

    Raises:
        TuneError: there is none, or somebody else changed the file since.
        OSError: it cannot be written.
    """
    with _alone(workspace):
        return _undo(workspace, who)


def _undo(workspace: Workspace, who: str) -> Applied:
    file = workspace.configs / ROLES_FILE
    folder = next((each for each in reversed(_kept(workspace)) if not (each / UNDONE).exists()), None)
    tuned = Tuned.read(folder / TUNED) if folder is not None else None
    if folder is None or tuned is None:
        raise TuneError("there is nothing to undo: roles.toml was never tuned, or all of it was undone")
    current = _read(file)
    now_sha256 = None if current is None else _sha256(current)
    if now_sha256 == tuned.after_sha256:
        if tuned.before_sha256 is None:
            remove(file)
        else:
            put(file, read_regular(folder / BEFORE, MAX_FILE_BYTES))
    elif now_sha256 != tuned.before_sha256:
        raise TuneError(
            f"{file} was changed after it was tuned, and is left as it is: take what you want from "
            f"{folder / BEFORE}, or from {folder / TUNED}, then `touch {folder / UNDONE}`"
        )
    put(folder / UNDONE, json.dumps({"who": who}).encode())
    audit.append(workspace, "untuned", who=who, kept=folder.name, changes=list(tuned.names))
    return Applied(folder, tuned.names)


def _place(workspace: Workspace) -> Path:
    return workspace.root / "collab" / "tune"


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    make_folder(_place(workspace))
    with FileLock(_place(workspace) / ".lock", mode=0o600, fallback_to_soft=False):
        yield


def _kept(workspace: Workspace) -> list[Path]:
    try:
        names = os.listdir(_place(workspace))
    except FileNotFoundError:
        return []
    return [_place(workspace) / name for name in sorted(names) if name.isdecimal()]


def _keep(workspace: Workspace, tuned: Tuned, before: bytes | None) -> Path:
    making = _place(workspace) / f".{new_ulid()}"
    make_folder(making)
    if before is not None:
        put_new(making / BEFORE, before)
    tuned.write(making / TUNED)
    kept = _kept(workspace)
    number = int(kept[-1].name) + 1 if kept else 1
    target = _place(workspace) / f"{number:04}"
    move(making, target)
    return target


def _read(file: Path) -> bytes | None:
    try:
        return read_regular(file, MAX_FILE_BYTES)
    except FileNotFoundError:
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _edited(content: bytes, chosen: Sequence[Proposal]) -> bytes:
    try:
        import tomlkit  # noqa: PLC0415 - of the extra `collab`, and only for this
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415
    except ImportError:
        raise TuneError(
            "changing roles.toml needs tomlkit: pip install 'aispool[collab]', or make the change by hand"
        ) from None
    try:
        document = tomlkit.parse(content.decode())
        for each in chosen:
            for path, value in each.changes().items():
                table: Any = document
                for name in path[:-1]:
                    if name not in table:
                        table[name] = tomlkit.table(is_super_table=name in {"roles", "domains"})
                    table = table[name]
                table[path[-1]] = value
        return tomlkit.dumps(document).encode()
    except (TOMLKitError, UnicodeDecodeError, TypeError) as error:
        raise TuneError(
            f"roles.toml cannot be changed: {error}: mend it, or make the change by hand"
        ) from None
