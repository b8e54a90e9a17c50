from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from agent.host.keyed_heap import KeyedHeap

items = st.sampled_from("abcdef")
keys = st.integers(0, 5).map(float)
changes = st.lists(st.tuples(items, st.none() | keys), max_size=40)


def made(steps: list[tuple[str, float | None]]) -> tuple[KeyedHeap, dict[str, float]]:
    heap, model = KeyedHeap(), {}
    for item, key in steps:
        if key is None:
            heap.discard(item)
            model.pop(item, None)
        else:
            heap.add(item, key)
            model[item] = key
    return heap, model


@given(changes, st.integers(0, 6))
def test_it_reads_in_order_as_far_as_asked(steps: list[tuple[str, float | None]], count: int) -> None:
    """After any additions, moves and removals, reading yields every id once, smallest key first."""
    heap, model = made(steps)
    expected = sorted((key, item) for item, key in model.items())
    assert list(islice(heap.in_order(), count)) == expected[:count]
    assert list(heap.in_order()) == expected
    assert heap.first_key() == (expected[0][0] if expected else None)
    assert len(heap) == len(model)


@given(changes, keys)
def test_popping_takes_out_what_is_due(steps: list[tuple[str, float | None]], until: float) -> None:
    """What is popped is what was due, each id once; the rest stays."""
    heap, model = made(steps)
    popped = list(heap.pop_until(until))
    assert popped == [
        item for key, item in sorted((key, item) for item, key in model.items()) if key <= until
    ]
    assert {item for _, item in heap.in_order()} == {item for item in model if item not in popped}
