"""What a host keeps of the past: `agent.retention`, and nothing of the conversations of pruned tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.host.runners import forget_pruned
from agent.retention import PruneReport, prune_past

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from agent.config import AgentConfig
    from spool.workspace import Workspace


def prune_now(
    workspace: Workspace, config: AgentConfig, now: datetime, needed: Collection[str] | None = None
) -> PruneReport:
    """Remove results and logs beyond what the options keep.

    Raises:
        OSError: the disk; what was removed so far is gone, and calling again goes on.
    """
    report = prune_past(workspace, config, now, needed)
    forget_pruned(workspace)
    return report
