"""From the words of a command to what it does: programs, wrappers, redirections, nested scripts."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from agent.collab.policy import runners, syntax
from agent.collab.policy.arguments import parse
from agent.collab.policy.notes import Note, Notes
from agent.collab.policy.producers import producers_of
from agent.collab.policy.programs import Judged, judge
from agent.collab.policy.rating import CATASTROPHIC
from agent.collab.policy.runners import Call
from agent.collab.policy.values import Values
from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.rules import Policy
    from agent.collab.policy.script import Script, Step

DEPTH: Final = 5
_TRUSTED: Final = re.compile(r"(?:/usr)?(?:/local)?/s?bin/[^/]+")


class Resolver(Notes):
    """Finds out what one command line does."""

    def __init__(self, policy: Policy, role: str, host: str | None) -> None:
        super().__init__(policy)
        self.role = role
        self.host = host
        self.depth = 0

    def script(self, text: str) -> None:
        """Resolve a whole command line."""
        if self.depth >= DEPTH:
            self.opaque("commands are nested too deeply")
            return
        self.depth += 1
        script = syntax.read(text)
        for problem in script.problems:
            self.opaque(problem)
        values = Values(script, self.policy.environment)
        for step in script.steps:
            self._step(script, values, step)
        for secret in values.secrets:
            self.add("", "secret", f"${secret}")
        for doubt in values.doubts:
            self.opaque(doubt)
        if not script.steps and not script.problems:
            self.opaque("it is empty")
        self.depth -= 1

    def _step(self, script: Script, values: Values, step: Step) -> None:
        self._assignments(script, step)
        for redirect in step.redirects:
            for args in values.of_word(redirect.target):
                self.redirect(redirect, args)
        if not step.words:
            return
        first = len(self.notes)
        for args in values.alternatives(step.words):
            self.command(args, producers_of(script, values, step))
        fed = any(script.steps[feeder].words for feeder in step.fed_by)
        done = self.notes[first:]
        fed = fed or any(redirect.op == "<" for redirect in step.redirects)
        talks = any(note.operation.effect == "network" for note in done)
        if fed and talks and not self._harmless_feed(script, values, step):
            self.add("", "exfiltrate", why="sends what it is fed to another host")
        self._exempt(script, values, step, done)

    def _exempt(self, script: Script, values: Values, step: Step, done: list[Note]) -> None:
        words = next(values.alternatives(step.words), ())
        plain = all(arg.known for arg in words) and not (
            step.assignments or step.redirects or script.problems
        )
        if plain and self.policy.excepted(tuple(arg.text for arg in words), self.role, self.host):
            for note in done:
                note.exempt = note.operation.effect not in CATASTROPHIC

    def _harmless_feed(self, script: Script, values: Values, step: Step) -> bool:
        names = {
            args[0].text
            for feeder in step.fed_by
            for args in values.alternatives(script.steps[feeder].words)
            if args
        }
        return (
            bool(names)
            and names <= {"echo", "printf", "yes", "true", "seq"}
            and not any(r.op == "<" for r in step.redirects)
        )

    def _assignments(self, script: Script, step: Step) -> None:
        for name, value in step.assignments:
            text = "".join(part.text or HOLE for part in value.parts)
            self.variable(name, f"{name}={text}", exported=bool(step.words) or name in script.exported)

    def variable(self, name: str, assignment: str, *, exported: bool) -> None:
        """Take note of a variable that is set: one for programs can change what they do."""
        names = self.policy.environment
        if assignment in names.harmless_values:
            return
        harmless = any(fnmatchcase(name, pattern) for pattern in names.harmless)
        dangerous = any(fnmatchcase(name.upper(), pattern) for pattern in names.dangerous)
        if dangerous or (exported and not harmless):
            self.add("", "execute", f"{name}=", f"sets {name}, which can change what programs do")

    def command(self, args: Sequence[Arg], producers: list[Arg] | None = None, *, depth: int = 0) -> None:
        """Resolve one program and its arguments.

        Args:
            args: its name first.
            producers: what xargs hands to its command; None when nobody knows.
            depth: how many wrappers stand around it.
        """
        program = self._program(args, depth)
        if program is None:
            return
        if program in {"cd", "pushd"}:
            folders = [arg.text for arg in args[1:] if not arg.text.startswith("-")]
            for folder in folders or ["~"]:
                self.where.go(folder)
        wrapper = self.policy.wrappers.get(program)
        if wrapper is not None:
            if wrapper.effect is not None:
                self.add(program, wrapper.effect)
            self._wrapped(program, args[1:], wrapper.flags, wrapper.operands, producers, depth)
            return
        spec = self.policy.programs.get(program)
        if spec is None:
            self.unlisted(program, args[1:])
        elif spec.grammar is not None:
            runners.run(self, Call(program, spec, args[1:], producers, depth))
        else:
            self._judged(program, judge(self.policy, spec, program, args[1:], self.where), args[1:])

    def _program(self, args: Sequence[Arg], depth: int) -> str | None:
        """Return the program's name without its folder; None when it is none of the system's."""
        if not args:
            return None
        name = args[0].text
        program = posixpath.basename(name)
        if not args[0].known or name.startswith("-"):
            self.opaque("runs a program whose name is not known before it runs")
        elif depth > DEPTH:
            self.opaque("commands are nested too deeply")
        elif "/" in name and not _TRUSTED.fullmatch(posixpath.normpath(name)):
            self.add(program, "execute", name, f"{name} is no program of the system")
        else:
            return program
        return None

    def _judged(self, program: str, judged: Judged, args: Sequence[Arg]) -> None:
        for effect, target, why in judged.operations:
            self.add(program, effect, target, why)
        if judged.refused:
            effect = judged.otherwise or self.policy.known_effect(program) or "opaque"
            why = (
                f"is given {judged.refused[0]!r}, which its rules do not list" if effect == "opaque" else None
            )
            self.known(program, effect, args, why)

    def unlisted(self, program: str, args: Sequence[Arg]) -> None:
        """Take note of a program without rules."""
        effect = self.policy.known_effect(program)
        if effect is None:
            self.opaque("is no program that the policy knows", program, args)
        else:
            self.known(program, effect, args)

    def _wrapped(
        self,
        program: str,
        args: Sequence[Arg],
        flags: dict[str, str | None],
        operands: int,
        producers: list[Arg] | None,
        depth: int,
    ) -> None:
        parsed = parse(args, flags, ordered=True)
        if parsed.refused:
            self.opaque(f"is given {parsed.refused[0]!r}, which its rules do not list", program, args)
            return
        inner = parsed.operands[operands:]
        if inner:
            self.command(inner, producers, depth=depth + 1)
        elif parsed.operands or operands:
            self.opaque("is given no command", program)
