"""What one agent may start now: slots, pauses, parked tools and closed budgets, as they lie on disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cluster import CLUSTER
from agent.host.room import Closed, Limits
from agent.host.runners import capped
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent.host.session import Session
    from agent.host.site import Site

PAUSED = "paused"


def limits_of(
    site: Site,
    sessions: Collection[Session],
    closed: tuple[Closed, ...],
    blocked: str | None,
    *,
    draining: bool,
) -> Limits:
    """Return the limits by the options, the pause files and what our tasks have met.

    Args:
        site: our agent.
        sessions: ours.
        closed: budgets that are used up.
        blocked: why nothing may be claimed at all.
        draining: we are about to stop.
    """
    paused = [n for n in os.listdir(site.workspace.configs) if n == PAUSED or n.startswith(f"{PAUSED}.")]
    return Limits(
        slots=site.config.slots,
        cluster_slots=site.config.slurm.max_jobs,
        tool_slots=capped(site.registry.slots(site.config), site.workspace),
        group_slots=site.config.slots_by_group,
        slotless_tools=site.registry.slotless,
        paused=PAUSED in paused,
        paused_tools=_named(paused, "tool"),
        paused_groups=_named(paused, "group"),
        hosts=site.hosts,
        draining=draining,
        claim_blocked=blocked,
        cluster_blocked=_cluster_problem(site),
        parked_tools=_parked_tools(sessions),
        closed=closed,
    )


def _cluster_problem(site: Site) -> str | None:
    """Return why nothing can be handed to the cluster now; None too while nobody has asked for it."""
    if site.config.launcher == CLUSTER or CLUSTER in site.launchers:
        return site.launcher_named(CLUSTER).available()
    return None


def _parked_tools(sessions: Collection[Session]) -> dict[str, float]:
    """Return the tools whose provider's limit one of our tasks has met, and until when each waits."""
    parked: dict[str, float] = {}
    for session in sessions:
        if session.state is State.DEFERRED and session.parked and session.next_attempt_at is not None:
            until_s = session.next_attempt_at.timestamp()
            parked[session.task.tool] = max(parked.get(session.task.tool, 0.0), until_s)
    return parked


def _named(names: list[str], kind: str) -> frozenset[str]:
    prefix = f"{PAUSED}.{kind}."
    return frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))
