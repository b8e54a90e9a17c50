"""From the words of a command to what it does: programs, wrappers, redirections, nested scripts."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from agent.collab.policy import find, syntax
from agent.collab.policy.arguments import parse
from agent.collab.policy.paths import Where, is_kind
from agent.collab.policy.programs import Judged, judge
from agent.collab.policy.rating import Operation
from agent.collab.policy.values import Values
from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.rating import Effect
    from agent.collab.policy.rules import Policy, Program
    from agent.collab.policy.syntax import Redirect, Script, Step

DEPTH: Final = 5
_TRUSTED: Final = re.compile(r"(?:/usr)?(?:/local)?/s?bin/[^/]+")
_DESCRIPTOR: Final = re.compile(r"\d+-?|-")
_FILTERS: Final = frozenset("grep egrep fgrep sort uniq head tail".split(" "))


class Resolver:
    """Collects what one command line does.

    Args:
        operations: everything found, in its order.
        why: for some operations, a better reason than the effect's general one.
        exempted: operations of commands that the policy allows word for word.
    """

    def __init__(self, policy: Policy, role: str, host: str | None) -> None:
        self.policy = policy
        self.role = role
        self.host = host
        self.operations: list[Operation] = []
        self.why: dict[Operation, str] = {}
        self.exempted: set[Operation] = set()
        self.where = Where()
        self.depth = 0

    def add(self, program: str, effect: Effect, target: str = "", why: str | None = None) -> None:
        """Take note of one thing that is done."""
        operation = Operation(program, effect, target.replace(HOLE, "…"))
        self.operations.append(operation)
        if why is not None:
            self.why[operation] = why

    def opaque(self, why: str, program: str = "") -> None:
        """Take note of what cannot be resolved."""
        self.add(program, "opaque", why=why)

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
        for position, step in enumerate(script.steps):
            self._step(script, values, step, position)
        for secret in values.secrets:
            self.add("", "secret", f"${secret}")
        for doubt in values.doubts:
            self.opaque(doubt)
        if not script.steps and not script.problems:
            self.opaque("it is empty")
        self.depth -= 1

    def _step(self, script: Script, values: Values, step: Step, position: int) -> None:
        self._assignments(script, step)
        for redirect in step.redirects:
            for args in values.of_word(redirect.target):
                self._redirect(redirect, args)
        if not step.words:
            return
        first = len(self.operations)
        for args in values.alternatives(step.words):
            self.command(args, _producers(script, values, step))
        fed = any(script.steps[feeder].words for feeder in step.fed_by)
        done = self.operations[first:]
        if (fed or any(r.op == "<" for r in step.redirects)) and any(o.effect == "network" for o in done):
            if not self._harmless_feed(script, values, step):
                self.add("", "exfiltrate", why="sends what it is fed to another host")
        words = next(values.alternatives(step.words), ())
        if (
            all(a.known for a in words)
            and not step.assignments
            and not step.redirects
            and not script.problems
        ):
            if self.policy.excepted(tuple(a.text for a in words), self.role, self.host):
                self.exempted |= {o for o in done if o.effect not in _NEVER}
        del position

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
        names = self.policy.environment
        for name, value in step.assignments:
            exported = bool(step.words) or name in script.exported
            text = "".join(part.text or HOLE for part in value.parts)
            if f"{name}={text}" in names.harmless_values:
                continue
            harmless = any(fnmatchcase(name, pattern) for pattern in names.harmless)
            dangerous = any(fnmatchcase(name.upper(), pattern) for pattern in names.dangerous)
            if dangerous or (exported and not harmless):
                self.add("", "execute", f"{name}=", f"sets {name}, which can change what programs do")
        for name in script.exported - {name for name, _ in step.assignments}:
            if name in script.variables and not any(fnmatchcase(name, p) for p in names.harmless):
                self.add("", "execute", f"{name}=", f"sets {name}, which can change what programs do")

    def _redirect(self, redirect: Redirect, args: Sequence[Arg]) -> None:
        if redirect.op == "<<<":
            return
        if redirect.op in {">&", "<&"} and len(args) == 1 and _DESCRIPTOR.fullmatch(args[0].text):
            return
        for arg in args or (Arg(HOLE),):
            if redirect.op == "<":
                self._reads(arg, "<")
            elif redirect.op in {">", ">>", ">|", "&>", "&>>", ">&"}:
                self.writes(arg, redirect.op)
            else:
                self.opaque(f"the redirection {redirect.op} cannot be judged")

    def _reads(self, arg: Arg, program: str) -> None:
        paths = self.policy.paths
        if arg.text.startswith("/dev/tcp/") or arg.text.startswith("/dev/udp/"):
            self.add(program, "network", arg.text)
        elif HOLE in arg.text or (self.where.lost and not arg.text.startswith("/")):
            self.opaque("it reads a file that nobody knows", program)
        elif is_kind(paths, "secret", arg.text, self.where):
            self.add(program, "secret", arg.text)
        else:
            self.add(program, "read", arg.text)

    def writes(self, arg: Arg, program: str) -> None:
        """Take note of a file that is written."""
        paths, text = self.policy.paths, arg.text
        if arg.known and is_kind(paths, "sinks", text, Where()):
            return
        if text.startswith(("/dev/tcp/", "/dev/udp/")):
            self.add(program, "exfiltrate", text)
        elif is_kind(paths, "devices", text, self.where):
            self.add(program, "wipe", text)
        elif is_kind(paths, "persist", text, self.where):
            self.add(program, "persist", text)
        else:
            self.add(program, "write", text)

    def command(self, args: Sequence[Arg], producers: list[Arg] | None = None, *, depth: int = 0) -> None:
        """Resolve one program and its arguments.

        Args:
            args: its name first.
            producers: what xargs hands to its command; None when nobody knows.
            depth: how many wrappers stand around it.
        """
        if not args:
            return
        name = args[0].text
        if not args[0].known or name.startswith("-"):
            self.opaque("runs a program whose name is not known before it runs")
            return
        if depth > DEPTH:
            self.opaque("commands are nested too deeply")
            return
        program = posixpath.basename(name)
        if "/" in name and not _TRUSTED.fullmatch(posixpath.normpath(name)):
            self.add(program, "execute", name, f"{name} is no program of the system")
            return
        if program in {"cd", "pushd"}:
            self.where.go(args[1].text if len(args) > 1 else "~")
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
            self._grammar(program, spec, args[1:], producers, depth)
        else:
            self._judged(program, judge(self.policy, spec, program, args[1:], self.where), args[1:])

    def _judged(self, program: str, judged: Judged, args: Sequence[Arg]) -> None:
        for effect, target, why in judged.operations:
            self.add(program, effect, target, why)
        if judged.refused:
            effect = judged.otherwise or self.policy.known_effect(program) or "opaque"
            why = (
                f"is given {judged.refused[0]!r}, which its rules do not list" if effect == "opaque" else None
            )
            self._known(program, effect, args, why)

    def unlisted(self, program: str, args: Sequence[Arg]) -> None:
        """Take note of a program without rules."""
        effect = self.policy.known_effect(program)
        if effect is None:
            self.opaque("is no program that the policy knows", program)
        else:
            self._known(program, effect, args)

    def _known(self, program: str, effect: Effect, args: Sequence[Arg], why: str | None = None) -> None:
        targets = [arg for arg in args if not arg.text.startswith(("-", "+")) or arg.text == "-"]
        for arg in args:
            value = arg.text.partition("=")[2]
            if value and is_kind(self.policy.paths, "devices", value, self.where) and program == "dd":
                self.add(program, "wipe", value)
        if effect in {"write", "delete"}:
            for arg in targets:
                kind = self._worse(effect, arg, args)
                self.add(program, kind, arg.text)
        else:
            self.add(program, effect, targets[0].text if targets else "", why)
        for arg in targets:
            if effect != "delete" and is_kind(self.policy.paths, "secret", arg.text, self.where):
                self.add(program, "secret", arg.text)
        if effect in {"write", "delete"} and not targets:
            self.add(program, effect)

    def _worse(self, effect: Effect, arg: Arg, args: Sequence[Arg]) -> Effect:
        paths = self.policy.paths
        if is_kind(paths, "devices", arg.text, self.where):
            return "wipe"
        recursive = any(re.fullmatch(r"-[A-Za-z]*[rR][A-Za-z]*|--recursive", a.text) for a in args)
        if effect == "delete" and recursive and is_kind(paths, "vital", arg.text, self.where):
            return "wipe"
        if effect == "write" and is_kind(paths, "persist", arg.text, self.where):
            return "persist"
        return effect

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
            self.opaque(f"is given {parsed.refused[0]!r}, which its rules do not list", program)
            return
        inner = parsed.operands[operands:]
        if inner:
            self.command(inner, producers, depth=depth + 1)
        elif parsed.operands or operands:
            self.opaque("is given no command", program)

    def _grammar(
        self, program: str, spec: Program, args: Sequence[Arg], producers: list[Arg] | None, depth: int
    ) -> None:
        match spec.grammar:
            case "find":
                self._find(program, args, depth)
            case "xargs":
                self._xargs(program, spec, args, producers, depth)
            case "shell":
                self._shell(program, spec, args)
            case "watch":
                self._watch(program, spec, args)
            case "env":
                self._env(program, spec, args, producers, depth)
            case "command":
                parsed = parse(args, spec.flags, ordered=True)
                if parsed.refused:
                    self.opaque(f"is given {parsed.refused[0]!r}", program)
                elif parsed.given("-v -V"):
                    self.add(program, "read")
                else:
                    self.command(parsed.operands, producers, depth=depth + 1)
            case "ssh":
                self._ssh(program, spec, args)
            case None:
                pass

    def _find(self, program: str, args: Sequence[Arg], depth: int) -> None:
        search = find.examine(args)
        for root in search.roots or [Arg(".")]:
            self.add(program, "read", root.text)
        for refused in search.refused:
            self.opaque(f"is given {refused}", program)
        for effect, target in search.effects:
            if effect == "write":
                self.writes(Arg(target), program)
            else:
                vital = is_kind(self.policy.paths, "vital", target, self.where)
                self.add(program, "wipe" if vital else effect, target)
        for command in search.runs:
            self.command(find.filled(command, search.found()), depth=depth + 1)

    def _xargs(
        self, program: str, spec: Program, args: Sequence[Arg], producers: list[Arg] | None, depth: int
    ) -> None:
        parsed = parse(args, spec.flags, ordered=True)
        if parsed.refused:
            self.opaque(f"is given {parsed.refused[0]!r}, which its rules do not list", program)
        found = producers if producers is not None else [Arg(HOLE, splits=True)]
        inner = parsed.operands or [Arg("echo")]
        replaced = [value.text for value in parsed.values("-I --replace -i")]
        if replaced and replaced != ["{}"]:
            inner = [Arg(arg.text.replace(replaced[0], "{}") if replaced[0] else arg.text) for arg in inner]
        inner = find.filled(inner, found) if replaced else [*inner, *found]
        self.command(inner, depth=depth + 1)

    def _shell(self, program: str, spec: Program, args: Sequence[Arg]) -> None:
        parsed = parse(args, spec.flags, ordered=True)
        text = parsed.operands[0] if parsed.operands else None
        if parsed.refused or not parsed.given("-c") or text is None or not text.known:
            self.add(program, "execute", text.text if text else "")
        else:
            self.script(text.text)

    def _watch(self, program: str, spec: Program, args: Sequence[Arg]) -> None:
        parsed = parse(args, spec.flags, ordered=True)
        if parsed.refused or not parsed.operands or not all(arg.known for arg in parsed.operands):
            self.add(program, "execute")
        else:
            self.script(" ".join(arg.text for arg in parsed.operands))

    def _env(
        self, program: str, spec: Program, args: Sequence[Arg], producers: list[Arg] | None, depth: int
    ) -> None:
        parsed = parse(args, spec.flags, ordered=True)
        operands = list(parsed.operands)
        if parsed.refused:
            self.opaque(f"is given {parsed.refused[0]!r}, which its rules do not list", program)
        names = self.policy.environment
        while operands and re.match(r"[A-Za-z_]\w*=", operands[0].text):
            assigned = operands.pop(0)
            name = assigned.text.partition("=")[0]
            harmless = any(fnmatchcase(name, pattern) for pattern in names.harmless)
            if not harmless and assigned.text not in names.harmless_values:
                self.add(program, "execute", f"{name}=", f"sets {name}, which can change what programs do")
        if operands:
            self.command(operands, producers, depth=depth + 1)
        else:
            self.add(program, "secret", why="prints every variable, keys and tokens among them")

    def _ssh(self, program: str, spec: Program, args: Sequence[Arg]) -> None:
        parsed = parse(args, spec.flags, ordered=True)
        target = parsed.operands[0].text if parsed.operands else ""
        self.add(program, "network", target)
        if parsed.refused:
            self.opaque(f"is given {parsed.refused[0]!r}, which its rules do not list", program)
        self.add(program, "execute", target, "runs a command on another host")
        if all(arg.known for arg in parsed.operands[1:]) and len(parsed.operands) > 1:
            self.script(" ".join(arg.text for arg in parsed.operands[1:]))


_NEVER: Final = frozenset({"wipe", "exfiltrate", "persist", "privilege"})


def _producers(script: Script, values: Values, step: Step) -> list[Arg] | None:
    """Return the files that a find in front of filters hands on; None when nobody knows them."""
    found: list[Arg] = []
    for position, feeder in enumerate(step.fed_by):
        words = script.steps[feeder].words
        alternatives = list(values.alternatives(words))
        if len(alternatives) != 1 or not alternatives[0]:
            return None
        args = alternatives[0]
        name = posixpath.basename(args[0].text)
        if position == 0:
            if name != "find":
                return None
            search = find.examine(args[1:])
            if search.refused or search.runs or any(a.text == "-printf" for a in args):
                return None
            found = search.found()
        elif name not in _FILTERS or not _reads_stdin_only(args):
            return None
    return found or None


def _reads_stdin_only(args: Sequence[Arg]) -> bool:
    """Tell whether a filter has no file of its own: at most one operand, the pattern of a grep."""
    operands = [arg for arg in args[1:] if not arg.text.startswith("-")]
    return len(operands) <= (1 if "grep" in args[0].text else 0) or all(
        arg.text.isdigit() for arg in operands
    )
