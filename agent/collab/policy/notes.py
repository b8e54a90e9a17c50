"""What a command line was found to do, one `Operation` at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.collab.policy.paths import Where, arg_is, is_kind, is_unknown
from agent.collab.policy.rating import Operation
from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.rating import Effect
    from agent.collab.policy.rules import Policy
    from agent.collab.policy.script import Redirect

_DESCRIPTOR: Final = re.compile(r"\d+-?|-")
_WRITES: Final = frozenset({">", ">>", ">|", "&>", "&>>", ">&"})
_NETWORK: Final = ("/dev/tcp/", "/dev/udp/")
_RECURSIVE: Final = re.compile(r"-[A-Za-z]*[rR][A-Za-z]*|--recursive")


@dataclass(slots=True)
class Note:
    """One thing that is done, once.

    Args:
        why: a better reason than the effect's general one.
        exempt: the policy allows the command that does it, word for word.
    """

    operation: Operation
    why: str | None = None
    exempt: bool = False


class Notes:
    """Collects what is done, in its order."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.notes: list[Note] = []
        self.where = Where()

    def add(self, program: str, effect: Effect, target: str = "", why: str | None = None) -> None:
        """Take note of one thing that is done."""
        self.notes.append(Note(Operation(program, effect, target.replace(HOLE, "…")), why))

    def opaque(self, why: str, program: str = "", args: Sequence[Arg] = ()) -> None:
        """Take note of what cannot be resolved."""
        self.add(program, "opaque", _joined(args), why)

    def redirect(self, redirect: Redirect, args: Sequence[Arg]) -> None:
        """Take note of what a redirection reads or writes."""
        if redirect.op == "<<<":
            return
        if redirect.op in {">&", "<&"} and len(args) == 1 and _DESCRIPTOR.fullmatch(args[0].text):
            return
        for arg in args or (Arg(HOLE),):
            if redirect.op == "<":
                self._reads(arg, "<")
            elif redirect.op in _WRITES:
                self.writes(arg, redirect.op)
            else:
                self.opaque(f"the redirection {redirect.op} cannot be judged")

    def _reads(self, arg: Arg, program: str) -> None:
        paths = self.policy.paths
        if arg.text.startswith(_NETWORK):
            self.add(program, "network", arg.text)
        elif is_unknown(arg, self.where):
            self.opaque("it reads a file that nobody knows", program)
        elif arg_is(paths, "secret", arg, self.where):
            self.add(program, "secret", arg.text)
        else:
            self.add(program, "read", arg.text)

    def writes(self, arg: Arg, program: str) -> None:
        """Take note of a file that is written."""
        paths, text = self.policy.paths, arg.text
        if arg.known and arg_is(paths, "sinks", arg, Where()):
            return
        if text.startswith(_NETWORK):
            self.add(program, "exfiltrate", text)
        elif HOLE not in text and arg_is(paths, "devices", arg, self.where):
            self.add(program, "wipe", text)
        elif arg_is(paths, "persist", arg, self.where):
            self.add(program, "persist", text)
        else:
            self.add(program, "write", text)

    def is_vital(self, arg: Arg) -> bool:
        """Tell whether without this and all below it a machine or a person's work is gone."""
        paths = self.policy.paths
        if arg.text in paths.vital_words:
            return not arg.below
        return HOLE not in arg.text and arg_is(paths, "vital", arg, self.where)

    def known(self, program: str, effect: Effect, args: Sequence[Arg], why: str | None = None) -> None:
        """Take note of what a program does whose arguments are not looked at closely."""
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
            self.add(program, effect, _joined(targets if why is None else args), why)
        for arg in targets:
            if effect != "delete" and arg_is(self.policy.paths, "secret", arg, self.where):
                self.add(program, "secret", arg.text)
        if effect in {"write", "delete"} and not targets:
            self.add(program, effect)

    def _worse(self, effect: Effect, arg: Arg, args: Sequence[Arg]) -> Effect:
        paths = self.policy.paths
        if HOLE not in arg.text and arg_is(paths, "devices", arg, self.where):
            return "wipe"
        recursive = any(_RECURSIVE.fullmatch(a.text) for a in args)
        if effect == "delete" and recursive and self.is_vital(arg):
            return "wipe"
        if effect == "write" and arg_is(paths, "persist", arg, self.where):
            return "persist"
        return effect


def _joined(args: Sequence[Arg]) -> str:
    return " ".join(arg.text for arg in args)
