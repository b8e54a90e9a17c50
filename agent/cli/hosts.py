"""`--host H` and `--all-hosts`: a command works on the mirror of a host, or wherever in the fleet a task is.

Reading needs no network: fleet/HOST is laid out as a workspace. What a command asks for (cancel, answer,
hold …) becomes a file that the collector takes to the host.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from agent.cli.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.cli.place import Function
    from agent.config import AgentConfig
    from agent.service.places import Place as ServicePlace
    from spool.workspace import Workspace

ANY: Final = "any"


class MirrorPlace(Place):
    """The mirror of one host, or `any`."""

    host: str

    def __init__(self, own: Place, host: str) -> None:
        super().__init__(own.given)
        self.own = own
        self.host = self.where = host

    @property
    def root(self) -> Path:
        """Where it is."""
        return self.own.root / "fleet" / self.host

    @cached_property
    def there(self) -> ServicePlace:
        """The mirror as agent.service has it.

        Raises:
            ServiceError: there is no such host.
        """
        return self.desk.place(self.host)

    @cached_property
    def workspace(self) -> Workspace:
        """What people see of the mirror."""
        return self.there.workspace

    @cached_property
    def config(self) -> AgentConfig:
        """The options of the collector's own workspace."""
        return self.own.config

    def elsewhere(self) -> list[Workspace]:
        """Return the mirrors of the hosts that may be chosen for a task of `any`."""
        return FleetPlace(self.given).elsewhere() if self.host == ANY else []

    def warn(self) -> None:
        """Tell a person when nobody takes anything to the host now."""
        if self.there.warning:
            click.echo(f"aispool: {self.there.warning}", err=True)


class FleetPlace(Place):
    """A person's own workspace and all mirrors."""

    where = None

    def of(self, task_id: str) -> Place:
        """Return the place that knows a task, our own workspace first.

        Raises:
            ServiceError: nobody does.
        """
        host = self.desk.find(task_id).place.host
        return MirrorPlace(Place(self.given), host) if host else Place(self.given)

    def places(self) -> list[Place]:
        """Return our own workspace and the mirrors, by name."""
        own = Place(self.given)
        return [own, *(MirrorPlace(own, place.host) for place in self.desk.places() if place.host)]

    def elsewhere(self) -> list[Workspace]:
        """Return all workspaces."""
        return [place.workspace for place in self.desk.places()]


def host_option(function: Function) -> Function:
    """Add --host."""
    return click.option(
        "--host",
        metavar="HOST",
        expose_value=False,
        callback=_use_host,
        shell_complete=complete_host,
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


def complete_host(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the hosts of the fleet whose names begin so, for a shell."""
    from agent.cli.ids import place_of  # noqa: PLC0415
    from spool.workspace import WorkspaceError  # noqa: PLC0415

    try:
        names = place_of(ctx).desk.mirror_names()
    except (OSError, WorkspaceError):
        return []  # a shell asks while a person types: nothing to offer
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
