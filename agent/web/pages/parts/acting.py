"""What a person may do to a task as it stands, and doing it from a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nicegui import run, ui

from agent.config import ConfigError
from agent.sanitize import one_line
from agent.service import actions
from agent.service.errors import ServiceError
from agent.web.context import ForbiddenError, LoggedOutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.service.actions import Said
    from agent.web.context import Context, Identity, Scope

T = TypeVar("T")
WAITING: Final = frozenset({"queued", "blocked"})
OVER: Final = frozenset(
    {"succeeded", "failed", "timed_out", "cancelled", "lost", "dependency_failed", "expired"}
)


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do to a task.

    Args:
        name: of the function in `agent.service.actions`.
        label: of the button.
        states: in which it makes sense.
        done: how the person is told.
    """

    name: str
    label: str
    states: frozenset[str]
    scope: Scope = "operate"


ACTIONS: Final = (
    Action("hold", "Hold", WAITING),
    Action("release", "Release", frozenset({"held"})),
    Action("cancel", "Cancel", WAITING | {"held", "running", "waiting_input", "deferred"}),
    Action("retry", "Run again", OVER),
)
BY_NAME: Final = {action.name: action for action in ACTIONS}


def actions_for(state: str) -> list[Action]:
    """Return what makes sense in a state."""
    return [action for action in ACTIONS if state in action.states]


def refuse(why: str) -> None:
    """Say on the page why something was not done."""
    ui.notify(why, type="negative", multi_line=True, timeout=10_000, close_button="Close")


async def attempt(
    identity: Identity, scope: Scope, work: Callable[[], T], say: Callable[[str], None] = refuse
) -> T | None:
    """Do something that may be refused, in a thread; when it is, say why on the page and return None."""
    try:
        identity.require(scope)
        return await run.io_bound(work)
    except LoggedOutError:
        ui.navigate.to("/login")
    except (ServiceError, ForbiddenError, ConfigError) as error:
        say(one_line(error))
    except OSError as error:
        say(f"The disk refused it: {one_line(error)}")
    return None


async def act(context: Context, identity: Identity, name: str, keys: list[str]) -> None:
    """Do one action to tasks, each named as `agent.web.pages.parts.task_table.key_of` does."""
    action = BY_NAME[name]
    function = getattr(actions, action.name)
    for key in keys:
        host, _, task_id = key.partition("/")

        def work(task_id: str = task_id, host: str = host) -> Said:
            said: Said = function(context.desk, task_id, host=host or "here", by=identity.name)
            return said

        said = await attempt(identity, action.scope, work)
        if said is not None:
            tell(said)


def tell(said: Any) -> None:
    """Say what became of a request."""
    ui.notify(f"{one_line(said.task_id)}: {one_line(said.said)}", type="positive" if said.changed else "info")
    if said.warning:
        ui.notify(one_line(said.warning), type="warning", multi_line=True)
