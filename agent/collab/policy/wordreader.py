"""The words of a parsed command line: quotes, variables, substitutions and computations as `Part`s."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from agent.collab.policy.words import Part, Word, double_quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from agent.collab.policy.script import Redirect, Script

WORDS: Final = frozenset(
    {
        "word",
        "string",
        "raw_string",
        "number",
        "concatenation",
        "simple_expansion",
        "expansion",
        "command_substitution",
        "process_substitution",
        "arithmetic_expansion",
    }
)
"""Types of the parser's nodes that are a word."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAFE_EXPANSION: Final = re.compile(r"[A-Za-z_]\w*(?:[#%]|:?-)")
_ARITHMETIC: Final = frozenset(
    {"binary_expression", "unary_expression", "parenthesized_expression", "postfix_expression"}
)
_COMPARES: Final = frozenset({"==", "!=", "<=", ">="})
_SPECIAL: Final = frozenset({"++", "--", "?", "$["})


class WordReader(ABC):
    """Turns nodes into words; the commands in substitutions go to `visit`.

    Args:
        source: the command line's bytes.
        script: what is found, and what is doubtful about it.
    """

    def __init__(self, source: bytes, script: Script) -> None:
        self.source = source
        self.script = script

    @abstractmethod
    def visit(self, node: Node, fed_by: tuple[int, ...]) -> None:
        """Take the commands below a node."""

    @abstractmethod
    def substitution(self, node: Node) -> None:
        """Take the commands of a substitution."""

    @abstractmethod
    def redirects(self, node: Node, fed_by: tuple[int, ...]) -> Iterator[Redirect]:
        """Yield the redirections that belong to a node."""

    def text(self, node: Node) -> str:
        """Return a node as it was written."""
        return self.source[node.start_byte : node.end_byte].decode(errors="surrogateescape")

    def children(self, nodes: list[Node], fed_by: tuple[int, ...]) -> None:
        """Take the commands below several nodes."""
        for node in nodes:
            self.visit(node, fed_by)

    def word(self, node: Node) -> Word:
        """Return a word."""
        return Word(tuple(self._parts(node)))

    def _parts(self, node: Node) -> Iterator[Part]:
        match node.type:
            case "word" | "number":
                yield from self._plain(self.text(node))
                self.children(node.named_children, ())
            case "raw_string":
                yield Part(self.text(node)[1:-1], quoted=True)
            case "string":
                yield from self._string(node)
            case "concatenation":
                yield from self._concatenation(node)
            case "simple_expansion":
                yield self._variable(self.text(node)[1:])
            case "expansion":
                yield from self._expansion(node)
            case "command_substitution":
                self.substitution(node)
                yield Part(None)
            case "process_substitution":
                self.substitution(node)
                yield Part("/dev/fd/63", quoted=True)
            case "arithmetic_expansion":
                names = tuple(self._arithmetic(node))
                yield Part(None, arithmetic=names)
            case kind:
                self.script.doubt(f"it holds a {kind.replace('_', ' ')}")
                self.children(node.named_children, ())
                yield Part(None)

    def _plain(self, text: str) -> Iterator[Part]:
        parts, doubt = unquoted(text)
        if doubt:
            self.script.doubt(doubt)
        yield from parts

    def _string(self, node: Node) -> Iterator[Part]:
        at = node.start_byte + 1
        for child in (c for c in node.children if c.is_named and c.type != "string_content"):
            yield self._quoted(at, child.start_byte)
            for part in self._parts(child):
                yield part.as_quoted()
            at = child.end_byte
        yield self._quoted(at, node.end_byte - 1)

    def _quoted(self, start: int, end: int) -> Part:
        text, doubt = double_quoted(self.source[start:end].decode(errors="surrogateescape"))
        if doubt:
            self.script.doubt(doubt)
        return Part(text, quoted=True)

    def _concatenation(self, node: Node) -> Iterator[Part]:
        plain = "".join(self.text(c) for c in node.children if c.type in {"word", "brace_expression"})
        if "{" in plain and ("," in plain or ".." in plain):
            self.script.doubt("it holds a brace word")
        at = node.start_byte
        for child in node.children:
            if child.start_byte != at:
                self.script.doubt("a word has a gap")
            if child.is_named:
                yield from self._parts(child)
            elif child.type == "$" and child.end_byte == node.end_byte:
                yield Part("$")
            else:
                self.script.doubt(f"a word holds {child.type!r}")
            at = child.end_byte

    def _variable(self, name: str) -> Part:
        return Part(None, variable=name)

    def _expansion(self, node: Node) -> Iterator[Part]:
        inner = self.text(node)[2:-1]
        if _NAME.fullmatch(inner):
            yield self._variable(inner)
            return
        if re.fullmatch(r"#[A-Za-z_]\w*", inner):
            yield Part(None, arithmetic=())
            return
        # a default, or a prefix or suffix taken off: the value is unknown, and nothing more happens
        if not _SAFE_EXPANSION.match(inner):
            self.script.doubt("it holds an expansion that can do more than give a value")
        self.children([c for c in node.named_children if c.type not in {"variable_name", "regex"}], ())
        yield Part(None)

    def _arithmetic(self, node: Node) -> Iterator[str]:
        for child in node.named_children:
            if child.type == "variable_name":
                yield self.text(child)
            elif child.type == "simple_expansion":
                yield self.text(child)[1:]
            elif child.type in _ARITHMETIC:
                yield from self._arithmetic(child)
            elif child.type != "number" or not self.text(child).isalnum():
                self.script.doubt("it computes with more than numbers and names")
                self.visit(child, ())
        operators = {c.type for c in node.children if not c.is_named} - _COMPARES
        if any(operator in _SPECIAL or operator.endswith("=") for operator in operators):
            self.script.doubt("it assigns while it computes")
