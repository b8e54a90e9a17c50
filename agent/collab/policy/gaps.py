"""What stands between the words that a parser found: where it skipped more than a shell would, doubt.

tree-sitter takes a carriage return for a blank, and ends a word at a backslash before a line break; a shell
does neither.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.collab.policy.wordreader import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

_BLANK: Final = re.compile(rb"(?:[ \t\n]|(?<=[ \t\n])\\\n)*")
_BLANK_IN_LINE: Final = re.compile(rb"(?:[ \t]|(?<=[ \t\n])\\\n)*")
_ONE_LINE: Final = frozenset(
    {
        "command",
        "redirected_statement",
        "file_redirect",
        "herestring_redirect",
        "variable_assignment",
        "variable_assignments",
        "declaration_command",
        "test_command",
    }
)
"""A line break ends these."""

_TEXT: Final = frozenset({"string", "expansion", "heredoc_body", "ansi_c_string"})
_PARTS: Final = WORDS | {"command_name", "$"}


def doubts(root: Node, source: bytes) -> Iterator[str]:
    """Yield what is doubtful about the gaps below a node."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield from _of(node, source)
        todo.extend(node.children)
    end = root.children[-1].end_byte if root.children else root.start_byte
    if source[end:].strip(b" \t\n") or source[: root.start_byte].strip(b" \t\n"):
        yield "its end cannot be parsed"


def _of(node: Node, source: bytes) -> Iterator[str]:
    at = node.start_byte
    before: Node | None = None
    blank = _BLANK_IN_LINE if node.type in _ONE_LINE else _BLANK
    for child in node.children:
        if node.type not in _TEXT and not blank.fullmatch(source, at, child.start_byte):
            yield "blanks in it are not what a shell takes for blanks"
        if before is not None and at == child.start_byte:
            if node.type == "command" and {before.type, child.type} <= _PARTS:
                yield "two of its words touch"
            if child.type == "comment" and before.is_named:
                yield "a # stands inside a word"
        at, before = child.end_byte, child
