"""One program's arguments against its rules in the policy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.collab.policy import awk, sed
from agent.collab.policy.arguments import Parsed, parse
from agent.collab.policy.network import plain_host, plain_url
from agent.collab.policy.paths import Where, arg_is, is_kind, is_unknown
from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.rating import Effect
    from agent.collab.policy.rules import Policy, Program

_PORT: Final = re.compile(r"\d{1,5}")
_JQ: Final = re.compile(r"\benv\b|\$ENV|\b(?:import|include|input_filename|get_search_list|modulemeta)\b")


@dataclass(slots=True)
class Judged:
    """What a program does with its arguments.

    Args:
        operations: effect, target, and sometimes why.
        refused: arguments that its rules do not list.
        otherwise: what it may do with those; None when nobody knows.
    """

    operations: list[tuple[Effect, str, str | None]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    otherwise: Effect | None = None


def judge(
    policy: Policy,
    spec: Program,
    program: str,
    args: Sequence[Arg],
    where: Where,
    before: frozenset[str] = frozenset(),
) -> Judged:
    """Hold a program's arguments against its rules; `before` are options in front of a subcommand."""
    judged = Judged(otherwise=spec.otherwise)
    parsed = parse(
        args, spec.flags, ordered=spec.ordered or bool(spec.subcommands), bundle=spec.bundle, tame=spec.tame
    )
    given = before | {name for name, _ in parsed.options}
    if spec.obeys_folder and (folder := _hostile_folder(policy, parsed, where)) is not None:
        return Judged([("execute", folder, f"does what settings in {folder or 'that folder'} say")])
    if spec.subcommands:
        return _subcommand(policy, spec, program, parsed, where, given)
    judged.refused.extend(parsed.refused)
    if spec.requires and not given & set(spec.requires.split()):
        judged.refused.append(f"no {spec.requires.split(' ')[0]}")
    if spec.values is not None:
        given_values = [value.text for _, value in parsed.options if value is not None]
        judged.refused.extend(text for text in given_values if not re.fullmatch(spec.values, text))
    if spec.uploads and any(re.match(spec.uploads, arg.text) for arg in args):
        judged.operations.append(("exfiltrate", args[-1].text, None))
    operands = _without_first(spec, parsed, judged)
    if spec.most is not None and len(operands) > spec.most:
        judged.refused.append(operands[-1].text)
    if spec.matches is not None:
        judged.refused.extend(arg.text for arg in operands if not re.fullmatch(spec.matches, arg.text))
    if spec.last is not None and operands and not re.fullmatch(spec.last, operands[-1].text):
        judged.refused.append(operands[-1].text)
    _Operands(policy, spec, where, judged).check(
        operands, tree=bool(spec.recursive and parsed.given(spec.recursive))
    )
    if not spec.public:
        _option_values(policy, parsed, where, judged)
    return judged


def _hostile_folder(policy: Policy, parsed: Parsed, where: Where) -> str | None:
    """Return a folder in which anybody may have put settings that run commands; None when there is none."""
    folders = [Arg(base) for base in where.bases if base]
    folders += [arg for name, arg in parsed.options if name == "-C" and arg is not None]
    for folder in folders:
        known = folder.text.startswith(("/", "~/")) and not is_unknown(folder, where)
        if not known or is_kind(policy.paths, "untrusted", folder.text, where):
            return folder.text
    return "" if where.lost else None


def _subcommand(
    policy: Policy, spec: Program, program: str, parsed: Parsed, where: Where, given: frozenset[str]
) -> Judged:
    name = parsed.operands[0] if parsed.operands else Arg("")
    chosen = spec.subcommands.get(name.text) if name.known else None
    rest = parsed.operands[1:] if name.text else []
    if chosen is None or (not name.text and spec.requires and not given & set(spec.requires.split())):
        return Judged(refused=[name.text or "nothing"], otherwise=spec.otherwise)
    judged = judge(policy, chosen, program, rest, where, given)
    judged.refused.extend(parsed.refused)
    judged.otherwise = judged.otherwise or spec.otherwise
    judged.operations = [(effect, target or name.text, why) for effect, target, why in judged.operations]
    return judged


def _without_first(spec: Program, parsed: Parsed, judged: Judged) -> list[Arg]:
    """Return the operands behind a pattern or a program, which is held against its own language."""
    operands = list(parsed.operands)
    if spec.first is None:
        return operands
    scripts = parsed.values(spec.first_options)
    if not parsed.given(spec.first_options):
        if not operands:
            judged.refused.append("no pattern or program")
            return []
        scripts = [operands.pop(0)]
    if spec.first == "pattern":
        return operands
    if any(HOLE in script.text or script.splits for script in scripts):
        judged.refused.append("a program that nobody knows")
        return operands
    text = "\n".join(script.text for script in scripts)
    match spec.first:
        case "sed":
            found = sed.examine(text)
            operands += [Arg(path) for path in found.reads]
            doubt = found.doubt
        case "awk":
            doubt = awk.examine(text)
            operands = [arg for arg in operands if not re.match(r"[A-Za-z_]\w*=", arg.text)]
        case _:
            doubt = "jq tells variables of the environment" if _JQ.search(text) else None
    if doubt:
        judged.refused.append(doubt)
    return operands


class _Operands:
    def __init__(self, policy: Policy, spec: Program, where: Where, judged: Judged) -> None:
        self.policy = policy
        self.spec = spec
        self.where = where
        self.judged = judged

    def check(self, operands: list[Arg], *, tree: bool) -> None:
        kind = "tree" if tree and self.spec.operands == "content" else self.spec.operands
        if kind == "tree" and not operands:
            operands = [Arg(".")]
        for position, arg in enumerate(operands):
            if kind == "host" and position and _PORT.fullmatch(arg.text):
                continue
            self.one(kind, arg)
        if not operands or kind in {"none", "data"}:
            self.add("")

    def add(self, target: str, effect: Effect | None = None, why: str | None = None) -> None:
        self.judged.operations.append((effect or self.spec.effect, target, why))

    def one(self, kind: str, arg: Arg) -> None:
        text = arg.text
        match kind:
            case "none":
                self.judged.refused.append(text)
            case "meta":
                self.add(text)
            case "content" | "tree":
                self.content(arg, tree=kind == "tree")
            case "host":
                plain = text.startswith("+") or plain_host(text.removeprefix("@"))
                self.add(text, None if plain else "network")
            case "url":
                self.add(text, None if plain_url(text) else "network")
            case _:
                pass

    def content(self, arg: Arg, *, tree: bool) -> None:
        paths = self.policy.paths
        below = tree or arg.below
        if arg.text == "-":
            self.add("")
        elif is_unknown(arg, self.where):
            self.add(arg.text, "opaque", "prints a file that nobody knows")
        elif arg_is(paths, "secret", arg, self.where) or (
            below and arg_is(paths, "secret_trees", arg, self.where)
        ):
            self.add(arg.text, "secret")
        else:
            self.add(arg.text)


def _option_values(policy: Policy, parsed: Parsed, where: Where, judged: Judged) -> None:
    """Take note of secrets that an option names: `grep -f /etc/shadow`, `date --file=/etc/shadow`."""
    for _name, value in parsed.options:
        if (
            value is not None
            and HOLE not in value.text
            and is_kind(policy.paths, "secret", value.text, where)
        ):
            judged.operations.append(("secret", value.text, None))
