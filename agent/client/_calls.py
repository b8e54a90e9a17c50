"""The requests of the API, each as a value: both clients send them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from agent.client import models
from agent.client.transport import Call, body, encoded, keyed, segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agent.client.models import SortBy


def me() -> Call[models.Me]:
    return Call("GET", "/me", models.Me)


def tasks(
    path: str,
    *,
    host: Sequence[str],
    state: Sequence[str],
    tool: Sequence[str],
    label: Sequence[str],
    group: Sequence[str],
    text: str,
    since: datetime | str | None,
    until: datetime | str | None,
    sort: SortBy,
    order: Literal["desc", "asc"],
    cursor: str | None,
    limit: int,
) -> Call[models.TaskPage]:
    query = {
        "host": list(host), "state": list(state), "tool": list(tool), "label": list(label),
        "group": list(group), "text": text or None, "since": since, "until": until, "sort": sort,
        "order": order, "cursor": cursor, "limit": limit,
    }  # fmt: skip
    return Call("GET", path, models.TaskPage, query)


def counts(host: str | None) -> Call[models.Counts]:
    return Call("GET", "/counts", models.Counts, {"host": host})


def task(task_id: str, host: str | None, wait: int) -> Call[models.TaskDetail]:
    return Call("GET", f"/tasks/{segment(task_id)}", models.TaskDetail, {"host": host, "wait_s": wait})


def result(task_id: str, host: str | None, wait: int) -> Call[models.Result]:
    return Call("GET", f"/results/{segment(task_id)}", models.Result, {"host": host, "wait_s": wait})


def submit(
    given: Mapping[str, Any] | bytes | str,
    *,
    host: str | None,
    name: str | None,
    files: Mapping[str, bytes],
    key: str | None,
) -> Call[models.Submitted]:
    query = {"host": host, "name": name}
    call = Call("POST", "/tasks", models.Submitted, query, content=encoded(given), files=files)
    return keyed(call, key)


def check(given: Mapping[str, Any] | bytes | str) -> Call[models.Checked]:
    return Call("POST", "/check", models.Checked, content=encoded(given))


def act(task_id: str, what: str, host: str | None, asked: models.Asked | None = None) -> Call[models.Said]:
    content = body(asked) if asked is not None else None
    call = Call("POST", f"/tasks/{segment(task_id)}/{what}", models.Said, {"host": host}, content=content)
    # to answer twice is not to answer once; all others may be said again
    return replace(call, safe=what != "answer")


def edit(task_id: str, given: bytes, etag: str, host: str | None) -> Call[models.Said]:
    path = f"/tasks/{segment(task_id)}/source"
    headers = {"If-Match": etag}
    return Call("PUT", path, models.Said, {"host": host}, headers, encoded(given), safe=False)


def pause(what: str, tool: str | None, group: str | None, host: str | None) -> Call[models.Said]:
    return Call(
        "POST", f"/{what}", models.Said, content=body(models.Pause(tool=tool, group=group, host=host))
    )


def files(task_id: str, host: str | None) -> Call[models.FileList]:
    return Call("GET", f"/tasks/{segment(task_id)}/files", models.FileList, {"host": host})


def rejected(host: str | None, cursor: str | None, limit: int) -> Call[models.RejectedPage]:
    query = {"host": host, "cursor": cursor, "limit": limit}
    return Call("GET", "/rejected", models.RejectedPage, query)


def hosts() -> Call[models.HostList]:
    return Call("GET", "/hosts", models.HostList)


def fleet_log(host: Sequence[str], text: str, limit: int) -> Call[models.FleetLog]:
    query = {"host": list(host), "text": text or None, "limit": limit}
    return Call("GET", "/fleet/logs", models.FleetLog, query)


def ask(question: models.Question, key: str | None) -> Call[models.Submitted]:
    return keyed(Call("POST", "/collab/runs", models.Submitted, content=body(question)), key)


def runs(text: str, cursor: str | None, limit: int) -> Call[models.RunPage]:
    return Call(
        "GET", "/collab/runs", models.RunPage, {"text": text or None, "cursor": cursor, "limit": limit}
    )


def run(task_id: str, host: str | None) -> Call[models.Run]:
    return Call("GET", f"/collab/runs/{segment(task_id)}", models.Run, {"host": host})


def commands(task_id: str, host: str | None) -> Call[models.CommandList]:
    return Call("GET", f"/collab/runs/{segment(task_id)}/commands", models.CommandList, {"host": host})


def speak(task_id: str, number: int, sha256: str, host: str | None, word: str) -> Call[models.Said]:
    path = f"/collab/runs/{segment(task_id)}/commands/{number}/{word}"
    content = body(models.Word(sha256=sha256))
    return Call("POST", path, models.Said, {"host": host}, content=content, safe=False)


def label(task_id: str, outcome: Literal["good", "bad", "none"], why: str) -> Call[models.Labelled]:
    content = body(models.LabelAsked(outcome=outcome, why=why))
    return Call("POST", f"/collab/runs/{segment(task_id)}/label", models.Labelled, content=content)


def explain(asked: models.Explain) -> Call[models.Explained]:
    return Call("POST", "/collab/explain", models.Explained, content=body(asked))


def memories(text: str, host: str | None, limit: int) -> Call[models.MemoryList]:
    query = {"text": text or None, "host": host, "limit": limit}
    return Call("GET", "/collab/memory", models.MemoryList, query)


def remember(asked: models.MemoryAsked) -> Call[models.Memory]:
    return Call("POST", "/collab/memory", models.Memory, content=body(asked), safe=False)


def chat(text: str, *, plain: bool, key: str | None) -> Call[models.Chatted]:
    content = body(models.ChatAsked(text=text, plain=plain))
    # a plain answer costs money each time
    return keyed(Call("POST", "/chat", models.Chatted, content=content, safe=False), key)


def metrics(since: datetime | str | None, until: datetime | str | None) -> Call[models.Metrics]:
    return Call("GET", "/metrics", models.Metrics, {"since": since, "until": until})


def audit(query: Mapping[str, Any]) -> Call[models.AuditPage]:
    return Call("GET", "/audit", models.AuditPage, query)


def verify(anchor: str | None) -> Call[models.Verdict]:
    return Call("GET", "/audit/verify", models.Verdict, {"anchor": anchor})


def usage(by: Literal["tool", "day", "label"], since: datetime | str | None) -> Call[models.Usage]:
    return Call("GET", "/usage", models.Usage, {"by": by, "since": since})


def report(since: datetime | str | None) -> Call[models.Report]:
    return Call("GET", "/report", models.Report, {"since": since})


def health() -> Call[models.Health]:
    return Call("GET", "/health", models.Health)


def doctor() -> Call[models.Doctor]:
    return Call("GET", "/doctor", models.Doctor)


def tools() -> Call[models.ToolList]:
    return Call("GET", "/tools", models.ToolList)
