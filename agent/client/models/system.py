"""Hosts, figures, the audit log, and how this machine is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from agent.client.models.base import Answer, Moment

Scope = Literal["read", "submit", "operate", "approve"]


class Me(Answer):
    """Who the server takes the caller for, and which version it is.

    Args:
        csrf: what the header X-CSRF-Token must hold when a session's cookie is used; null for a token.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "name": "token:laptop",
                    "scopes": ["read", "submit"],
                    "csrf": None,
                    "version": "0.1.0",
                    "workspace": "/home/ada/ai-workspace",
                }
            ]
        },
    )

    name: str
    scopes: tuple[Scope, ...]
    csrf: str | None
    version: str
    workspace: str


class Host(Answer):
    """One host, as last seen; the server's own has host null.

    Args:
        reachable: null when it was never reached.
        trouble: one line; null when there is none.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "host": None,
                    "name": "laptop",
                    "address": None,
                    "reachable": True,
                    "last_seen_at": "2026-11-22T07:00:00.000Z",
                    "agents": [],
                    "agent_version": "0.1.0",
                    "slots": 2,
                    "slots_used": 1,
                    "load_1m": 0.4,
                    "disk_free_bytes": 91268055040,
                    "disk_total_bytes": 270553174016,
                    "waiting": 3,
                    "running": 1,
                    "waiting_for_a_person": 0,
                    "paused": [],
                    "trouble": None,
                }
            ]
        },
    )

    host: str | None
    name: str
    address: str | None
    reachable: bool | None
    last_seen_at: Moment | None
    agents: tuple[dict[str, Any], ...]
    agent_version: str | None
    slots: int | None
    slots_used: int | None
    load_1m: float | None
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    waiting: int
    running: int
    waiting_for_a_person: int
    paused: tuple[str, ...]
    trouble: str | None


class HostList(Answer):
    """All hosts, the server's own first."""

    hosts: tuple[Host, ...]


class FleetLogLine(Answer):
    """One line of a host's log."""

    host: str
    log: str
    text: str


class FleetLog(Answer):
    """The collected logs of all hosts as one, merged by time."""

    lines: tuple[FleetLogLine, ...]


class Metrics(Answer):
    """Figures of a span, by hour or day.

    Args:
        buckets: begins, runs, mean consensus, coverage and confidence, attempts, tokens, money, and by role
            and provider: calls, success rate, response times, errors.
        players: role and provider → what they did in all.
        calibration, curve: how well the scores foretold the outcomes that were labelled.
    """

    since: Moment
    until: Moment
    bucket: Literal["hour", "day"]
    buckets: tuple[dict[str, Any], ...]
    total: dict[str, Any]
    players: tuple[dict[str, Any], ...]
    calibration: dict[str, Any]
    curve: dict[str, Any]


class AuditEntry(Answer):
    """One entry; `sha256` is that of its line."""

    n: int
    at: Moment
    event: str
    who: str
    task_id: str | None
    sha256: str
    details: dict[str, Any]


class AuditPage(Answer):
    """Entries, the latest first; `events` and `who` are what there is to choose from."""

    entries: tuple[AuditEntry, ...]
    next: str | None
    total: int
    events: tuple[str, ...]
    who: tuple[str, ...]


class Verdict(Answer):
    """Whether the chain of the audit log holds; `last` is the anchor to keep elsewhere."""

    ok: bool
    bad: str | None
    notes: tuple[str, ...]
    entries: int
    last: dict[str, Any] | None
    broken_at: dict[str, Any] | None


class Usage(Answer):
    """Tokens and money, by tool, day or label, and what is left of the day's budgets."""

    by: Literal["tool", "day", "label"]
    since: Moment | None
    until: Moment
    parts: tuple[dict[str, Any], ...]
    total: dict[str, Any]
    budgets: tuple[dict[str, Any], ...]


class Report(Answer):
    """What was done since a moment: by host, what was refused, what waits."""

    since: Moment
    until: Moment
    failed: int
    hosts: tuple[dict[str, Any], ...]
    rejected: tuple[dict[str, Any], ...]
    waiting: dict[str, int]
    waiting_for_a_person: tuple[str, ...]


class Health(Answer):
    """How the server's machine is."""

    ok: bool
    problems: tuple[str, ...]
    host: str
    checked_at: str
    agents: tuple[dict[str, Any], ...]
    sessions: tuple[dict[str, Any], ...]
    queue: dict[str, int]
    paused: tuple[str, ...]
    rejected: int
    disk: dict[str, Any]


class Finding(Answer):
    """One thing that was checked; `grade` is ok, note or problem."""

    check: str
    grade: str
    what: str
    remedy: str


class Doctor(Answer):
    """What is wrong with the server's machine, and what to do about each finding."""

    ok: bool
    findings: tuple[Finding, ...]


class Tool(Answer):
    """A tool that tasks can name; `ready`: it is installed and has what it needs."""

    name: str
    about: str
    ready: bool
    executable: str | None
    version: str | None
    slots: int | None
    problems: tuple[dict[str, Any], ...]
    commands: tuple[str, ...]
    definition: dict[str, Any]


class ToolList(Answer):
    """All tools of the registry."""

    tools: tuple[Tool, ...]


class Cleaned(Answer):
    """What was removed: results and logs that retention no longer keeps, and leftovers of uploads."""

    pruned: dict[str, Any]
    temporary: tuple[str, ...]
    rejected: tuple[str, ...]
