"""Rating a command line: every command in it, in chains, pipes, substitutions and behind wrappers.

Each simple command is resolved to `Operation`s (program, effect, target); what cannot be resolved is an
`opaque` one. The policy decides on each effect for the role and the host; the strictest decision stands for
all. Nothing is executed and no file is looked at: the same words rate the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.collab.policy.notes import Note
from agent.collab.policy.rating import Operation, Rating, stricter
from agent.collab.policy.resolve import Resolver

if TYPE_CHECKING:
    from agent.collab.policy.rating import Decision, Effect
    from agent.collab.policy.rules import Policy

_MEANING: Final[dict[Effect, str]] = {
    "read": "looks",
    "probe": "asks another host",
    "secret": "reads what must not leave this host",
    "network": "talks to another host",
    "write": "writes",
    "delete": "deletes",
    "control": "changes what runs",
    "execute": "runs code that cannot be judged here",
    "privilege": "acts with other rights, or gives them",
    "persist": "stays after the command",
    "wipe": "destroys for good",
    "exfiltrate": "sends what it read to another host",
    "opaque": "cannot be resolved",
}


def rate(command: str, policy: Policy, *, role: str = "executor", host: str | None = None) -> Rating:
    """Return what a command would do, and whether it may run without asking.

    Args:
        command: exactly what a shell would be given.
        policy: what decides.
        role: who proposes it.
        host: where it would run.
    """
    resolved = Resolver(policy, role, host)
    resolved.script(command)
    notes = resolved.notes
    if _leaks(notes):
        notes.append(Note(Operation("", "exfiltrate")))
    decision: Decision = "allow"
    reasons: list[tuple[Decision, str]] = []
    for note in notes:
        decided = policy.decides(note.operation.effect, role, host)
        if decided != "allow" and not note.exempt:
            decision = stricter(decision, decided)
            reasons.append((decided, _reason(note, decided)))
    reasons.sort(key=lambda reason: reason[0] != decision)  # the strictest first, else in their order
    operations = tuple(dict.fromkeys(note.operation for note in notes))
    return Rating(decision, operations, tuple(dict.fromkeys(text for _, text in reasons)))


def _leaks(notes: list[Note]) -> bool:
    """Tell whether a secret is read where something is sent."""
    effects = {note.operation.effect for note in notes}
    return "secret" in effects and bool(effects & {"network", "probe"}) and "exfiltrate" not in effects


def _reason(note: Note, decided: Decision) -> str:
    operation, why = note.operation, note.why
    what = why or _MEANING[operation.effect]
    who = operation.program or ("" if why else "it")
    target = f" ({operation.target})" if operation.target and not why else ""
    return " ".join(f"{decided}: {who} {what}{target}".replace("\0", "…").split())
