"""Starting an agent: its name, its lock, its options; then its loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import log
from agent.config import load
from agent.host.beat import FILE, come_back
from agent.host.loop import Loop
from agent.host.site import Site
from agent.tools.registry import Registry
from spool.files import make_folder
from spool.locks import NameTakenError, agent_lock_path, is_held, take_agent_lock
from spool.records import utc_now
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from spool.workspace import Workspace

RESTART_PATIENCE_S = 5.0
"""An agent that takes over what we left holds our lock for a moment."""


def run(workspace: Workspace, *, name: str | None, slots: int | None, drain: bool, if_idle: bool) -> int:
    """Run an agent until it is told to stop, or is done.

    Args:
        workspace: whose tasks.
        name: instead of the configured one.
        slots: instead of the configured ones.
        drain: stop when nothing is left to do.
        if_idle: end silently when an agent works here already, whatever its name.

    Raises:
        ConfigError: an options file cannot be used.
        NameTakenError: an agent of this name works here.
    """
    if if_idle and _somebody_works(workspace):
        return 0
    config = load(workspace)
    registry = Registry.load(workspace)
    changes = {"name": name, "slots": slots}
    config = type(config).model_validate(
        config.model_dump() | {key: value for key, value in changes.items() if value is not None}
    )
    try:
        lock = take_agent_lock(workspace, config.name, 0 if if_idle else RESTART_PATIENCE_S)
    except NameTakenError:
        if if_idle:
            return 0
        raise
    try:
        site = Site(workspace, config.name, config, registry, utc_now)
        come_back(site.folder)
        for folder in (site.bell, site.outbox, *workspace.inbox_folders()):
            make_folder(folder)
        log.open_log(workspace.logs / "agent.log", site.name, to_terminal=sys.stderr.isatty())
        log.info("agent starts", agent=site.name, host=site.host, slots=config.slots)
        Loop(site, drain=drain, slots=slots).run()
    finally:
        log.close_log()
        lock.release()
    return 0


def _somebody_works(workspace: Workspace) -> bool:
    """Tell whether an agent of any name lives; a command line that ends a task is none, it has no beat."""
    return any(
        is_held(agent_lock_path(workspace, folder.name.removeprefix(AGENT_PREFIX)))
        for folder in workspace.agents()
        if (folder / FILE).exists()
    )
