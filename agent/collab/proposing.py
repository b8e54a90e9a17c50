"""What the roles propose to run: numbered over all roles, rated by the policy, with the vetoes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.collab.policy.rate import rate
from agent.collab.tally import Proposed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.answering import Spoken
    from agent.collab.policy.rules import Policy


def number_all(spoken: Sequence[Spoken], policy: Policy, host: str | None) -> tuple[Proposed, ...]:
    """Return every proposed command with what the policy thinks of it.

    Args:
        spoken: every response with its validation.
        policy: of the workspace.
        host: where they would run.
    """
    found: list[Proposed] = []
    for one in spoken:
        for number, proposal, taken_out in one.commands():
            rating = rate(proposal.command, policy, role=one.role, host=host)
            found.append(Proposed(len(found) + 1, one.role, number, proposal, taken_out, rating))
    return tuple(found)
