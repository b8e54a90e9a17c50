"""A command line taken apart: simple commands in their order, with what may stand in their variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.collab.policy.words import Word


@dataclass(frozen=True, slots=True)
class Redirect:
    """One redirection.

    Args:
        op: `<`, `>`, `>>`, `<<<` and so on.
    """

    op: str
    target: Word


@dataclass(frozen=True, slots=True)
class Step:
    """One simple command.

    Args:
        words: the program and its arguments; empty for mere assignments and redirections.
        assignments: NAME=VALUE in front of it.
        fed_by: positions of the steps whose output it reads.
    """

    words: tuple[Word, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    fed_by: tuple[int, ...] = ()


@dataclass(slots=True)
class Script:
    """A whole command line.

    Args:
        variables: every value that is given to a name anywhere in it.
        exported: names that `export` hands to the programs.
        problems: why it is not certain what it would do.
    """

    steps: list[Step] = field(default_factory=list)
    variables: dict[str, list[Word]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def doubt(self, why: str) -> None:
        """Take note of a problem, once."""
        if why not in self.problems:
            self.problems.append(why)
