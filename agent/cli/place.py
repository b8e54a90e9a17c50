"""What every command is given: the workspace, opened when it is first needed; and `--json`."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import AgentConfig
    from spool.view import View
    from spool.workspace import Workspace

Function = TypeVar("Function", bound="Callable[..., Any]")


class InputError(click.ClickException):
    """Something that the person gave cannot be used: what, where, and what to do."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the message, each line behind our name."""
        from agent.sanitize import plain  # noqa: PLC0415 - only an error pays for it

        for line in plain(self.format_message()).splitlines():
            click.echo(f"aispool: {line}", err=True, file=file)


class Place:
    """The workspace of this command line."""

    def __init__(self, given: str | None) -> None:
        self.given = given

    host: str | None = None
    """The host whose mirror this is; None for a workspace of ours."""

    def of(self, task_id: str) -> Place:
        """Return the place that knows a task: this one, where there is no other."""
        del task_id
        return self

    def places(self) -> list[Place]:
        """Return all workspaces that are meant."""
        return [self]

    def elsewhere(self) -> list[Workspace]:
        """Return the other workspaces in which a task of this one may turn up."""
        return []

    @cached_property
    def root(self) -> Path:
        """Where it is, whether it exists or not."""
        from spool.workspace import chosen_root  # noqa: PLC0415 - `--help` needs none of it

        return chosen_root(self.given)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace, opened.

        Raises:
            WorkspaceError: there is none, or it is damaged or newer.
        """
        from spool.workspace import open_workspace  # noqa: PLC0415

        return open_workspace(self.root)

    @cached_property
    def config(self) -> AgentConfig:
        """The options of configs/agent.toml.

        Raises:
            ConfigError: the file cannot be used.
        """
        from agent.config import load  # noqa: PLC0415

        return load(self.workspace)

    def find(self, task_id: str) -> View:
        """Return one task, wherever it lies; one without an id also by its file's name.

        Raises:
            InputError: nobody knows the id.
        """
        from spool.names import TASK_SUFFIX  # noqa: PLC0415
        from spool.view import find, waiting  # noqa: PLC0415

        view = find(self.workspace, task_id)
        if view is None:
            names = {task_id, task_id + TASK_SUFFIX}
            named = (found for found in waiting(self.workspace) if found.name in names)
            # only while it has no id: a name must never stand for another task
            view = next((v for v in named if v.task is None or v.task.task_id is None), None)
        if view is None:
            raise unknown(self.workspace, task_id)
        return view


def unknown(workspace: Workspace, task_id: str) -> InputError:
    """Say that nobody knows an id, and whether a file of this name was refused."""
    from spool.names import TASK_SUFFIX, stem_of  # noqa: PLC0415
    from spool.view import rejected  # noqa: PLC0415

    for file in rejected(workspace):
        if stem_of(task_id) == file.name.removesuffix(TASK_SUFFIX):
            return InputError(f"{task_id} was rejected: {file.explanation} says why")
    return InputError(f"no task {task_id} in {workspace.root}: `aispool ls --all` lists all ids")


pass_place: Final = click.make_pass_decorator(Place)


def json_option(function: Function) -> Function:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def print_json(document: dict[str, Any]) -> None:
    """Print a document; what is not ASCII is escaped, so that no terminal obeys it."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=True))


def failed() -> click.exceptions.Exit:
    """Return what a command raises when it did its work and the answer is no."""
    return click.exceptions.Exit(1)
