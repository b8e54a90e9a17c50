"""Why something was not accepted: a value, and the file that tells it to people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spool.strictjson import Place


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong, where, and what to do about it.

    Args:
        what: the problem, in words.
        remedy: what the person does next.
        field: the task's field, dotted.
        place: line, column and byte in the file.
        final: False when later bytes may mend it, so that it is looked at again for a while.
        task_id: the id that the file asked for.
        duplicate_of: where the first file of the same id is.
    """

    what: str
    remedy: str
    field: str | None = None
    place: Place | None = None
    final: bool = True
    task_id: str | None = None
    duplicate_of: str | None = None

    def sentence(self) -> str:
        """Say it in one line."""
        place = f" (line {self.place.line}, column {self.place.column})" if self.place else ""
        return f"{self.what}{place}: {self.remedy}"

    def document(self, *, file: str, rejected_at: str, by: str, identity: dict[str, int]) -> bytes:
        """Return the content of the `.error.json` beside the refused file.

        Args:
            file: the refused file's name.
            rejected_at: UTC, ISO 8601.
            by: the agent or the client that refused it.
            identity: device and inode of the refused file, by which an interrupted refusal goes on.
        """
        body = {
            "schema_version": 1,
            "file": file,
            "what": self.what,
            "where": {"field": self.field, **(asdict(self.place) if self.place else {})},
            "remedy": self.remedy,
            "task_id": self.task_id,
            "duplicate_of": self.duplicate_of,
            "rejected_at": rejected_at,
            "rejected_by": by,
            "source": identity,
        }
        return (json.dumps(body, indent=2, ensure_ascii=True) + "\n").encode()
