"""The client for asyncio: the same methods as `agent.client.sync`, which a test compares."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from agent.client import _calls as calls
from agent.client import models
from agent.client.errors import UnreachableError
from agent.client.transport import (
    PREFIX,
    RETRIES,
    TIMEOUT_S,
    Events,
    check,
    is_worth_repeating,
    segment,
    understood,
    unreachable,
    wait_s,
)
from spool.records import OVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from agent.client.models import SortBy
    from agent.client.transport import Call, Event, Model

LONG_POLL_S = 30


class AsyncClient:
    """One server.

    Args:
        base_url: as `aispool serve` prints it.
        token: as `aispool token create` printed it.
        timeout_s: of one request.
        retries: so many times more a request is sent whose answer did not come.
        verify: False, or a file of certificates, as httpx has it.
        transport: instead of the network.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        verify: bool | str = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.retries = retries
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            verify=verify,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def me(self) -> models.Me:
        """Return whom the server takes us for."""
        return await self._send(calls.me())

    async def tasks(
        self,
        *,
        host: Sequence[str] = (),
        state: Sequence[str] = (),
        tool: Sequence[str] = (),
        label: Sequence[str] = (),
        group: Sequence[str] = (),
        text: str = "",
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        sort: SortBy = "changed_at",
        order: Literal["desc", "asc"] = "desc",
        cursor: str | None = None,
        limit: int = 50,
    ) -> models.TaskPage:
        """Return a part of the list of tasks; give its `next` as `cursor` for what follows."""
        return await self._send(
            calls.tasks(
                "/tasks", host=host, state=state, tool=tool, label=label, group=group, text=text,
                since=since, until=until, sort=sort, order=order, cursor=cursor, limit=limit,
            )
        )  # fmt: skip

    async def all_tasks(self, **asked: Any) -> AsyncIterator[models.TaskRow]:
        """Yield the tasks of all pages; the parameters are those of `tasks`."""
        while True:
            page = await self.tasks(**asked)
            for row in page.tasks:
                yield row
            if page.next is None:
                return
            asked["cursor"] = page.next

    async def counts(self, host: str | None = None) -> models.Counts:
        """Return how many tasks stand in each state."""
        return await self._send(calls.counts(host))

    async def task(self, task_id: str, *, host: str | None = None) -> models.TaskDetail:
        """Return all that is known of one task."""
        return await self._send(calls.task(task_id, host, 0))

    async def wait(
        self, task_id: str, *, host: str | None = None, timeout_s: float | None = None
    ) -> models.TaskDetail:
        """Return a task as soon as it is over.

        Raises:
            TimeoutError: it goes on.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = LONG_POLL_S if until is None else until - time.monotonic()
            found = await self._send(calls.task(task_id, host, max(0, min(LONG_POLL_S, int(left)))))
            if found.state in OVER:
                return found
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{task_id} is {found.state}: {found.reason}")

    async def result(self, task_id: str, *, host: str | None = None) -> models.Result:
        """Return the result of a task that is over."""
        return await self._send(calls.result(task_id, host, 0))

    async def submit(
        self,
        task: Mapping[str, Any] | bytes | str,
        *,
        host: str | None = None,
        name: str | None = None,
        files: Mapping[str, bytes] | None = None,
        key: str | None = None,
    ) -> models.Submitted:
        """Drop a task, once, however often the request has to be sent.

        Args:
            task: its fields, or the task file's text.
            host: for which host; None for the server's own workspace.
            name: NAME of the NAME.json that it becomes.
            files: what travels with it.
            key: an idempotency key of yours; else each call makes one.
        """
        return await self._send(calls.submit(task, host=host, name=name, files=files or {}, key=key))

    async def check(self, task: Mapping[str, Any] | bytes | str) -> models.Checked:
        """Check a task, and drop nothing."""
        return await self._send(calls.check(task))

    async def hold(self, task_id: str, *, host: str | None = None) -> models.Said:
        """Put a waiting task on hold."""
        return await self._send(calls.act(task_id, "hold", host))

    async def release(self, task_id: str, *, host: str | None = None) -> models.Said:
        """Release a task that is on hold."""
        return await self._send(calls.act(task_id, "release", host))

    async def cancel(self, task_id: str, *, host: str | None = None) -> models.Said:
        """End a task."""
        return await self._send(calls.act(task_id, "cancel", host))

    async def retry(self, task_id: str, *, resume: bool = False, host: str | None = None) -> models.Said:
        """Run a finished task again."""
        return await self._send(calls.act(task_id, "retry", host, models.Retry(resume=resume)))

    async def answer(self, task_id: str, text: str, *, host: str | None = None) -> models.Said:
        """Answer a tool that waits for a person."""
        return await self._send(calls.act(task_id, "answer", host, models.Reply(text=text)))

    async def reassign(self, task_id: str, *, to: str = "any", force: bool = False) -> models.Said:
        """Give a task that was sent to one host to another."""
        return await self._send(calls.act(task_id, "reassign", None, models.Move(to=to, force=force)))

    async def source(self, task_id: str, *, host: str | None = None) -> tuple[bytes, str]:
        """Return the file of a task that waits, and its ETag for `edit`."""
        response = await self._get(f"/tasks/{segment(task_id)}/source", {"host": host} if host else {})
        return response.content, response.headers["ETag"]

    async def edit(self, task_id: str, task: bytes, etag: str, *, host: str | None = None) -> models.Said:
        """Replace the file of a task that waits, if it is still the one of this ETag."""
        return await self._send(calls.edit(task_id, task, etag, host))

    async def pause(
        self, *, tool: str | None = None, group: str | None = None, host: str | None = None
    ) -> models.Said:
        """Start nothing more: of a tool, of a group, or at all."""
        return await self._send(calls.pause("pause", tool, group, host))

    async def resume(
        self, *, tool: str | None = None, group: str | None = None, host: str | None = None
    ) -> models.Said:
        """Start tasks again after a pause."""
        return await self._send(calls.pause("resume", tool, group, host))

    async def files(self, task_id: str, *, host: str | None = None) -> models.FileList:
        """Return the names of a task's files."""
        return await self._send(calls.files(task_id, host))

    async def file(self, task_id: str, path: str, *, host: str | None = None) -> bytes:
        """Return one file of a task."""
        below = "/".join(segment(part) for part in path.split("/"))
        response = await self._get(f"/tasks/{segment(task_id)}/files/{below}", {"host": host} if host else {})
        return response.content

    async def log(
        self, task_id: str, *, offset: int = 0, host: str | None = None
    ) -> AsyncIterator[models.LogPart]:
        """Yield what a task prints until it is over; a broken connection is taken up where it broke."""
        async for event in self._follow(f"/tasks/{segment(task_id)}/log/stream", host, str(offset)):
            if event.name == "output":
                yield models.LogPart.model_validate_json(event.data)

    async def follow(self, task_id: str, *, host: str | None = None) -> AsyncIterator[models.Run]:
        """Yield a collaborative run at each change, until it is over."""
        async for event in self._follow(f"/collab/runs/{segment(task_id)}/stream", host, None):
            if event.name == "run":
                yield models.Run.model_validate_json(event.data)

    async def rejected(
        self, *, host: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> models.RejectedPage:
        """Return files that could not be accepted, and why."""
        return await self._send(calls.rejected(host, cursor, limit))

    async def hosts(self) -> models.HostList:
        """Return the hosts as they were when last seen."""
        return await self._send(calls.hosts())

    async def fleet_log(
        self, *, host: Sequence[str] = (), text: str = "", limit: int = 200
    ) -> models.FleetLog:
        """Return the last lines of all hosts' logs, merged by time."""
        return await self._send(calls.fleet_log(host, text, limit))

    async def ask(self, question: str, *, key: str | None = None, **asked: Any) -> models.Submitted:
        """Ask all roles; the options are the fields of `models.Question`."""
        return await self._send(calls.ask(models.Question(question=question, **asked), key))

    async def runs(self, *, text: str = "", cursor: str | None = None, limit: int = 20) -> models.RunPage:
        """Return collaborative runs, the latest first."""
        return await self._send(calls.runs(text, cursor, limit))

    async def run(self, task_id: str, *, host: str | None = None) -> models.Run:
        """Return all that is known of a run."""
        return await self._send(calls.run(task_id, host))

    async def commands(self, task_id: str, *, host: str | None = None) -> models.CommandList:
        """Return what a run proposes to do."""
        return await self._send(calls.commands(task_id, host))

    async def approve(
        self, task_id: str, number: int, sha256: str, *, host: str | None = None
    ) -> models.Said:
        """Let a proposed command run: exactly the bytes of this SHA-256."""
        return await self._send(calls.speak(task_id, number, sha256, host, "approve"))

    async def decline(
        self, task_id: str, number: int, sha256: str, *, host: str | None = None
    ) -> models.Said:
        """Refuse a proposed command."""
        return await self._send(calls.speak(task_id, number, sha256, host, "decline"))

    async def label(
        self, task_id: str, outcome: Literal["good", "bad", "none"], *, why: str = ""
    ) -> models.Labelled:
        """Say how a run turned out."""
        return await self._send(calls.label(task_id, outcome, why))

    async def explain(self, question: str, **asked: Any) -> models.Explained:
        """Return what would happen with a question; nobody is asked."""
        return await self._send(calls.explain(models.Explain(question=question, **asked)))

    async def memories(
        self, *, text: str = "", host: str | None = None, limit: int = 50
    ) -> models.MemoryList:
        """Return what runs remember."""
        return await self._send(calls.memories(text, host, limit))

    async def remember(
        self, text: str, *, host: str | None = None, domain: str | None = None
    ) -> models.Memory:
        """Keep something for later runs."""
        return await self._send(calls.remember(models.MemoryAsked(text=text, host=host, domain=domain)))

    async def forget(self, memory_id: str) -> None:
        """Forget something."""
        check(await self._http.request("DELETE", f"{PREFIX}/collab/memory/{segment(memory_id)}"))

    async def chat(self, text: str, *, plain: bool = False, key: str | None = None) -> models.Chatted:
        """Ask one model; what is complex is handed over to all roles."""
        return await self._send(calls.chat(text, plain=plain, key=key))

    async def metrics(
        self, *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> models.Metrics:
        """Return figures over time."""
        return await self._send(calls.metrics(since, until))

    async def audit(
        self,
        *,
        text: str | None = None,
        task_id: str | None = None,
        event: str | None = None,
        who: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> models.AuditPage:
        """Return entries of the audit log, the latest first."""
        query = {
            "text": text, "task_id": task_id, "event": event, "who": who, "since": since, "until": until,
            "cursor": cursor, "limit": limit,
        }  # fmt: skip
        return await self._send(calls.audit(query))

    async def verify(self, *, anchor: str | None = None) -> models.Verdict:
        """Return whether the audit log is whole."""
        return await self._send(calls.verify(anchor))

    async def usage(
        self, *, by: Literal["tool", "day", "label"] = "tool", since: datetime | str | None = None
    ) -> models.Usage:
        """Return tokens and money."""
        return await self._send(calls.usage(by, since))

    async def report(self, *, since: datetime | str | None = None) -> models.Report:
        """Return what was done."""
        return await self._send(calls.report(since))

    async def health(self) -> models.Health:
        """Return how the server's machine is."""
        return await self._send(calls.health())

    async def doctor(self) -> models.Doctor:
        """Return what is wrong with the server's machine."""
        return await self._send(calls.doctor())

    async def tools(self) -> models.ToolList:
        """Return the tools that tasks can name."""
        return await self._send(calls.tools())

    async def _send(self, call: Call[Model]) -> Model:
        """Send a request until it is answered.

        Raises:
            ProblemError: the server refused.
            UnreachableError: it did not answer.
        """
        for tries in range(self.retries + 1):
            try:
                response = await self._http.request(**call.options())
            except httpx.TransportError as error:
                again = call.safe or isinstance(error, httpx.ConnectError)
                if not again or tries == self.retries:
                    raise UnreachableError(unreachable(self._http.base_url, error)) from error
                await asyncio.sleep(wait_s(tries, None))
                continue
            if tries == self.retries or not is_worth_repeating(call, response):
                return understood(call, response)
            await asyncio.sleep(wait_s(tries, response))
        raise AssertionError

    async def _get(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        for tries in range(self.retries + 1):
            try:
                response = await self._http.get(PREFIX + path, params=dict(query))
            except httpx.TransportError as error:
                if tries == self.retries:
                    raise UnreachableError(unreachable(self._http.base_url, error)) from error
                await asyncio.sleep(wait_s(tries, None))
                continue
            check(response)
            return response
        raise AssertionError

    async def _follow(self, path: str, host: str | None, last: str | None) -> AsyncIterator[Event]:
        """Yield the events of a stream up to `over`; when it breaks, go on behind the last one."""
        failed = 0
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            query = {"host": host} if host else {}
            try:
                async with self._http.stream("GET", PREFIX + path, params=query, headers=headers) as response:
                    if not response.is_success:
                        await response.aread()
                        check(response)
                    events = Events()
                    async for line in response.aiter_lines():
                        event = events.feed(line)
                        if event is None:
                            continue
                        failed, last = 0, event.event_id or last
                        yield event
                        if event.name == "over":
                            return
            except httpx.TransportError as error:
                if failed >= self.retries:
                    raise UnreachableError(unreachable(self._http.base_url, error)) from error
            failed += 1
            await asyncio.sleep(wait_s(failed, None))
