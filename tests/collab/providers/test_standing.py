"""The circuit breaker and the limit per minute, alone and shared between processes."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collab.providers.base import ProviderError
from agent.collab.providers.definition import ProviderDefinition
from agent.collab.providers.standing import LONGEST_OPEN_S, Standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Now:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.s = 1e9

    def __call__(self) -> float:
        return self.s


def definition(**options: Any) -> ProviderDefinition:
    base = {"name": "p", "kind": "openai", "base_url": "https://p.example"}
    return ProviderDefinition.model_validate({**base, **options})


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def standing(tmp_path: Path, now: Now) -> Callable[..., Standing]:
    """Make one more process's view of the same provider."""
    return lambda **options: Standing(definition(**options), tmp_path / "collab" / "providers", now)


def kept_out_for_s(one: Standing) -> float:
    """Begin a call and return 0, or how long nobody may."""
    try:
        return one.begin()
    except ProviderError as error:
        return error.retry_after_s or 0.0


def fail(one: Standing, times: int) -> None:
    for _ in range(times):
        assert one.begin() == 0
        one.end("outage")


def test_it_opens_after_five_outages_in_a_row(standing: Any) -> None:
    """For everybody: another process is told, with the time that is left."""
    fail(standing(), 5)
    with pytest.raises(ProviderError, match="failed 5 times in a row: left alone for 30 s") as caught:
        standing().begin()
    assert (caught.value.kind, caught.value.retry_after_s) == ("breaker_open", 30.0)


def test_a_success_between_keeps_it_closed(standing: Any) -> None:
    """In a row means in a row; a refusal shows that somebody is there."""
    one = standing()
    for how in ("well", "other"):
        fail(one, 4)
        one.begin()
        one.end(how)
    fail(one, 4)
    assert one.begin() == 0


def test_after_a_while_one_may_try(standing: Any, now: Now) -> None:
    """And only one: the others wait for what it finds."""
    fail(standing(), 5)
    now.s += 31
    assert standing().begin() == 0
    with pytest.raises(ProviderError, match="left alone"):
        standing().begin()


def test_the_one_that_tried_well_closes_it(standing: Any, now: Now) -> None:
    """For everybody."""
    fail(standing(), 5)
    now.s += 31
    one = standing()
    one.begin()
    one.end("well")
    assert standing().begin() == 0
    assert standing().open_for_s() == 0


def test_the_one_that_tried_badly_opens_it_for_longer(standing: Any, now: Now) -> None:
    """30 s, 60 s, 120 s, and never more than ten minutes."""
    one = standing()
    fail(one, 5)
    spans = []
    for _ in range(8):
        spans.append(one.open_for_s())
        now.s += spans[-1] + 1
        fail(one, 1)
    assert spans == [30, 60, 120, 240, 480, 600, 600, 600]


def test_the_one_that_tries_and_dies_holds_nobody_up(standing: Any, now: Now) -> None:
    """Its time is limited."""
    fail(standing(), 5)
    now.s += 31
    standing().begin()
    now.s += 121
    assert standing().begin() == 0


def test_a_clock_that_is_set_back_opens_nothing_for_ever(standing: Any, now: Now) -> None:
    """A moment too far away is from before."""
    fail(standing(), 5)
    now.s -= 1e6
    assert standing().begin() == 0
    assert standing().load() == 0.25 or standing().load() == 0


def test_a_limit_per_minute_is_shared(standing: Any, now: Now) -> None:
    """Three calls by three processes; the fourth is told how long to wait."""
    for _ in range(3):
        assert standing(requests_per_minute=3).begin() == 0
        now.s += 5
    assert standing(requests_per_minute=3).begin() == 45.0
    now.s += 45
    assert standing(requests_per_minute=3).begin() == 0


def test_the_load_is_the_fuller_of_both_limits(standing: Any) -> None:
    """What runs here, and what was asked in this minute."""
    one = standing(max_parallel=2, requests_per_minute=10)
    assert one.load() == 0
    one.begin()
    assert one.load() == 0.5
    one.end("well")
    assert one.load() == 0.1


def test_a_damaged_file_is_as_good_as_none(standing: Any, tmp_path: Path) -> None:
    """It holds only what was learned lately."""
    fail(standing(), 5)
    file = tmp_path / "collab" / "providers" / "p.json"
    file.write_text("{")
    assert standing().begin() == 0
    assert '"calls"' in file.read_text()


def test_where_nothing_can_be_written_each_knows_its_own(tmp_path: Path, now: Now) -> None:
    """A folder that is a file."""
    (tmp_path / "collab").write_text("")
    one = Standing(definition(), tmp_path / "collab" / "providers", now)
    fail(one, 5)
    with pytest.raises(ProviderError):
        one.begin()


def test_processes_count_together(standing: Any) -> None:
    """Four processes, five failures each, all at once: none is lost."""
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            one = standing()
            try:
                for _ in range(5):
                    one.begin()
                    one.end("other")
            finally:
                os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    one = standing(requests_per_minute=20)
    assert one.begin() > 0


def test_threads_count_together(standing: Any) -> None:
    """The load is zero again when all are done."""
    one = standing()
    threads = [threading.Thread(target=lambda: (one.begin(), one.end("well"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.load() == 0


@given(st.lists(st.tuples(st.sampled_from(["well", "outage", "other"]), st.floats(0, 300)), max_size=60))
def test_it_never_keeps_anybody_out_for_longer_than_the_longest(events: list[tuple[Any, float]]) -> None:
    """Whatever happens, a call is possible again after ten minutes; and a success closes it."""
    now = Now()
    one = Standing(definition(), None, now)
    for how, pause_s in events:
        now.s += pause_s
        shut_for_s = kept_out_for_s(one)
        assert 0 <= shut_for_s <= LONGEST_OPEN_S
        if shut_for_s:
            continue
        one.end(how)
        if how != "outage":
            assert one.open_for_s() == 0
    now.s += LONGEST_OPEN_S
    assert one.begin() == 0
