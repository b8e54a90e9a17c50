"""Cycles among tasks that wait for each other.

The strongly connected components (Tarjan 1972, without recursion, because a chain of tasks may be longer
than Python's stack) are what can never start; the shortest cycle through each member is what a person needs
to see. Linear in the part of the graph that the starting points reach. Neither the order of the starting
points nor that of the edges changes the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

Edges = Callable[[str], Iterable[str]]


def cycles(starts: Iterable[str], edges: Edges) -> dict[str, tuple[str, ...]]:
    """Every id on a cycle that ``starts`` reach, with a shortest cycle through it, smallest id first."""
    found: dict[str, tuple[str, ...]] = {}
    for component in _components(starts, edges):
        inside = {
            member: dict.fromkeys(sorted(component.intersection(edges(member)))) for member in component
        }
        for member in sorted(component):
            if member in found or not inside[member]:
                continue
            cycle = _shortest_cycle(member, inside)
            for other in cycle:
                found.setdefault(other, cycle)
    return found


def _shortest_cycle(start: str, edges: dict[str, dict[str, None]]) -> tuple[str, ...]:
    """The way from ``start`` back to itself inside one component, turned to begin with the smallest id."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    node = start
    while waiting:
        node = waiting.popleft()
        if start in edges[node]:
            break
        for successor in edges[node]:
            if successor not in came_from:
                came_from[successor] = node
                waiting.append(successor)
    path = [node]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    path.reverse()
    first = path.index(min(path))
    return tuple(path[first:] + path[:first])


def _components(starts: Iterable[str], edges: Edges) -> Iterator[set[str]]:
    """The strongly connected components that can be reached, those of a single id included."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_ids: list[str] = []
    is_open: set[str] = set()
    for start in starts:
        if start in number:
            continue
        calls: list[tuple[str, Iterator[str]]] = []
        _enter(start, number, low, open_ids, is_open)
        calls.append((start, iter(edges(start))))
        while calls:
            node, successors = calls[-1]
            for successor in successors:
                if successor not in number:
                    _enter(successor, number, low, open_ids, is_open)
                    calls.append((successor, iter(edges(successor))))
                    break
                if successor in is_open:
                    low[node] = min(low[node], number[successor])
            else:
                calls.pop()
                if calls:
                    caller = calls[-1][0]
                    low[caller] = min(low[caller], low[node])
                if low[node] == number[node]:
                    yield _close(node, open_ids, is_open)


def _enter(
    node: str, number: dict[str, int], low: dict[str, int], open_ids: list[str], is_open: set[str]
) -> None:
    number[node] = low[node] = len(number)
    open_ids.append(node)
    is_open.add(node)


def _close(root: str, open_ids: list[str], is_open: set[str]) -> set[str]:
    component: set[str] = set()
    while root not in component:
        component.add(open_ids.pop())
    is_open -= component
    return component
