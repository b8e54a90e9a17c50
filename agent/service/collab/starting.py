"""Starting a run: a task of the tool `collab`, dropped like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from agent.collab.records import TaskType
from agent.collab.roles import load
from agent.collab.rules import type_of
from agent.config import host_name
from agent.service.errors import ServiceError
from spool.submit import encode

if TYPE_CHECKING:
    from agent.service.actions import Submitted
    from agent.service.places import Desk
    from spool.workspace import Workspace

REVIEW: Final = "review"
TYPES: Final = tuple(kind for kind in get_args(TaskType) if kind != REVIEW)
"""Kinds of question; one more, `review`, is about another task's result."""
STEM: Final = "collab"


def fields_of(
    workspace: Workspace,
    question: str,
    *,
    by: str,
    kind: str | None = None,
    domain: str | None = None,
    host: str | None = None,
    of: str | None = None,
    language: str | None = None,
    rule: str | None = None,
    task_id: str | None = None,
    read_only: bool = False,
) -> dict[str, Any]:
    """Return the task that asks a question; what the run would only find out later is said now.

    Args:
        workspace: that runs it.
        question: in the person's words.
        by: who asks, for the task and the audit.
        kind: one of `TYPES`; None: its words tell.
        domain: a field of roles.toml.
        host: that the question is about.
        of: the id of a task whose result is reviewed; its kind is then `review`.
        language: of the answer, two letters; None: the question's.
        rule: that handed it over; None when it was asked for.
        task_id: None: it gets one.
        read_only: run nothing that is proposed.

    Raises:
        ServiceError: there is no question, kind, domain or host of this name.
        ConfigError: roles.toml cannot be used.
    """
    if not question.strip() and of is None:
        raise ServiceError("invalid", "there is no question: write one", field="question")
    kind = _kind(workspace, question, kind, of)
    check_names(workspace, domain, host)
    given = {
        "prompt": question,
        "domain": domain,
        "host": host,
        "of": of,
        "language": language,
        "rule": rule,
    }
    fields: dict[str, Any] = {
        "tool": "collab",
        "command": kind,
        "parameters": {name: value for name, value in given.items() if value is not None},
        "submitted_by": by,
    }
    if task_id is not None:
        fields["task_id"] = task_id
    if read_only:
        fields["approval"] = "read-only"
    return fields


def start(desk: Desk, question: str, *, by: str, key: str | None = None, **asked: Any) -> Submitted:
    """Drop the task that asks a question; the answer's `task_id` is the run's.

    Args:
        desk: whose own workspace runs it.
        question: in the person's words.
        by: who asks.
        key: an idempotency key, as `agent.service.actions.submit` has it.
        asked: the options of `fields_of`.

    Raises:
        ServiceError: it cannot be accepted.
        ConfigError: roles.toml cannot be used.
    """
    from agent.service.actions import submit  # noqa: PLC0415 - explaining needs none of it

    fields = fields_of(desk.workspace, question, by=by, **asked)
    return submit(desk, encode(fields), name=STEM, key=key, by=by)


def check_names(workspace: Workspace, domain: str | None, host: str | None) -> None:
    """Say at once what the run would only find out later.

    Raises:
        ServiceError: there is no such domain or host.
        ConfigError: roles.toml cannot be used.
    """
    domains = load(workspace).domains
    if domain is not None and domain not in domains:
        raise ServiceError(
            "invalid",
            f"there is no domain {domain!r}: use {', '.join(sorted(domains))}, or add it to roles.toml",
            field="domain",
        )
    if host is not None and host not in hosts(workspace):
        raise ServiceError(
            "invalid",
            f"there is no host {host!r} here: `aispool fleet add` makes one known, `fleet list` shows them",
            field="host",
        )


def hosts(workspace: Workspace) -> list[str]:
    """Return the hosts that a question may be about, this one first."""
    fleet = workspace.root / "fleet"
    found = sorted(path.parent.name for path in fleet.glob("[!.]*/tasks") if path.is_dir())
    return [host_name(), *(name for name in found if name not in {host_name(), "any"})]


def domains(workspace: Workspace) -> dict[str, str]:
    """Return the fields of roles.toml: name → what it is about.

    Raises:
        ConfigError: roles.toml cannot be used.
    """
    return {name: domain.about for name, domain in load(workspace).domains.items()}


def _kind(workspace: Workspace, question: str, kind: str | None, of: str | None) -> str:
    if of is not None:
        if kind not in {None, REVIEW}:
            raise ServiceError(
                "invalid", "a review has no other kind: leave one of the two out", field="kind"
            )
        return REVIEW
    if kind is not None and kind not in TYPES:
        raise ServiceError(
            "invalid", f"there is no kind of question {kind!r}: use {', '.join(TYPES)}", field="kind"
        )
    return kind or type_of(question, load(workspace))
