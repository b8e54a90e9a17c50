"""Work that is done again and again, and no more often than its own cost allows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REST: Final = 20.0
"""So many times the processor time that it took, it rests: a twentieth of a core, however much there is."""


@dataclass(slots=True)
class Pace:
    """When the next round may begin.

    Waiting for a disk or a network costs nobody else anything: there, a round rests as long as it took.

    Args:
        now_s: monotonic seconds.
        spent_s: seconds of processor time.
    """

    now_s: Callable[[], float] = time.monotonic
    spent_s: Callable[[], float] = time.thread_time
    _cost_s: float = field(default=0.0, init=False)
    _next_s: float = field(default=float("-inf"), init=False)

    def may_begin(self) -> bool:
        """Tell whether it has rested."""
        return self.now_s() >= self._next_s

    def begins(self) -> None:
        """Count anew."""
        self._cost_s = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one part of a round, which may be its last."""
        began_s, had_spent_s = self.now_s(), self.spent_s()
        yield
        ended_s = self.now_s()
        self._cost_s += self.spent_s() - had_spent_s
        self._next_s = ended_s + max(REST * self._cost_s, ended_s - began_s)
