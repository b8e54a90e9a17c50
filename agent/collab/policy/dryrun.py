"""The dry run of a command whose program has one: the same command with the option that changes nothing."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from agent.collab.policy import syntax
from agent.collab.policy.rate import rate
from agent.collab.policy.values import Values

if TYPE_CHECKING:
    from agent.collab.policy.rules import Policy, Program


def dry_run_of(command: str, policy: Policy, *, role: str = "executor", host: str | None = None) -> str:
    """Return the dry run, which may run without asking; empty when there is none.

    Only one plain command with nothing around it has one, since only then is it certain what the option
    is given to.
    """
    script = syntax.read(command)
    if script.problems or len(script.steps) != 1:
        return ""
    step = script.steps[0]
    if step.assignments or step.redirects:
        return ""
    alternatives = list(Values(script, policy.environment).alternatives(step.words))
    if len(alternatives) != 1 or not all(arg.known for arg in alternatives[0]):
        return ""
    words = [arg.text for arg in alternatives[0]]
    found = _option(policy.programs.get(posixpath.basename(words[0])) if words else None, words)
    if found is None:
        return ""
    position, option = found
    dry = shlex.join([*words[:position], option, *words[position:]])
    return dry if rate(dry, policy, role=role, host=host).decision == "allow" else ""


def _option(spec: Program | None, words: list[str]) -> tuple[int, str] | None:
    """Return where the option goes, and the option."""
    position = 1
    while spec is not None:
        if spec.dry_run:
            return position, spec.dry_run
        if position == len(words):
            return None
        spec = spec.subcommands.get(words[position])
        position += 1
    return None
