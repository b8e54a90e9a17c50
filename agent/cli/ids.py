"""Task ids as arguments: how they complete in a shell, and how many may be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.cli.place import Function, Place
    from spool.view import View

MOST_RESULTS = 200


def ids_argument(*places: str) -> Callable[[Function], Function]:
    """Add ID..., which completes from the named places."""
    return click.argument("task_ids", metavar="ID...", nargs=-1, required=True, shell_complete=_from(places))


def id_argument(*places: str) -> Callable[[Function], Function]:
    """Add ID, which completes from the named places."""
    return click.argument("task_id", metavar="ID", shell_complete=_from(places))


def _from(places: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from agent.sanitize import one_line  # noqa: PLC0415 - `--help` needs none of it

        place = place_of(ctx)
        given = set(ctx.params.get("task_ids") or ())
        return [
            CompletionItem(view.task_id, help=one_line(f"{view.state} {view.tool}"))
            for view in _views(place, places)
            if view.task_id.startswith(incomplete) and view.task_id not in given
        ]

    return complete


def place_of(ctx: click.Context) -> Place:
    """Return the workspace that an unfinished command line names."""
    from agent.cli.place import Place  # noqa: PLC0415

    return Place(ctx.find_root().params.get("workspace"))


def _views(place: Place, places: tuple[str, ...]) -> Iterator[View]:
    from spool import view  # noqa: PLC0415
    from spool.names import is_task_id  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        workspace = place.workspace
    except (OSError, WorkspaceError):
        return  # a shell asks while a person types: no workspace, nothing to offer
    if {"tasks", "held"} & set(places):
        yield from (v for v in view.waiting(workspace) if v.place in places and is_task_id(v.task_id))
    if "sessions" in places:
        yield from view.in_session(workspace)
    if "results" in places:
        yield from reversed(view.finished(workspace, MOST_RESULTS))
