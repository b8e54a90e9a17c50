"""The options of configs/agent.toml for tasks that a Slurm cluster runs: the table [slurm]."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, StrictStr

from agent.quantities import Count, Duration, Name, Slots  # noqa: TC001 - pydantic reads them
from spool.task import Resources

LauncherName = Literal["tmux", "screen", "process", "slurm"]
CLUSTER = "slurm"
NO_TERMINAL = "process"


class SlurmOptions(BaseModel):
    """What the agent may ask of a cluster, and what it asks for when a task does not say.

    Args:
        max_jobs: tasks that are handed to Slurm at once, waiting there and running, counted by weight.
        spare_s: added to a task's time limit for Slurm's own, so that ours ends it first.
        partition, account, qos, constraint, cpus, memory_mb, gpus: as a task's `resources`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_jobs: Slots = 1000
    spare_s: Duration = 120.0
    partition: Name | None = None
    account: Name | None = None
    qos: Name | None = None
    constraint: StrictStr | None = None
    cpus: Count | None = None
    memory_mb: Count | None = None
    gpus: Count | None = None

    def resources(self, wanted: Resources | None) -> Resources:
        """Return what is asked for: what the task says, else what is set here."""
        ours = {name: getattr(self, name) for name in Resources.model_fields}
        theirs = wanted.model_dump(exclude_none=True) if wanted else {}
        return Resources.model_validate(ours | theirs)
