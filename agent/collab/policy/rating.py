"""What a rating says: the decision, what the command would do to what, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

Decision = Literal["allow", "ask", "deny"]
"""It may run, a person must approve its exact bytes, or it never runs."""

DECISIONS: Final[tuple[Decision, ...]] = ("allow", "ask", "deny")
"""From loosest to strictest."""

Effect = Literal[
    "read",  # looks, and changes nothing
    "secret",  # reads what must not leave the host: keys, password hashes, tokens
    "probe",  # asks another host a question that names it and carries nothing else
    "network",  # talks to another host
    "write",  # creates or changes files
    "delete",  # removes files
    "control",  # changes what runs: services, processes, mounts, settings of the kernel
    "execute",  # runs code that this rating cannot see
    "privilege",  # acts as another user, or gives rights
    "persist",  # stays after the command: cron, services, start-up files, accounts
    "wipe",  # destroys a disk, a file system or a whole tree
    "exfiltrate",  # sends what was read to another host
    "opaque",  # cannot be resolved
]

CATASTROPHIC: Final[frozenset[Effect]] = frozenset({"wipe", "exfiltrate", "persist", "privilege"})
"""No policy can make these run without asking."""


@dataclass(frozen=True, slots=True, order=True)
class Operation:
    """One thing that a command would do.

    Args:
        program: the program's name without its folder; empty when it cannot be known.
        target: a path, an address, a service … as written; empty when it has none.
    """

    program: str
    effect: Effect
    target: str = ""


@dataclass(frozen=True, slots=True)
class Rating:
    """What is thought of one command line.

    Args:
        operations: everything that it would do, in its order.
        reasons: why it may not simply run; empty exactly when it is allowed.
    """

    decision: Decision
    operations: tuple[Operation, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def effects(self) -> frozenset[Effect]:
        """Every effect that it has."""
        return frozenset(operation.effect for operation in self.operations)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that it runs, each once."""
        return tuple(dict.fromkeys(o.program for o in self.operations if o.program))

    @property
    def targets(self) -> tuple[str, ...]:
        """What it touches, each once."""
        return tuple(dict.fromkeys(o.target for o in self.operations if o.target))

    @property
    def normalised(self) -> tuple[tuple[str, str, str], ...]:
        """Its operations as sorted (program, effect, target): equal for two commands that do the same."""
        return tuple(sorted({(o.program, o.effect, o.target) for o in self.operations}))

    def at_least(self, decision: Decision, reason: str) -> Rating:
        """Return it tightened: a decision that is as strict already stays, and gains the reason."""
        strictest = stricter(self.decision, decision)
        if decision == "allow":
            return self
        return replace(self, decision=strictest, reasons=(*self.reasons, reason))


def stricter(*decisions: Decision) -> Decision:
    """Return the strictest; `allow` for none."""
    return max(decisions, key=DECISIONS.index, default="allow")
