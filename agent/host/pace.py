"""Work that is done again and again, and no more often than its own cost allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REST: Final = 20.0
"""So many times as long as it took, it rests: a twentieth of a core, however much there is."""


@dataclass(slots=True)
class Pace:
    """When the next round may begin; all times are on the monotonic clock, in seconds."""

    _spent_s: float = 0.0
    _next_s: float = float("-inf")

    def may_begin(self, now_s: float) -> bool:
        """Tell whether it has rested."""
        return now_s >= self._next_s

    def took(self, began_s: float, ended_s: float) -> None:
        """Count one part of a round, which may be its last."""
        self._spent_s += ended_s - began_s
        self._next_s = ended_s + REST * self._spent_s

    def begins(self) -> None:
        """Count anew."""
        self._spent_s = 0.0
