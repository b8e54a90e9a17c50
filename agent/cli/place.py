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
    from agent.service.places import Desk
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

    where: str | None = "here"
    """What functions of agent.service are told: the host, `here`, or None for everywhere."""

    @cached_property
    def desk(self) -> Desk:
        """What functions of agent.service work on.

        Raises:
            WorkspaceError: there is no workspace, or it is damaged or newer.
        """
        from agent.service.places import Desk  # noqa: PLC0415 - `--help` needs none of it

        return Desk(self.own_root)

    @cached_property
    def own_root(self) -> Path:
        """Where a person's own workspace is, whether it exists or not."""
        from spool.workspace import chosen_root  # noqa: PLC0415 - as above

        return chosen_root(self.given)

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

    @property
    def root(self) -> Path:
        """Where it is, whether it exists or not."""
        return self.own_root

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
            ServiceError: nobody knows the id.
        """
        return self.desk.find(task_id, self.where).view


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
