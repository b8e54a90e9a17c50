"""Ids in the order of a number, where any of them may be taken out again.

A binary heap in which entries that were replaced or taken out stay behind, are stepped over, and are swept
away once they are half of it. Reading in order changes nothing and looks at no more than what is read: it
walks the heap from its top, with the entries next to be considered in a small heap of their own
(Frederickson 1993).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWEEP_BEYOND = 64


class KeyedHeap:
    """Ids by ascending key, equal keys by id."""

    __slots__ = ("_entries", "_keys")

    def __init__(self) -> None:
        self._entries: list[tuple[float, str]] = []
        self._keys: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, item: str) -> bool:
        return item in self._keys

    def add(self, item: str, key: float) -> None:
        """Put ``item`` at ``key``, wherever it was before."""
        if self._keys.get(item) == key:
            return
        self._keys[item] = key
        heapq.heappush(self._entries, (key, item))
        self._sweep()

    def discard(self, item: str) -> None:
        """Take ``item`` out if it is there."""
        if self._keys.pop(item, None) is not None:
            self._sweep()

    def first_key(self) -> float | None:
        """The smallest key."""
        self._drop_stale_top()
        return self._entries[0][0] if self._entries else None

    def pop_until(self, key: float) -> Iterator[str]:
        """Take out every id whose key is at most ``key``."""
        while (first := self.first_key()) is not None and first <= key:
            _, item = heapq.heappop(self._entries)
            del self._keys[item]
            yield item

    def in_order(self) -> Iterator[tuple[float, str]]:
        """Every key and id, smallest first; looks only as far as it is read."""
        self._drop_stale_top()
        entries = self._entries
        frontier = [(entries[0], 0)] if entries else []
        previous: tuple[float, str] | None = None
        while frontier:
            entry, place = heapq.heappop(frontier)
            if entry != previous and self._keys.get(entry[1]) == entry[0]:
                yield entry
            previous = entry
            for below in (2 * place + 1, 2 * place + 2):
                if below < len(entries):
                    heapq.heappush(frontier, (entries[below], below))

    def _drop_stale_top(self) -> None:
        while self._entries and self._keys.get(self._entries[0][1]) != self._entries[0][0]:
            heapq.heappop(self._entries)

    def _sweep(self) -> None:
        if len(self._entries) > 2 * len(self._keys) + _SWEEP_BEYOND:
            self._entries = [(key, item) for item, key in self._keys.items()]
            heapq.heapify(self._entries)
