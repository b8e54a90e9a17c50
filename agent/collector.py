"""Options of the collector: the table [collector] of configs/agent.toml."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, StrictBool

from agent.quantities import Bytes, Count, Days, Duration, Jobs, SomeBytes  # noqa: TC001 - pydantic reads them

_GIB: Final = 1 << 30


class CollectorOptions(BaseModel):
    """How hosts are collected from; agent/share/configs/agent.toml explains each to people.

    Args:
        interval_s: between two rounds of a host that answers.
        jobs: transfers at once.
        bandwidth_kib_s: of each transfer; 0: as fast as it goes.
        silence_s: a connection that says nothing for so long is given up.
        slowest_retry_s: a host that does not answer is tried at least so often.
        compress: what is on the way.
        start_agents: see to it that a host's agent runs whenever it was connected anew.
        new_host_keys: take the key of a host that was never seen before; a changed one is always refused.
        keep_days, keep_count, keep_bytes: results of a mirror that stay; the oldest go first.
        keep_log_days: logs of a mirror that stay.
        reserve_bytes: nothing is fetched while less is free here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    interval_s: Duration = 15.0
    jobs: Jobs = 8
    bandwidth_kib_s: Bytes = 0
    silence_s: Duration = 60.0
    slowest_retry_s: Duration = 600.0
    compress: StrictBool = True
    start_agents: StrictBool = False
    new_host_keys: StrictBool = False
    keep_days: Days = 90.0
    keep_count: Count = 100_000
    keep_bytes: SomeBytes = 100 * _GIB
    keep_log_days: Days = 90.0
    reserve_bytes: Bytes = _GIB
