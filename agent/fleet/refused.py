"""What of a host was not believed, for its state.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.sanitize import one_line

MOST_TOLD: Final = 20


@dataclass(slots=True)
class Refused:
    """What of a host's files was not believed: the first few by name, and how many."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, what: str, why: str) -> None:
        """Note one."""
        self.count += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(one_line(f"{what[:300]}: {why}"))
