"""Which files a pipe hands on to xargs."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from agent.collab.policy import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.policy.script import Script, Step
    from agent.collab.policy.values import Values
    from agent.collab.policy.words import Arg

_HARMLESS: Final = re.compile(
    r"-[viEFwxzu]+|-[nrVbd]+|-\d+|--invert-match|--ignore-case|--null-data|--zero-terminated"
)
_FILTERS: Final = frozenset({"grep", "egrep", "fgrep", "sort", "uniq", "head", "tail"})


def producers_of(script: Script, values: Values, step: Step) -> list[Arg] | None:
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
    if not all(arg.known and _HARMLESS.fullmatch(arg.text) for arg in args[1:] if arg.text.startswith("-")):
        return False  # `grep -o` makes other names of them, `grep -r` does not even read them
    operands = [arg for arg in args[1:] if not arg.text.startswith("-")]
    return len(operands) <= (1 if "grep" in args[0].text else 0) or all(
        arg.text.isdigit() for arg in operands
    )
