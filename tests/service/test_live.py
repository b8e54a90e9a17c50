"""An index that is kept fresh: who waits hears of a change, in a thread or a coroutine."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from agent.service import live as live_module
from agent.service.index import Index, Query
from agent.service.live import Live
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from service_tasks import Maker

    from agent.service.places import Desk

PATIENCE_S = 30.0


@pytest.fixture
def index(desk: Desk) -> Iterator[Index]:
    index = Index(desk)
    yield index
    index.close()


@pytest.fixture
def live(index: Index) -> Iterator[Live]:
    live = Live(index)
    live.start()
    yield live
    live.stop()


def until(live: Live, wanted: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    revision = 0
    while not wanted():
        left_s = give_up_s - time.monotonic()
        assert left_s > 0, "it was never seen"
        revision = live.wait(revision, left_s)


def test_every_kind_of_change_is_seen(index: Index, live: Live, make: Maker) -> None:
    """A drop, a state, an end, another run of the same name, a removal."""

    def states() -> list[str]:
        return [row["state"] for row in index.query(Query()).rows]

    path = make.waiting("t")
    until(live, lambda: states() == ["queued"])
    path.unlink()
    folder = make.session("t")
    until(live, lambda: states() == ["running"])
    make.status("t", State.WAITING_INPUT)
    until(live, lambda: states() == ["waiting_input"])
    make.result("t")
    shutil.rmtree(folder)
    until(live, lambda: states() == ["succeeded"])
    (make.workspace.results / "t").rename(make.workspace.results / ".t.gone")
    make.result("t", State.FAILED)
    until(live, lambda: states() == ["failed"])
    shutil.rmtree(make.workspace.results / "t")
    until(live, lambda: states() == [])


def test_coroutines_wait_together(index: Index, live: Live, make: Maker) -> None:
    """All hear of one change; one that waits too long gets the revision that it had."""

    async def scene() -> list[int]:
        revision = await live.changed(0, PATIENCE_S)
        assert await live.changed(revision, 0) == live.revision
        waiting = [asyncio.create_task(live.changed(live.revision, PATIENCE_S)) for _ in range(5)]
        await asyncio.sleep(0)
        make.waiting("t")
        return await asyncio.gather(*waiting)

    assert min(asyncio.run(scene())) > 0
    until(live, lambda: index.query(Query()).total == 1)


def test_who_waits_is_let_go_at_the_end(index: Index) -> None:
    """A server that stops leaves nobody waiting."""
    live = Live(index)
    live.start()

    async def scene() -> None:
        await live.changed(0, PATIENCE_S)
        waiting = asyncio.create_task(live.changed(live.revision))
        await asyncio.sleep(0)
        await asyncio.to_thread(live.stop)
        await asyncio.wait_for(waiting, PATIENCE_S)

    asyncio.run(scene())
    assert live.wait(live.revision) == live.revision


def test_a_workspace_that_goes_away_is_waited_for(index: Index, live: Live, make: Maker) -> None:
    """When it is back, what is in it is seen; until then nothing ends."""
    live.wait(0, PATIENCE_S)
    root = make.workspace.root
    away = root.with_name("away")
    root.rename(away)
    live.look()
    away.rename(root)
    make.waiting("t")
    until(live, lambda: index.query(Query()).total == 1)


class Counted(Index):
    """An index that knows how often it was looked at, and tells who waits for that."""

    looks = 0
    looked = threading.Condition()

    def refresh(self, *, thorough: bool = False, hints: Collection[str] = ()) -> bool:
        changed = super().refresh(thorough=thorough, hints=hints)
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        return changed

    def is_looked_at(self, more: int) -> bool:
        with self.looked:
            wanted = self.looks + more
            return self.looked.wait_for(lambda: self.looks >= wanted, PATIENCE_S)


@pytest.fixture
def unwatched(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Counted, Live]]:
    """One that nobody waits for, and that would not look again before tomorrow."""
    monkeypatch.setattr(live_module, "LINGER_S", 0.0)
    index = Counted(desk)
    live = Live(index, poll_s=0.01, unwatched_s=86_400)
    live.start()
    while not live._rests:
        time.sleep(0.01)
    yield index, live
    live.stop()
    index.close()


def deep_change(make: Maker) -> None:
    """Change what no event tells: the state of a task whose folder was there before."""
    make.status("t", State.WAITING_INPUT)


def test_it_looks_often_only_while_somebody_waits(unwatched: tuple[Counted, Live], make: Maker) -> None:
    """Who waits starts it, and hears of what no event tells."""
    index, live = unwatched
    make.session("t")
    until(live, lambda: [row["state"] for row in index.query(Query()).rows] == ["running"])
    waiting = threading.Thread(target=live.wait, args=(live.revision, PATIENCE_S))
    waiting.start()
    assert index.is_looked_at(5)
    deep_change(make)
    waiting.join()
    assert [row["state"] for row in index.query(Query()).rows] == ["waiting_input"]
    while not live._rests:
        time.sleep(0.01)


def test_who_reads_while_nobody_waits_is_shown_what_is_there(
    unwatched: tuple[Counted, Live], make: Maker
) -> None:
    """One look, and it rests again."""
    index, live = unwatched
    make.session("t")
    until(live, lambda: index.query(Query()).total == 1)
    while not live._rests:
        time.sleep(0.01)
    deep_change(make)
    while time.monotonic() - live._looked_at_s <= live._poll_s:
        time.sleep(0.01)  # a look that was just now is fresh enough
    asyncio.run(live.fresh(PATIENCE_S))
    assert [row["state"] for row in index.query(Query()).rows] == ["waiting_input"]
