"""An index that is kept fresh: who waits hears of a change, in a thread or a coroutine."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from agent.service.index import Index, Query
from agent.service.live import Live
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
