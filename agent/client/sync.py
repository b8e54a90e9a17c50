"""The client for programs that wait for an answer."""

from __future__ import annotations

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
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from agent.client.models import SortBy
    from agent.client.transport import Call, Event, Model

LONG_POLL_S = 30


class Client:
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.retries = retries
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            verify=verify,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def me(self) -> models.Me:
        """Return whom the server takes us for."""
        return self._send(calls.me())

    def tasks(
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
        return self._send(
            calls.tasks(
                "/tasks", host=host, state=state, tool=tool, label=label, group=group, text=text,
                since=since, until=until, sort=sort, order=order, cursor=cursor, limit=limit,
            )
        )  # fmt: skip

    def all_tasks(self, **asked: Any) -> Iterator[models.TaskRow]:
        """Yield the tasks of all pages; the parameters are those of `tasks`."""
        while True:
            page = self.tasks(**asked)
            for row in page.tasks:  # noqa: UP028 - the asynchronous twin has no `yield from`
                yield row
            if page.next is None:
                return
            asked["cursor"] = page.next

    def counts(self, host: str | None = None) -> models.Counts:
        """Return how many tasks stand in each state."""
        return self._send(calls.counts(host))

    def task(self, task_id: str, *, host: str | None = None) -> models.TaskDetail:
        """Return all that is known of one task."""
        return self._send(calls.task(task_id, host, 0))

    def wait(
        self, task_id: str, *, host: str | None = None, timeout_s: float | None = None
    ) -> models.TaskDetail:
        """Return a task as soon as it is over.

        Raises:
            TimeoutError: it goes on.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = LONG_POLL_S if until is None else until - time.monotonic()
            found = self._send(calls.task(task_id, host, max(0, min(LONG_POLL_S, int(left)))))
            if found.state in OVER:
                return found
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{task_id} is {found.state}: {found.reason}")

    def result(self, task_id: str, *, host: str | None = None) -> models.Result:
        """Return the result of a task that is over."""
        return self._send(calls.result(task_id, host, 0))

    def submit(
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
        return self._send(calls.submit(task, host=host, name=name, files=files or {}, key=key))

    def check(self, task: Mapping[str, Any] | bytes | str) -> models.Checked:
        """Check a task, and drop nothing."""
        return self._send(calls.check(task))

    def hold(self, task_id: str, *, host: str | None = None) -> models.Said:
        """Put a waiting task on hold."""
        return self._send(calls.act(task_id, "hold", host))

    def release(self, task_id: str, *, host: str | None = None) -> models.Said:
        """Release a task that is on hold."""
        return self._send(calls.act(task_id, "release", host))

    def cancel(self, task_id: str, *, host: str | None = None) -> models.Said:
        """End a task."""
        return self._send(calls.act(task_id, "cancel", host))

    def retry(self, task_id: str, *, resume: bool = False, host: str | None = None) -> models.Said:
        """Run a finished task again."""
        return self._send(calls.act(task_id, "retry", host, models.Retry(resume=resume)))

    def answer(self, task_id: str, text: str, *, host: str | None = None) -> models.Said:
        """Answer a tool that waits for a person."""
        return self._send(calls.act(task_id, "answer", host, models.Reply(text=text)))

    def reassign(self, task_id: str, *, to: str = "any", force: bool = False) -> models.Said:
        """Give a task that was sent to one host to another."""
        return self._send(calls.act(task_id, "reassign", None, models.Move(to=to, force=force)))

    def source(self, task_id: str, *, host: str | None = None) -> tuple[bytes, str]:
        """Return the file of a task that waits, and its ETag for `edit`."""
        response = self._get(f"/tasks/{segment(task_id)}/source", {"host": host} if host else {})
        return response.content, response.headers["ETag"]

    def edit(self, task_id: str, task: bytes, etag: str, *, host: str | None = None) -> models.Said:
        """Replace the file of a task that waits, if it is still the one of this ETag."""
        return self._send(calls.edit(task_id, task, etag, host))

    def pause(
        self, *, tool: str | None = None, group: str | None = None, host: str | None = None
    ) -> models.Said:
        """Start nothing more: of a tool, of a group, or at all."""
        return self._send(calls.pause("pause", tool, group, host))

    def resume(
        self, *, tool: str | None = None, group: str | None = None, host: str | None = None
    ) -> models.Said:
        """Start tasks again after a pause."""
        return self._send(calls.pause("resume", tool, group, host))

    def files(self, task_id: str, *, host: str | None = None) -> models.FileList:
        """Return the names of a task's files."""
        return self._send(calls.files(task_id, host))

    def file(self, task_id: str, path: str, *, host: str | None = None) -> bytes:
        """Return one file of a task."""
        below = "/".join(segment(part) for part in path.split("/"))
        return self._get(f"/tasks/{segment(task_id)}/files/{below}", {"host": host} if host else {}).content

    def log(self, task_id: str, *, offset: int = 0, host: str | None = None) -> Iterator[models.LogPart]:
        """Yield what a task prints until it is over; a broken connection is taken up where it broke."""
        for event in self._follow(f"/tasks/{segment(task_id)}/log/stream", host, str(offset)):
            if event.name == "output":
                yield models.LogPart.model_validate_json(event.data)

    def follow(self, task_id: str, *, host: str | None = None) -> Iterator[models.Run]:
        """Yield a collaborative run at each change, until it is over."""
        for event in self._follow(f"/collab/runs/{segment(task_id)}/stream", host, None):
            if event.name == "run":
                yield models.Run.model_validate_json(event.data)

    def rejected(
        self, *, host: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> models.RejectedPage:
        """Return files that could not be accepted, and why."""
        return self._send(calls.rejected(host, cursor, limit))

    def hosts(self) -> models.HostList:
        """Return the hosts as they were when last seen."""
        return self._send(calls.hosts())

    def fleet_log(self, *, host: Sequence[str] = (), text: str = "", limit: int = 200) -> models.FleetLog:
        """Return the last lines of all hosts' logs, merged by time."""
        return self._send(calls.fleet_log(host, text, limit))

    def ask(self, question: str, *, key: str | None = None, **asked: Any) -> models.Submitted:
        """Ask all roles; the options are the fields of `models.Question`."""
        return self._send(calls.ask(models.Question(question=question, **asked), key))

    def runs(self, *, text: str = "", cursor: str | None = None, limit: int = 20) -> models.RunPage:
        """Return collaborative runs, the latest first."""
        return self._send(calls.runs(text, cursor, limit))

    def run(self, task_id: str, *, host: str | None = None) -> models.Run:
        """Return all that is known of a run."""
        return self._send(calls.run(task_id, host))

    def commands(self, task_id: str, *, host: str | None = None) -> models.CommandList:
        """Return what a run proposes to do."""
        return self._send(calls.commands(task_id, host))

    def approve(self, task_id: str, number: int, sha256: str, *, host: str | None = None) -> models.Said:
        """Let a proposed command run: exactly the bytes of this SHA-256."""
        return self._send(calls.speak(task_id, number, sha256, host, "approve"))

    def decline(self, task_id: str, number: int, sha256: str, *, host: str | None = None) -> models.Said:
        """Refuse a proposed command."""
        return self._send(calls.speak(task_id, number, sha256, host, "decline"))

    def label(
        self, task_id: str, outcome: Literal["good", "bad", "none"], *, why: str = ""
    ) -> models.Labelled:
        """Say how a run turned out."""
        return self._send(calls.label(task_id, outcome, why))

    def explain(self, question: str, **asked: Any) -> models.Explained:
        """Return what would happen with a question; nobody is asked."""
        return self._send(calls.explain(models.Explain(question=question, **asked)))

    def memories(self, *, text: str = "", host: str | None = None, limit: int = 50) -> models.MemoryList:
        """Return what runs remember."""
        return self._send(calls.memories(text, host, limit))

    def remember(self, text: str, *, host: str | None = None, domain: str | None = None) -> models.Memory:
        """Keep something for later runs."""
        return self._send(calls.remember(models.MemoryAsked(text=text, host=host, domain=domain)))

    def forget(self, memory_id: str) -> None:
        """Forget something."""
        check(self._http.request("DELETE", f"{PREFIX}/collab/memory/{segment(memory_id)}"))

    def chat(self, text: str, *, plain: bool = False, key: str | None = None) -> models.Chatted:
        """Ask one model; what is complex is handed over to all roles."""
        return self._send(calls.chat(text, plain=plain, key=key))

    def metrics(
        self, *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> models.Metrics:
        """Return figures over time."""
        return self._send(calls.metrics(since, until))

    def audit(
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
        return self._send(calls.audit(query))

    def verify(self, *, anchor: str | None = None) -> models.Verdict:
        """Return whether the audit log is whole."""
        return self._send(calls.verify(anchor))

    def usage(
        self, *, by: Literal["tool", "day", "label"] = "tool", since: datetime | str | None = None
    ) -> models.Usage:
        """Return tokens and money."""
        return self._send(calls.usage(by, since))

    def report(self, *, since: datetime | str | None = None) -> models.Report:
        """Return what was done."""
        return self._send(calls.report(since))

    def health(self) -> models.Health:
        """Return how the server's machine is."""
        return self._send(calls.health())

    def doctor(self) -> models.Doctor:
        """Return what is wrong with the server's machine."""
        return self._send(calls.doctor())

    def tools(self) -> models.ToolList:
        """Return the tools that tasks can name."""
        return self._send(calls.tools())

    def _send(self, call: Call[Model]) -> Model:
        """Send a request until it is answered.

        Raises:
            ProblemError: the server refused.
            UnreachableError: it did not answer.
        """
        for tries in range(self.retries + 1):
            try:
                response = self._http.request(**call.options())
            except httpx.TransportError as error:
                again = call.safe or isinstance(error, httpx.ConnectError)
                if not again or tries == self.retries:
                    raise UnreachableError(unreachable(self._http.base_url, error)) from error
                time.sleep(wait_s(tries, None))
                continue
            if tries == self.retries or not is_worth_repeating(call, response):
                return understood(call, response)
            time.sleep(wait_s(tries, response))
        raise AssertionError

    def _get(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        for tries in range(self.retries + 1):
            try:
                response = self._http.get(PREFIX + path, params=dict(query))
            except httpx.TransportError as error:
                if tries == self.retries:
                    raise UnreachableError(unreachable(self._http.base_url, error)) from error
                time.sleep(wait_s(tries, None))
                continue
            check(response)
            return response
        raise AssertionError

    def _follow(self, path: str, host: str | None, last: str | None) -> Iterator[Event]:
        """Yield the events of a stream up to `over`; when it breaks, go on behind the last one."""
        failed = 0
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            query = {"host": host} if host else {}
            try:
                with self._http.stream("GET", PREFIX + path, params=query, headers=headers) as response:
                    if not response.is_success:
                        response.read()
                        check(response)
                    events = Events()
                    for line in response.iter_lines():
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
            time.sleep(wait_s(failed, None))
