"""Sessions on the nodes of a Slurm cluster: one job, or one element of a job array, for each task.

`launcher` submits and finds them again, `batch` is what a submission leaves on the shared file system,
`jobs` is what the controller says, `offer` what the cluster has, and `job` runs on the node.
"""

from __future__ import annotations

from agent.launchers.slurm.launcher import SlurmLauncher

__all__ = ["SlurmLauncher"]
