"""What is asked: from the task to collab/question.json, written once."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final, get_args

from agent.collab.children import ChildError, spool_of
from agent.collab.language import detect
from agent.collab.records import QuestionRecord, TaskType
from agent.collab.rules import normal
from agent.collab.rules import type_of as guessed_type
from agent.config import host_name
from spool.names import is_task_id
from spool.records import DamagedError
from spool.results import read_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.collab.roles import Roles
    from spool.task import AcceptedTask
    from spool.workspace import Workspace

FILE: Final = "question.json"
REVIEW: Final = "review"
_REVIEW: Final = {
    "en": "Review the result of the task {of}: does it do what was asked, is it right, can it be used?",
    "es": "Revisa el resultado de la tarea {of}: ¿hace lo que se pidió, es correcto, se puede usar?",
}


class AskedError(Exception):
    """The task does not say what to answer; the message says what to write."""


def question_of(task: AcceptedTask, workspace: Workspace, roles: Roles, now: datetime) -> QuestionRecord:
    """Return what a task asks.

    Raises:
        AskedError: something is missing or unknown.
    """
    given = task.parameters
    text = str(given.get("prompt") or "").strip()
    kind = task.command or ("" if text else "general")
    of = given.get("of")
    if kind == REVIEW or (of is not None and not kind):
        kind = REVIEW
        if not isinstance(of, str) or not of:
            raise AskedError(
                "there is nothing to review: write the id of a task that is over as parameters.of"
            )
    if not text and kind != REVIEW:
        raise AskedError("there is no question: write it as parameters.prompt")
    kind = kind or guessed_type(text, roles)
    if kind not in get_args(TaskType):
        raise AskedError(f"there is no kind of question {kind!r}: use {', '.join(get_args(TaskType))}")
    host = _text(given, "host")
    asked = _asked(workspace, host, str(of), text) if kind == REVIEW else text
    language = _text(given, "language") or detect(asked)
    domain = _text(given, "domain") or roles.types[kind].domain
    if domain is not None and domain not in roles.domains:
        known = ", ".join(sorted(roles.domains)) or "none"
        raise AskedError(
            f"there is no domain {domain!r} (known: {known}): add [domains.{domain}] to roles.toml"
        )
    return QuestionRecord(
        task_id=task.task_id,
        text=text or _REVIEW.get(language, _REVIEW["en"]).format(of=of),
        type=kind,
        domain=domain,
        language=language,
        host=host,
        asked_by=task.submitted_by or getpass.getuser(),
        rule=_text(given, "rule") or "asked for",
        of=str(of) if kind == REVIEW else None,
        asked_at=now,
    )


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise AskedError(f"parameters.{name} is not a string: write it in quotes")
    return value.strip()


def _asked(workspace: Workspace, host: str | None, of: str, text: str) -> str:
    """Return what the reviewed task was asked: a review is written in its language."""
    try:
        spool = spool_of(workspace, None if host == host_name() else host)
        task = read_task(spool.results / of) if is_task_id(of) else None
    except (ChildError, DamagedError, OSError):
        return text
    if task is None:
        return text
    return f"{text} {task.parameters.get('prompt') or normal(task.command)}"
