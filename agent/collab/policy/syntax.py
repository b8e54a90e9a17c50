"""A command line taken apart as a shell would: the only module that knows tree-sitter-bash.

`read` turns text into flat `Step`s: simple commands in their order, each with its words, redirections and the
commands that feed its standard input, whether it stands in a loop, a subshell or a substitution. What stands
under a condition is taken as if it always ran. Everything whose meaning is not certain becomes a `problem`.

The shell that runs it is /bin/sh, the parser's is bash: where the two read the same text differently
(`[[ a && b ]]`, `((…))`, `$'…'`, brace words), it is a problem too. So is any byte that the parser skipped
as blank and a shell would not.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from agent.collab.policy import gaps
from agent.collab.policy.script import Script
from agent.collab.policy.treereader import TreeReader

if TYPE_CHECKING:
    from tree_sitter import Parser

MAX_CHARS: Final = 16_384


@cache
def _parser() -> Parser | None:
    try:
        import tree_sitter  # noqa: PLC0415 - an extra, and only policies need it
        import tree_sitter_bash  # noqa: PLC0415
    except ImportError:
        return None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def available() -> bool:
    """Tell whether commands can be parsed here."""
    return _parser() is not None


def read(text: str) -> Script:
    """Take a command line apart; what is doubtful about it stands in `problems`."""
    script = Script()
    parser = _parser()
    if parser is None:
        script.problems.append("commands cannot be parsed here: install aispool[collab]")
        return script
    if len(text) > MAX_CHARS:
        script.problems.append(f"it is longer than {MAX_CHARS} characters")
        return script
    if strange := _strange_character(text):
        script.problems.append(f"it holds {strange}")
    source = text.encode(errors="surrogateescape")
    root = parser.parse(source).root_node
    if root.has_error:
        script.problems.append("it is not a command line that can be parsed")
    reader = TreeReader(source, script)
    for doubt in gaps.doubts(root, source):
        script.doubt(doubt)
    reader.visit(root, ())
    return script


def _strange_character(text: str) -> str | None:
    for character in text:
        if character in " \t\n":
            continue
        if unicodedata.category(character)[0] in "CZ":
            return f"the invisible character U+{ord(character):04X}"
    return None
