"""Where a task is: a person's own workspace, or the mirror of a host of the fleet.

Reading needs no network: fleet/HOST is laid out as a workspace. What is asked for there (cancel, answer,
hold …) becomes a file that the collector takes to the host.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from agent.config import load_or_defaults
from agent.fleet.layout import ANY, Fleet
from agent.service.errors import ServiceError
from spool.locks import is_held, lock_path
from spool.names import TASK_SUFFIX, is_task_id, stem_of
from spool.view import View, find, rejected, waiting
from spool.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.fleet.layout import Mirror
    from agent.fleet.ssh import Link

HERE: Final = "here"
"""How a caller names a person's own workspace; a host of this name is not reached by it."""


class Place:
    """One workspace: our own, or what people see of a mirror."""

    def __init__(self, desk: Desk, host: str | None) -> None:
        self.desk = desk
        self.host = host

    @property
    def is_mirror(self) -> bool:
        """Tell whether it is a host's mirror, or `any`."""
        return self.host is not None

    @cached_property
    def mirror(self) -> Mirror:
        """The mirror, made when the host is configured and was never looked at.

        Raises:
            ServiceError: there is no such host.
            ConfigError: the list of hosts cannot be used.
        """
        from agent.fleet.hosts import load  # noqa: PLC0415 - our own workspace needs none of it

        assert self.host is not None
        mirror = Fleet(self.desk.workspace).mirror(self.host)
        if not is_task_id(self.host) or not (mirror.raw.is_dir() or self.host == ANY):
            known = load(self.desk.workspace)
            if self.host not in known:
                names = ", ".join((*known, ANY))
                raise ServiceError(
                    "not_found",
                    f"there is no host {self.host}: name one of {names}, or `aispool fleet add` it",
                )
        mirror.make()
        return mirror

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace, or what people see of the mirror."""
        return self.desk.workspace if self.host is None else self.mirror.workspace

    def find(self, task_id: str) -> View:
        """Return one task, wherever it lies; one without an id also by its file's name.

        Raises:
            ServiceError: nobody knows the id.
        """
        view = find(self.workspace, task_id)
        if view is None:
            names = {task_id, task_id + TASK_SUFFIX}
            named = (found for found in waiting(self.workspace) if found.name in names)
            # only while it has no id: a name must never stand for another task
            view = next((v for v in named if v.task is None or v.task.task_id is None), None)
        if view is None:
            raise unknown(self.workspace, task_id)
        return view

    def ask(self, do: str, **fields: Any) -> str:
        """Ask the host for something, and say so.

        Args:
            do: see `spool.control.Do`.
            fields: what it needs, see `agent.fleet.controls.order`.

        Raises:
            ServiceError: it cannot be asked for.
        """
        from agent.fleet.controls import order  # noqa: PLC0415 - as above

        try:
            order(self.mirror, do, **fields)
        except ValueError as error:
            raise ServiceError("invalid", f"{self.host} cannot be asked for this: {error}") from None
        return f"asked of {self.host}{self.standing}"

    @property
    def standing(self) -> str:
        """Say in brackets why the host will not hear of it now; nothing when it will."""
        from agent.fleet.reasons import unreachable  # noqa: PLC0415 - as above

        problem = unreachable(self.mirror) if self.host not in {None, ANY} else None
        return f" (it {problem})" if problem else ""

    @property
    def warning(self) -> str | None:
        """Say that nobody takes anything to the host now; None when somebody does."""
        if self.host is None or self.desk.collector_works():
            return None
        return "no collector works here now: `aispool collector` starts one"

    def link(self, what: str) -> Link:
        """Return how the host is reached for more than transfers.

        Raises:
            ServiceError: it has only keys for transfers, or is no host.
        """
        from agent.fleet.hosts import load  # noqa: PLC0415 - as above
        from agent.fleet.ssh import link, runtime_folder  # noqa: PLC0415

        host = load(self.desk.workspace).get(self.host or "")
        if host is None:
            raise ServiceError(
                "not_found", f"{self.host} is not in configs/hosts.toml: nobody knows how to reach it"
            )
        if host.restricted:
            raise ServiceError(
                "conflict",
                f"our keys for {self.host} may only collect and send: to {what} it, use ssh with another key",
            )
        return link(host, "collect", runtime_folder())


@dataclass(frozen=True, slots=True)
class Found:
    """A task, and where it is."""

    place: Place
    view: View


class Desk:
    """A person's own workspace and the mirrors of all hosts.

    Args:
        root: of the workspace, absolute.

    Raises:
        WorkspaceError: there is none, or it is damaged or newer.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace: Workspace = open_workspace(root)
        self.own = Place(self, None)
        self._mirrors: dict[str, Place] = {}

    @property
    def config(self) -> AgentConfig:
        """The options of configs/agent.toml as they are now; the defaults while the file cannot be used."""
        return load_or_defaults(self.workspace)[0]

    def mirror_names(self) -> list[str]:
        """Return the names of all mirrors, `any` first."""
        fleet = Fleet(self.workspace)
        names = [mirror.name for mirror in fleet.mirrors()]
        return [ANY, *names] if (fleet.root / ANY).is_dir() else names

    def places(self, host: str | None = None) -> list[Place]:
        """Return the places that are meant: all for None, our own first; one for `here`, a name, or `any`.

        Raises:
            ServiceError: there is no such host.
        """
        if host is not None:
            return [self.place(host)]
        names = self.mirror_names()
        for name in self._mirrors.keys() - set(names):
            self._mirrors.pop(name, None)
        for name in names:
            if name not in self._mirrors:
                with suppress(ServiceError):  # a folder that somebody made, and no host
                    self._mirrors[name] = self.place(name)
        return [self.own, *(self._mirrors[name] for name in names if name in self._mirrors)]

    def place(self, host: str | None) -> Place:
        """Return one place; None and `here` are our own workspace.

        Raises:
            ServiceError: there is no such host.
        """
        if host is None or host == HERE:
            return self.own
        place = Place(self, host)
        place.workspace  # noqa: B018 - raises what is wrong with the name
        return place

    def find(self, task_id: str, host: str | None = None) -> Found:
        """Return a task and where it is, our own workspace first.

        Args:
            task_id: its id; in one place also the name of a file that has no id yet.
            host: where to look; None for everywhere.

        Raises:
            ServiceError: nobody knows the id; the message names the rejection when there is one.
        """
        if host is not None:
            place = self.place(host)
            return Found(place, place.find(task_id))
        for place in self.places():
            view = find(place.workspace, task_id)
            if view is not None:
                return Found(place, view)
        return Found(self.own, self.own.find(task_id))

    def collector_works(self) -> bool:
        """Tell whether a collector works on this workspace."""
        return is_held(lock_path(self.root / "fleet" / ".collector"))


def unknown(workspace: Workspace, task_id: str) -> ServiceError:
    """Say that nobody knows an id, and whether a file of this name was refused."""
    for file in rejected(workspace):
        if stem_of(task_id) == stem_of(file.name):
            return ServiceError("not_found", f"{task_id} was rejected: {file.explanation} says why")
    return ServiceError(
        "not_found", f"no task {task_id} in {workspace.root}: `aispool ls --all` lists all ids"
    )
