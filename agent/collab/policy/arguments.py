"""Options and operands of one program, told apart as getopt(3) would, against what the policy lists.

Only listed options pass: an abbreviation (`--in-pl`), a bundle with one letter too many or a value where
none is due is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.collab.policy.words import Arg

NUMBER: Final = "-NUM"
"""Stands in a policy for -1, -20 and so on."""

ANY: Final = "any"
OPTIONAL: Final = "?"
_DIGITS: Final = re.compile(r"-\d+")


@dataclass(slots=True)
class Parsed:
    """The arguments of one program.

    Args:
        options: name and value, in their order.
        refused: what is not listed, in words.
        rest: where the operands begin, as a position in the arguments.
    """

    options: list[tuple[str, Arg | None]] = field(default_factory=list)
    operands: list[Arg] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rest: int = 0

    def given(self, names: str) -> bool:
        """Tell whether one of these options, divided by blanks, is there."""
        return bool({name for name, _ in self.options} & set(names.split()))

    def values(self, names: str) -> list[Arg]:
        """Return the values of these options."""
        wanted = set(names.split())
        return [value for name, value in self.options if name in wanted and value is not None]


def parse(
    args: Sequence[Arg],
    flags: Mapping[str, str | None],
    *,
    ordered: bool = False,
    bundle: bool = False,
    tame: bool = False,
) -> Parsed:
    """Tell options and operands apart.

    Args:
        args: everything behind the program's name.
        flags: as `agent.collab.policy.rules.Program.flags`.
        ordered: the first operand ends the options.
        bundle: the first argument may be options without their dash.
        tame: file names that look like options do no harm.
    """
    reader = _Reader(args, flags)
    reader.tame = tame
    if bundle and args and re.fullmatch(r"[A-Za-z]+", args[0].text):
        reader.short("-" + args[0].text)
    while not reader.done:
        reader.next(ordered=ordered)
    return reader.parsed


class _Reader:
    def __init__(self, args: Sequence[Arg], flags: Mapping[str, str | None]) -> None:
        self.args = args
        self.flags = flags
        self.any = ANY in flags
        self.tame = False
        self.at = 0
        self.parsed = Parsed()

    @property
    def done(self) -> bool:
        return self.at >= len(self.args)

    def next(self, *, ordered: bool) -> None:
        arg = self.args[self.at]
        text = arg.text
        if text == "--":
            self.at += 1
            self.operands_from(self.at)
        elif arg.may_be_option and not self.any and not (self.tame and arg.glob):
            self.parsed.refused.append("an argument that could be an option")
            self.operand(arg)
        elif not text.startswith("-") or text == "-":
            if ordered:
                self.operands_from(self.at)
            else:
                self.operand(arg)
        elif text.startswith("--"):
            self.long(arg)
        else:
            self.short(text)

    def operands_from(self, at: int) -> None:
        self.parsed.rest = at
        self.parsed.operands.extend(self.args[at:])
        self.at = len(self.args)

    def operand(self, arg: Arg) -> None:
        self.parsed.operands.append(arg)
        self.at += 1

    def long(self, arg: Arg) -> None:
        name, equals, value = arg.text.partition("=")
        self.at += 1
        attached = type(arg)(value, arg.glob, arg.splits) if equals else None
        known = self.flags.get(name, "no")
        if self.any and name not in self.flags:
            self.parsed.options.append((name, attached))
        elif known == "no" or (known is None and equals):
            self.refuse(arg.text)
        elif known is None or known == OPTIONAL:
            self.parsed.options.append((name, attached))
        else:
            self.value(name, known, attached)

    def short(self, text: str) -> None:
        arg = self.args[self.at]
        self.at += 1
        if text in self.flags:
            self.one(text, None)
        elif _DIGITS.fullmatch(text) and NUMBER in self.flags:
            self.parsed.options.append((NUMBER, arg))
        elif self.any:
            self.parsed.options.append((text, None))
        else:
            self.letters(text, arg)

    def letters(self, text: str, arg: Arg) -> None:
        for at in range(1, len(text)):
            name = "-" + text[at]
            known = self.flags.get(name, "no")
            if known == "no":
                self.refuse(text)
                return
            if known is None:
                self.parsed.options.append((name, None))
                continue
            rest = text[at + 1 :]
            self.one(name, type(arg)(rest, arg.glob, arg.splits) if rest else None)
            return

    def one(self, name: str, attached: Arg | None) -> None:
        known = self.flags[name]
        if known is None or known == OPTIONAL:
            self.parsed.options.append((name, attached))
        else:
            self.value(name, known, attached)

    def value(self, name: str, known: str, attached: Arg | None) -> None:
        if attached is None:
            if self.done:
                self.refuse(f"{name} without a value")
                return
            attached = self.args[self.at]
            self.at += 1
        if attached.splits or (known and attached.text not in known.split("|")):
            self.refuse(f"{name} {attached.text}")
        self.parsed.options.append((name, attached))

    def refuse(self, what: str) -> None:
        self.parsed.refused.append(what)
