"""Programs that run other commands in a way of their own: find, xargs, sh -c, watch, env, command, ssh."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collab.policy import find
from agent.collab.policy.arguments import Parsed, parse
from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.resolve import Resolver
    from agent.collab.policy.rules import Program


@dataclass(frozen=True, slots=True)
class Call:
    """One such program.

    Args:
        args: behind its name.
        producers: what xargs hands to its command; None when nobody knows.
        depth: how many wrappers stand around it.
    """

    program: str
    spec: Program
    args: Sequence[Arg]
    producers: list[Arg] | None
    depth: int

    def parsed(self, resolver: Resolver) -> Parsed:
        """Tell its own options from the command; what is not listed is opaque."""
        parsed = parse(self.args, self.spec.flags, ordered=True)
        if parsed.refused:
            resolver.opaque(
                f"is given {parsed.refused[0]!r}, which its rules do not list", self.program, self.args
            )
        return parsed


def run(resolver: Resolver, call: Call) -> None:
    """Resolve a program with a grammar of its own."""
    _GRAMMARS[call.spec.grammar or ""](resolver, call)


def _find(resolver: Resolver, call: Call) -> None:
    search = find.examine(call.args)
    for root in search.roots or [Arg(".")]:
        resolver.add(call.program, "read", root.text)
    for refused in search.refused:
        resolver.opaque(f"is given {refused}", call.program)
    for effect, target in search.effects:
        if effect == "write":
            resolver.writes(Arg(target), call.program)
        else:
            wipes = resolver.is_vital(Arg(target, below=bool(search.names)))
            resolver.add(call.program, "wipe" if wipes else effect, target)
    for command in search.runs:
        resolver.command(find.filled(command, search.found()), depth=call.depth + 1)


def _xargs(resolver: Resolver, call: Call) -> None:
    parsed = call.parsed(resolver)
    found = call.producers if call.producers is not None else [Arg(HOLE, splits=True)]
    inner = parsed.operands or [Arg("echo")]
    replaced = [value.text for value in parsed.values("-I --replace")]
    if not replaced:
        resolver.command([*inner, *found], depth=call.depth + 1)
        return
    mark = replaced[-1]
    inner = [Arg(arg.text.replace(mark, "{}") if mark else arg.text) for arg in inner]
    resolver.command(find.filled(inner, found), depth=call.depth + 1)


def _shell(resolver: Resolver, call: Call) -> None:
    parsed = parse(call.args, call.spec.flags, ordered=True)
    text = parsed.operands[0] if parsed.operands else None
    if parsed.refused or not parsed.given("-c") or text is None or not text.known:
        resolver.add(call.program, "execute", text.text if text else "")
    else:
        resolver.script(text.text)


def _watch(resolver: Resolver, call: Call) -> None:
    parsed = parse(call.args, call.spec.flags, ordered=True)
    if parsed.refused or not parsed.operands or not all(arg.known for arg in parsed.operands):
        resolver.add(call.program, "execute")
    else:
        resolver.script(" ".join(arg.text for arg in parsed.operands))


def _env(resolver: Resolver, call: Call) -> None:
    operands = list(call.parsed(resolver).operands)
    while operands and re.match(r"[A-Za-z_]\w*=", operands[0].text):
        resolver.variable(operands[0].text.partition("=")[0], operands.pop(0).text, exported=True)
    if operands:
        resolver.command(operands, call.producers, depth=call.depth + 1)
    else:
        resolver.add(call.program, "secret", why="prints every variable, keys and tokens among them")


def _command(resolver: Resolver, call: Call) -> None:
    parsed = call.parsed(resolver)
    if parsed.given("-v -V"):
        resolver.add(call.program, "read")
    else:
        resolver.command(parsed.operands, call.producers, depth=call.depth + 1)


def _ssh(resolver: Resolver, call: Call) -> None:
    host, *command = call.parsed(resolver).operands or [Arg("")]
    resolver.add(call.program, "network", host.text)
    resolver.add(call.program, "execute", host.text, "runs a command on another host")
    if command and all(arg.known for arg in command):
        resolver.script(" ".join(arg.text for arg in command))


_GRAMMARS = {
    "find": _find,
    "xargs": _xargs,
    "shell": _shell,
    "watch": _watch,
    "env": _env,
    "command": _command,
    "ssh": _ssh,
}
