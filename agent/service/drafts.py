"""A task that may be dropped: read, given an id, and checked as the agent will check it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agent.service.errors import ServiceError
from spool.claim import is_over
from spool.refusal import Refusal
from spool.results import places_of_session
from spool.submit import with_id
from spool.task import parse_task

if TYPE_CHECKING:
    from agent.service.checks import Checks
    from spool.task import Task
    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Draft:
    """A task that may be dropped.

    Args:
        source: where it came from, for messages.
        stem: NAME of the NAME.json that it becomes.
    """

    source: str
    stem: str
    content: bytes
    task_id: str
    task: Task
    warnings: tuple[str, ...]


def draft(
    workspace: Workspace,
    checks: Checks | None,
    text: tuple[str, str, bytes],
    *,
    attached: bool = False,
    given: str | None = None,
) -> Draft | Refusal:
    """Return a task that may be dropped, or why it cannot.

    Args:
        workspace: where it is to be dropped.
        checks: the rules of our own workspace; None for a host's, which checks its tools and folders itself.
        text: where it came from, the stem of its name, its bytes.
        attached: files go with it.
        given: its id when it brings none; without, one is made of the stem.
    """
    source, stem, content = text
    named = with_id(content, stem, given)
    if isinstance(named, Refusal):
        return named
    content, task_id = named
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        return parsed
    task, warnings = parsed
    if checks is not None:
        files = workspace.sessions / task_id / "files" if attached else None
        refused = checks.check(task, files)
        if refused is not None:
            return refused
    return Draft(source, stem, content, task_id, task, warnings)


def is_used(workspace: Workspace, task_id: str) -> bool:
    """Tell whether a task of this id is claimed, in session or over."""
    return is_over(workspace, task_id) or next(places_of_session(workspace, task_id), None) is not None


def used_before(task_id: str, what: str = "was used before") -> str:
    """Say what to do about an id that is taken."""
    return (
        f"the id {task_id} {what}: leave out task_id for a task that is dropped again and again, "
        f"or run the first one again with `aispool retry {task_id}`"
    )


def refused(refusal: Refusal) -> ServiceError:
    """Return the error for a task that cannot be accepted; its fields are those of a `.error.json`."""
    place = asdict(refusal.place) if refusal.place else {}
    return ServiceError(
        "invalid",
        refusal.sentence(),
        **{"what": refusal.what, "remedy": refusal.remedy, "field": refusal.field, **place},
    )
