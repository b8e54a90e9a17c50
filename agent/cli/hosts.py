"""`--host H` and `--all-hosts`: a command works on the mirror of a host, or wherever in the fleet a task is.

Reading needs no network: fleet/HOST is laid out as a workspace. What a command asks for (cancel, answer,
hold …) becomes a file that the collector takes to the host.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from agent.cli.place import InputError, Place, unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.cli.place import Function
    from agent.config import AgentConfig
    from agent.fleet.layout import Mirror
    from agent.fleet.ssh import Link
    from spool.view import View
    from spool.workspace import Workspace

ANY: Final = "any"


class MirrorPlace(Place):
    """The mirror of one host, or `any`."""

    host: str

    def __init__(self, own: Place, host: str) -> None:
        super().__init__(own.given)
        self.own = own
        self.host = host

    @cached_property
    def root(self) -> Path:
        """Where it is."""
        return self.own.root / "fleet" / self.host

    @cached_property
    def mirror(self) -> Mirror:
        """The mirror, made when the host is configured and was never looked at.

        Raises:
            InputError: there is no such host.
            ConfigError: the list of hosts cannot be used.
        """
        from agent.fleet.hosts import load  # noqa: PLC0415 - `--help` needs none of it
        from agent.fleet.layout import Fleet  # noqa: PLC0415
        from spool.names import is_task_id  # noqa: PLC0415

        mirror = Fleet(self.own.workspace).mirror(self.host)
        if not is_task_id(self.host) or not (mirror.raw.is_dir() or self.host == ANY):
            known = load(self.own.workspace)
            if self.host not in known:
                names = ", ".join((*known, ANY))
                raise InputError(
                    f"there is no host {self.host}: name one of {names}, or `aispool fleet add` it"
                )
        mirror.make()
        return mirror

    @cached_property
    def workspace(self) -> Workspace:
        """What people see of the mirror."""
        return self.mirror.workspace

    @cached_property
    def config(self) -> AgentConfig:
        """The options of the collector's own workspace."""
        return self.own.config

    def elsewhere(self) -> list[Workspace]:
        """Return the mirrors of the hosts that may be chosen for a task of `any`."""
        return FleetPlace(self.given).elsewhere() if self.host == ANY else []

    def ask(self, do: str, **fields: Any) -> str:
        """Ask the host for something, and say so.

        Raises:
            InputError: it cannot be asked for.
        """
        from agent.fleet.controls import order  # noqa: PLC0415

        try:
            order(self.mirror, do, **fields)
        except ValueError as error:
            raise InputError(f"{self.host} cannot be asked for this: {error}") from None
        self.warn()
        return f"asked of {self.host}{self.standing}"

    def link(self, what: str) -> Link:
        """Return how the host is reached for more than transfers.

        Raises:
            InputError: it has only keys for transfers, or is no host.
        """
        from agent.fleet.hosts import load  # noqa: PLC0415
        from agent.fleet.ssh import link, runtime_folder  # noqa: PLC0415

        host = load(self.own.workspace).get(self.host)
        if host is None:
            raise InputError(f"{self.host} is not in configs/hosts.toml: nobody knows how to reach it")
        if host.restricted:
            raise InputError(
                f"our keys for {self.host} may only collect and send: to {what} it, use ssh with another key"
            )
        return link(host, "collect", runtime_folder())

    def warn(self) -> None:
        """Tell a person when nobody takes anything to the host now."""
        from spool.locks import is_held, lock_path  # noqa: PLC0415

        if not is_held(lock_path(self.own.root / "fleet" / ".collector")):
            click.echo("aispool: no collector works here now: `aispool collector` starts one", err=True)

    @cached_property
    def standing(self) -> str:
        """Say in brackets why the host will not hear of it now; nothing when it will."""
        from agent.fleet.reasons import unreachable  # noqa: PLC0415

        problem = unreachable(self.mirror) if self.host != ANY else None
        return f" (it {problem})" if problem else ""


class FleetPlace(Place):
    """A person's own workspace and all mirrors."""

    def of(self, task_id: str) -> Place:
        """Return the place that knows a task, our own workspace first.

        Raises:
            InputError: nobody does.
        """
        from spool.view import find  # noqa: PLC0415

        for place in self.places():
            if find(place.workspace, task_id) is not None:
                return place
        raise unknown(self.workspace, task_id)

    def find(self, task_id: str) -> View:
        """Return one task, wherever it is."""
        return self.of(task_id).find(task_id)

    def places(self) -> list[Place]:
        """Return our own workspace and the mirrors, by name."""
        own = Place(self.given)
        return [own, *(MirrorPlace(own, name) for name in mirror_names(own))]

    def elsewhere(self) -> list[Workspace]:
        """Return all workspaces."""
        return [place.workspace for place in self.places()]


def mirror_names(own: Place) -> list[str]:
    """Return the names of all mirrors, `any` first."""
    from agent.fleet.layout import Fleet  # noqa: PLC0415

    fleet = Fleet(own.workspace)
    names = [mirror.name for mirror in fleet.mirrors()]
    return [ANY, *names] if (fleet.root / ANY).is_dir() else names


def host_option(function: Function) -> Function:
    """Add --host."""
    return click.option(
        "--host",
        metavar="HOST",
        expose_value=False,
        callback=_use_host,
        shell_complete=_complete,
        help="On this host of the fleet; `any`: what has no host yet.",
    )(function)


def hosts_option(*names: str) -> Callable[[Function], Function]:
    """Add --host and --all-hosts.

    Args:
        names: of the second; `--all` as well, where that means nothing else.
    """

    def add(function: Function) -> Function:
        everywhere = click.option(
            *names,
            is_flag=True,
            expose_value=False,
            callback=_use_all,
            help="Here and on all hosts of the fleet.",
        )
        return host_option(everywhere(function))

    return add


def _use_host(ctx: click.Context, _parameter: click.Parameter, host: str | None) -> None:
    if host is not None:
        ctx.obj = MirrorPlace(_own(ctx), host)


def _use_all(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click
    if wanted:
        ctx.obj = FleetPlace(_own(ctx).given)


def _own(ctx: click.Context) -> Place:
    place = ctx.find_object(Place)
    if place is None or place is not ctx.find_root().obj:
        raise click.UsageError("give either --host or --all-hosts")
    return place


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from agent.cli.ids import place_of  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        names = mirror_names(place_of(ctx))
    except (OSError, WorkspaceError):
        return []  # a shell asks while a person types: nothing to offer
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
