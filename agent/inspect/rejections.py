"""What was refused since a moment, with why: a task that never became one is in no result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spool.files import read_regular
from spool.task import parse_time
from spool.view import rejected

if TYPE_CHECKING:
    from spool.view import RejectedFile
    from spool.workspace import Workspace

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused file, what was wrong with it, and what to do."""

    name: str
    path: str
    what: str
    remedy: str
    rejected_at: datetime


def rejections(workspace: Workspace, since: datetime, until: datetime) -> list[Rejection]:
    """Return what was refused between two moments, the first refused first."""
    found = [one for file in rejected(workspace) if (one := _of(file)) is not None]
    return sorted(
        (one for one in found if since <= one.rejected_at <= until),
        key=lambda one: (one.rejected_at, one.name),
    )


def _of(file: RejectedFile) -> Rejection | None:
    """Return it as its explanation says; None when it was removed meanwhile."""
    try:
        changed_at = datetime.fromtimestamp(file.explanation.lstat().st_mtime, UTC)
        said = _object(read_regular(file.explanation, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"{file.explanation.name} cannot be read ({error.strerror or error})"
        return Rejection(file.name, str(file.path), what, "look at the file itself", changed_at)
    return Rejection(
        file.name,
        str(file.path),
        _text(said, "what") or f"{file.explanation.name} does not say why",
        _text(said, "remedy"),
        _moment(_text(said, "rejected_at")) or changed_at,
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _moment(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
