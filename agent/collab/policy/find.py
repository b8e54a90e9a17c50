"""What find(1) would do: it looks, unless an action writes, deletes or runs a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.collab.policy.words import HOLE, Arg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.rating import Effect

_GLOBAL: Final = frozenset(["-H", "-L", "-P"])
_ALONE: Final = frozenset(
    [
        "!",
        "(",
        ")",
        ",",
        "-a",
        "-and",
        "-o",
        "-or",
        "-not",
        "-daystart",
        "-depth",
        "-d",
        "-follow",
        "-mount",
        "-xdev",
        "-noleaf",
        "-nowarn",
        "-warn",
        "-ignore_readdir_race",
        "-empty",
        "-executable",
        "-readable",
        "-writable",
        "-nouser",
        "-nogroup",
        "-false",
        "-true",
        "-print",
        "-print0",
        "-ls",
        "-prune",
        "-quit",
    ]
)
_ONE_VALUE: Final = frozenset(
    [
        "-amin",
        "-anewer",
        "-atime",
        "-cmin",
        "-cnewer",
        "-ctime",
        "-fstype",
        "-gid",
        "-group",
        "-ilname",
        "-iname",
        "-inum",
        "-ipath",
        "-iregex",
        "-iwholename",
        "-links",
        "-lname",
        "-maxdepth",
        "-mindepth",
        "-mmin",
        "-mtime",
        "-name",
        "-newer",
        "-newermt",
        "-newerat",
        "-newerct",
        "-newerma",
        "-newermm",
        "-newermc",
        "-path",
        "-perm",
        "-printf",
        "-regex",
        "-regextype",
        "-samefile",
        "-size",
        "-type",
        "-uid",
        "-used",
        "-user",
        "-wholename",
        "-xtype",
        "-context",
        "-printf",
    ]
)
_NAMES: Final = frozenset(
    ["-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename", "-regex", "-iregex", "-lname"]
)
_RUNS: Final = frozenset(["-exec", "-execdir", "-ok", "-okdir"])
_WRITES: Final = {"-fprint": 1, "-fprint0": 1, "-fls": 1, "-fprintf": 2}


@dataclass(slots=True)
class Search:
    """One find.

    Args:
        roots: where it begins.
        names: patterns that what it finds may have in its name.
        runs: the commands behind -exec, without `;` or `+`.
        effects: what else it does, to which target.
        refused: arguments that nobody knows.
    """

    roots: list[Arg] = field(default_factory=list)
    names: list[Arg] = field(default_factory=list)
    runs: list[list[Arg]] = field(default_factory=list)
    effects: list[tuple[Effect, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def found(self) -> list[Arg]:
        """Return what stands for the files that it finds, in another command."""
        roots = self.roots or [Arg(".")]
        return [Arg(root.text, below=True) for root in roots] + [
            Arg(name.text, below=True) for name in self.names
        ]


def examine(args: Sequence[Arg]) -> Search:
    """Read the arguments of a find."""
    search = Search()
    at = 0
    while at < len(args) and args[at].text in _GLOBAL:
        at += 1
    while at < len(args) and not _begins(args[at]):
        if args[at].may_be_option or HOLE in args[at].text:
            search.refused.append("a folder that nobody knows")
        search.roots.append(args[at])
        at += 1
    while at < len(args):
        at = _predicate(args, at, search)
    return search


def _begins(arg: Arg) -> bool:
    return arg.text.startswith("-") or arg.text in {"!", "(", ")", ","}


def _predicate(args: Sequence[Arg], at: int, search: Search) -> int:
    name = args[at].text
    if args[at].may_be_option or args[at].glob:
        search.refused.append("an argument that could be an action")
    elif name in _ALONE:
        pass
    elif name in _ONE_VALUE:
        at += 1
        if at >= len(args) or args[at].splits:
            search.refused.append(f"{name} without a known value")
        elif name in _NAMES:
            search.names.append(args[at])
    elif name in _RUNS:
        return _command(args, at + 1, search)
    elif name == "-delete":
        search.effects.extend(("delete", root.text) for root in search.roots or [Arg(".")])
    elif name in _WRITES:
        search.effects.append(("write", args[at + 1].text if at + 1 < len(args) else HOLE))
        at += _WRITES[name]
    else:
        search.refused.append(name)
    return at + 1


def _command(args: Sequence[Arg], at: int, search: Search) -> int:
    end = at
    while (
        end < len(args)
        and args[end].text != ";"
        and not (args[end].text == "+" and args[end - 1].text == "{}")
    ):
        end += 1
    if end == len(args):
        search.refused.append("-exec without an end")
    search.runs.append(list(args[at:end]))
    return end + 1


def filled(command: Sequence[Arg], found: Sequence[Arg]) -> list[Arg]:
    """Return a command of -exec or xargs -I with what was found in the place of {}."""
    result: list[Arg] = []
    for arg in command:
        if arg.text == "{}":
            result.extend(found)
        elif "{}" in arg.text:
            result.append(Arg(arg.text.replace("{}", HOLE)))
        else:
            result.append(arg)
    return result
