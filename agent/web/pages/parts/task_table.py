"""A table of tasks, one page of it: it shows what it is given and says what a person did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from nicegui.element import Element

from agent.sanitize import one_line
from agent.web.pages.parts.acting import actions_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nicegui.events import GenericEventArguments

    from agent.web.context import Identity

COLUMNS: Final = (
    {"name": "state", "label": "State", "sortable": True},
    {"name": "task_id", "label": "Task", "sortable": True},
    {"name": "tool", "label": "Tool", "sortable": True},
    {"name": "host", "label": "Host", "sortable": True},
    {"name": "labels", "label": "Labels"},
    {"name": "changed_at", "label": "Changed", "sortable": True},
    {"name": "duration_s", "label": "Took", "sortable": True, "css": "number"},
)


class TaskTable(Element, component="task_table.js"):
    """The table; rows are those of `agent.service.listing.row`.

    Args:
        identity: who looks: without a scope there is no action.
        on_sort: called with a column's name.
        on_choose: called with the keys of the rows that are chosen now.
        on_act: called with a row's key and an action's name.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        on_sort: Callable[[str], Any],
        on_choose: Callable[[list[str]], Any],
        on_act: Callable[[str, str], Any],
    ) -> None:
        super().__init__()
        self._identity = identity
        self._props["columns"] = list(COLUMNS)
        self._props["choosing"] = identity.may("operate")
        self._props["chosen"] = []
        self._props["rows"] = []
        self._props["empty"] = ""
        self.classes("wide")

        def sorted_(event: GenericEventArguments) -> Any:
            return on_sort(str(event.args))

        def chosen(event: GenericEventArguments) -> Any:
            return on_choose([str(key) for key in event.args])

        def acted(event: GenericEventArguments) -> Any:
            return on_act(str(event.args["key"]), str(event.args["action"]))

        self.on("sort", sorted_)
        self.on("choose", chosen)
        self.on("act", acted)

    def show(
        self,
        rows: Sequence[dict[str, Any]],
        *,
        sort: str,
        descending: bool,
        chosen: Sequence[str],
        empty: str,
    ) -> None:
        """Draw these rows."""
        self._props["rows"] = [self._shown(row) for row in rows]
        self._props["sort"] = sort
        self._props["descending"] = descending
        self._props["chosen"] = list(chosen)
        self._props["empty"] = empty
        self.update()

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        what = f"{row['tool']} {row['command']}".strip()
        return {
            "key": key_of(row),
            "task_id": one_line(row["task_id"]),
            "href": href_of(row["task_id"], row["host"]),
            "state": row["state"],
            "state_label": label_of(row["state"]),
            "reason": one_line(row["standing"])[:400],
            "what": one_line(what)[:200],
            "host": row["host"] or "here",
            "labels": [one_line(label) for label in row["labels"]][:6],
            "changed_at": row["changed_at"],
            "duration_s": row["duration_s"],
            "actions": [
                {"name": action.name, "label": action.label}
                for action in actions_for(row["state"])
                if self._identity.may(action.scope)
            ],
        }


def key_of(row: dict[str, Any]) -> str:
    """Name a row: the same id may be on several hosts. Neither has a slash in it."""
    return f"{row['host'] or ''}/{row['task_id']}"


def href_of(task_id: str, host: str | None) -> str:
    """Return the address of a task's page; a file that has no id yet goes by its name, whatever is in it."""
    return f"/task/{quote(task_id, safe='')}" + (f"?host={quote(host)}" if host else "")


def label_of(state: str) -> str:
    """Return a state as people read it."""
    return state.replace("_", " ")
