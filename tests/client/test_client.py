"""The client against a server on a port of its own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from agent.client import (
    AsyncClient,
    Client,
    ClientError,
    ConflictError,
    DeniedError,
    NotFoundError,
    UnreachableError,
)
from spool.records import State
from spool.view import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spool.workspace import Workspace

TASK = {"tool": "shell", "command": "echo hello $1", "parameters": {"args": ["world"]}}


@pytest.fixture
def client(served: str, token: Callable[..., str]) -> Iterator[Client]:
    with Client(served, token()) as one:
        yield one


def test_a_task_is_dropped_held_edited_and_cancelled(client: Client, workspace: Workspace) -> None:
    """What the client asks for is what lies in the folder."""
    submitted = client.submit(TASK, files={"a.txt": b"input"})
    assert (workspace.tasks / submitted.name).is_file()
    brought = submitted.name.removesuffix(".json") + ".files"
    assert (workspace.tasks / brought / "a.txt").read_bytes() == b"input"
    assert client.hold(submitted.task_id).changed
    assert not client.hold(submitted.task_id).changed
    content, etag = client.source(submitted.task_id)
    client.edit(submitted.task_id, content.replace(b"hello", b"good morning"), etag)
    assert b"good morning" in (workspace.held / submitted.name).read_bytes()
    with pytest.raises(ConflictError, match="get it again"):
        client.edit(submitted.task_id, content, etag)
    client.release(submitted.task_id)
    client.cancel(submitted.task_id)
    detail = client.wait(submitted.task_id, timeout_s=20)
    assert detail.state is State.CANCELLED
    assert client.result(submitted.task_id).state is State.CANCELLED


def test_every_list_and_figure_is_understood(client: Client) -> None:
    """Each answer of an empty workspace parses as the model that the client promises."""
    assert client.me().name.startswith("token:")
    for answer in (
        client.tasks(), client.counts(), client.rejected(), client.hosts(), client.fleet_log(),
        client.runs(), client.memories(), client.metrics(since="7d"), client.audit(), client.verify(),
        client.usage(by="day"), client.report(since="12h"), client.health(), client.doctor(),
        client.tools(), client.explain("why is it slow?"), client.check(TASK),
    ):  # fmt: skip
        assert answer.model_dump()


def test_pages_follow_one_another(client: Client) -> None:
    ids = [client.submit(TASK).task_id for _ in range(7)]
    assert client.check(TASK).tool == "shell"
    until_s = time.monotonic() + 20
    while client.tasks().total < len(ids) and time.monotonic() < until_s:
        time.sleep(0.05)
    page = client.tasks(limit=3, sort="task_id", order="asc")
    assert len(page.tasks) == 3
    assert page.next is not None
    assert [row.task_id for row in client.all_tasks(limit=3, sort="task_id", order="asc")] == sorted(ids)


def test_memory_is_kept_found_and_forgotten(client: Client) -> None:
    kept = client.remember("nginx logs fill /var on Mondays", host="web1")
    assert [each.id for each in client.memories(text="nginx").entries] == [kept.id]
    client.forget(kept.id)
    assert client.memories().entries == ()


def test_refusals_are_exceptions_of_their_kind(
    client: Client, served: str, token: Callable[..., str]
) -> None:
    with pytest.raises(NotFoundError, match="no task nobody"):
        client.task("nobody")
    with pytest.raises(ConflictError, match="there is no tool"):
        client.submit({"tool": "nothing", "command": "x"})
    with Client(served, token("read")) as reader, pytest.raises(DeniedError, match="--scope submit"):
        reader.submit(TASK)
    with Client(served, "ais_no_token") as stranger, pytest.raises(DeniedError):
        stranger.me()


def test_an_answer_that_got_lost_makes_no_second_task(
    served: str, token: Callable[..., str], workspace: Workspace
) -> None:
    """The connection breaks after the server has dropped it: the client asks again with the same key."""

    class Lossy(httpx.HTTPTransport):
        lost = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.method == "POST" and self.lost < 2:
                self.lost += 1
                response.read()
                raise httpx.ReadError("the connection broke", request=request)
            return response

    transport = Lossy()
    with Client(served, token(), transport=transport) as client:
        submitted = client.submit(TASK)
    assert transport.lost == 2
    assert submitted.replayed
    assert len(list(waiting(workspace))) == 1


def test_what_is_not_there_is_told(token: Callable[..., str]) -> None:
    with Client("http://127.0.0.1:9", token(), retries=1) as client, pytest.raises(UnreachableError):
        client.me()


def test_another_server_is_told_from_ours(token: Callable[..., str]) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, text="<html>hello"))
    with Client("http://127.0.0.1", token(), transport=transport) as client, pytest.raises(ClientError):
        client.me()


def test_the_asynchronous_client_does_the_same(served: str, token: Callable[..., str]) -> None:
    async def work() -> None:
        async with AsyncClient(served, token()) as client:
            one, other = await asyncio.gather(client.submit(TASK), client.submit(TASK))
            assert one.task_id != other.task_id
            await client.cancel(one.task_id)
            found = await client.wait(one.task_id, timeout_s=20)
            assert found.state is State.CANCELLED
            assert [part async for part in client.log(one.task_id)] == []
            until_s = time.monotonic() + 20
            cancelled = 0
            while cancelled != 1 and time.monotonic() < until_s:
                await asyncio.sleep(0.05)
                cancelled = (await client.counts()).states.get("cancelled", 0)
            listed = {row.task_id async for row in client.all_tasks(limit=1)}
            assert listed == {one.task_id, other.task_id}

    asyncio.run(work())
