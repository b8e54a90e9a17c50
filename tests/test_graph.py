from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.graph import cycles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

Graph = dict[str, list[str]]
graphs = st.integers(1, 8).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            f"n{node}": st.lists(st.sampled_from([f"n{other}" for other in range(size)]), max_size=3)
            for node in range(size)
        }
    )
)


def found(graph: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return cycles(graph, lambda node: graph[node])


def reaches(graph: Graph, start: str, goal: str) -> bool:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(graph[node])
    return goal in seen


def test_a_task_that_waits_for_itself_is_a_cycle() -> None:
    """The shortest cycle has one id."""
    assert found({"a": ["a"], "b": ["a"]}) == {"a": ("a",)}


def test_two_cycles_through_one_task_are_both_named() -> None:
    """Every member of a knot is named with a cycle that it is on itself."""
    assert found({"a": ["b", "c"], "b": ["a"], "c": ["a"]}) == {
        "a": ("a", "b"),
        "b": ("a", "b"),
        "c": ("a", "c"),
    }


def test_a_ring_longer_than_the_stack_is_found() -> None:
    """A hundred thousand tasks in a ring are one cycle, in order."""
    ring = {f"{node:06d}": [f"{(node + 1) % 100_000:06d}"] for node in range(100_000)}
    result = found(ring)
    assert result.keys() == ring.keys()
    assert result["000000"] == tuple(sorted(ring))
    assert len({id(cycle) for cycle in result.values()}) == 1


@given(graphs)
def test_exactly_the_ids_on_cycles_are_found(graph: Graph) -> None:
    """An id is found if and only if it reaches itself, and its cycle is a way round, smallest id first."""
    result = found(graph)
    assert result.keys() == {node for node in graph if reaches(graph, node, node)}
    for node, cycle in result.items():
        assert node in cycle
        assert cycle[0] == min(cycle)
        assert len(set(cycle)) == len(cycle)
        for here, there in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert there in graph[here]


@given(graphs, st.randoms(use_true_random=False))
def test_order_does_not_matter(graph: Graph, random: Random) -> None:
    """Neither the order of the tasks nor that of their dependencies changes what is named."""
    shuffled = list(graph)
    random.shuffle(shuffled)
    assert found(graph) == found({node: graph[node][::-1] for node in shuffled})
