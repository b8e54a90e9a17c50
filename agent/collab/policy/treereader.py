"""The commands of a parsed command line, one `Step` each, whatever stands around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.collab.policy.script import Redirect, Step
from agent.collab.policy.wordreader import WORDS, WordReader
from agent.collab.policy.words import Part, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tree_sitter import Node

_GROUPS: Final = frozenset(
    {
        "program",
        "list",
        "do_group",
        "compound_statement",
        "subshell",
        "if_statement",
        "elif_clause",
        "else_clause",
        "while_statement",
        "negated_command",
        "variable_assignments",
        "case_statement",
        "command_substitution",
        "process_substitution",
    }
)
_NOTHING: Final = frozenset({"comment", "extglob_pattern", "regex", "variable_name"})
_PUNCTUATION: Final = frozenset(
    {*";!|&(){}`\n", ";;", "&&", "||", "|&", "$(", "<(", ">("}
    | {"if", "then", "else", "elif", "fi", "for", "in", "do", "done", "while", "until", "case", "esac"}
) - {"&"}
_UNARY: Final = frozenset({"!", *(f"-{letter}" for letter in "bcdefghkLnprsStuwxzGNO")})
_BINARY: Final = frozenset({"=", "==", "!=", "-nt", "-ot", "-ef"})
_NUMERIC: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-a", "-o"})
_BRACKETS: Final = frozenset({"[", "]", "[[", "]]"})
_PATTERN: Final = re.compile(r"[\w.*?/:@%+=-]*")
_UNKNOWN: Final = Word((Part(None),))


class TreeReader(WordReader):
    """Walks the tree and adds to the script."""

    def visit(self, node: Node, fed_by: tuple[int, ...]) -> None:
        """Take the commands below a node."""
        kinds: dict[str, Callable[[Node, tuple[int, ...]], None]] = {
            "command": self._command,
            "redirected_statement": self._redirected,
            "pipeline": self._pipeline,
            "for_statement": self._loop,
            "case_item": self._case,
            "variable_assignment": self._assign,
            "declaration_command": self._declaration,
            "test_command": self._test,
        }
        kind = node.type
        if kind in kinds:
            kinds[kind](node, fed_by)
        elif kind in WORDS - {"command_substitution", "process_substitution"}:
            self.word(node)
        elif kind in _GROUPS:
            self._group(node, fed_by)
        elif kind not in _NOTHING:
            self.script.doubt(f"it holds a {kind.removesuffix('_statement').replace('_', ' ')}")
            self.children(node.named_children, fed_by)

    def _case(self, node: Node, fed_by: tuple[int, ...]) -> None:
        self.children(node.children_by_field_name("value"), ())
        self.children([c for c in node.named_children if c.type not in WORDS | _NOTHING], fed_by)
        if any(not c.is_named and c.type not in {";;", "|", ")", "("} for c in node.children):
            self.script.doubt("a case falls through")

    def _group(self, node: Node, fed_by: tuple[int, ...]) -> None:
        for child in node.children:
            if child.is_named:
                self.visit(child, fed_by)
            elif child.type == "&":
                self.script.doubt("it leaves a command in the background")
            elif child.type not in _PUNCTUATION:
                self.script.doubt(f"it holds {child.type!r}")

    def _pipeline(self, node: Node, fed_by: tuple[int, ...]) -> None:
        for child in node.children:
            if not child.is_named:
                continue
            first = len(self.script.steps)
            self.visit(child, fed_by)
            fed_by = (*fed_by, *range(first, len(self.script.steps)))

    def _redirected(self, node: Node, fed_by: tuple[int, ...]) -> None:
        redirects = tuple(self.redirects(node, fed_by))
        for child in node.children_by_field_name("body"):
            if child.type == "command":
                self._command(child, fed_by, redirects)
                redirects = ()
            else:
                self.visit(child, fed_by)
        if redirects:
            self.script.steps.append(Step(redirects=redirects, fed_by=fed_by))

    def redirects(self, node: Node, fed_by: tuple[int, ...]) -> Iterator[Redirect]:
        """Yield the redirections that belong to a node."""
        for child in node.named_children:
            if child.type == "file_redirect":
                op = next((self.text(c) for c in child.children if not c.is_named), "?")
                for target in child.children_by_field_name("destination"):
                    yield Redirect(op, self.word(target))
            elif child.type == "herestring_redirect":
                yield from (Redirect("<<<", self.word(c)) for c in child.named_children if c.type in WORDS)
            elif child.type == "heredoc_redirect":
                self.script.doubt("it holds a heredoc")
                self.children([c for c in child.named_children if not c.type.startswith("heredoc_")], fed_by)
                self.children([c for c in child.named_children if c.type == "heredoc_body"], ())

    def _command(self, node: Node, fed_by: tuple[int, ...], redirects: tuple[Redirect, ...] = ()) -> None:
        words: list[Word] = []
        assignments: list[tuple[str, Word]] = []
        for child in node.children:
            if child.type == "variable_assignment":
                assignments.append(self._assignment(child))
            elif child.type == "command_name":
                words.extend(self.word(c) for c in child.named_children)
            elif child.type in WORDS:
                words.append(self.word(child))
            elif child.type.endswith("_redirect"):
                continue
            elif child.type == "$" and not child.is_named:
                words.append(Word((Part("$"),)))
            else:
                self.script.doubt(f"one of its words is a {child.type.replace('_', ' ')}")
                self.children([child] if child.is_named else [], ())
                words.append(_UNKNOWN)
        redirects = (*redirects, *self.redirects(node, fed_by))
        self.script.steps.append(Step(tuple(words), tuple(assignments), redirects, fed_by))

    def _loop(self, node: Node, fed_by: tuple[int, ...]) -> None:
        names = node.children_by_field_name("variable")
        values = [self.word(value) for value in node.children_by_field_name("value")]
        if self.text(node.children[0]) != "for":
            self.script.doubt("it holds a select")
        for name in names:
            # without `in` it runs over the positional parameters
            self.script.variables.setdefault(self.text(name), []).extend(values or [_UNKNOWN])
        for body in node.children_by_field_name("body"):
            self.visit(body, fed_by)

    def _assignment(self, node: Node) -> tuple[str, Word]:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        operator = next((c.type for c in node.children if not c.is_named), "=")
        if name is None or name.type != "variable_name" or operator != "=":
            self.script.doubt("it assigns to more than a plain name")
            self.children(node.named_children, ())
            return (self.text(node).partition("=")[0], _UNKNOWN)
        if value is None:
            return self.text(name), Word(())
        if value.type not in WORDS:
            self.script.doubt(f"it assigns a {value.type.replace('_', ' ')}")
            self.visit(value, ())
            return self.text(name), _UNKNOWN
        return self.text(name), self.word(value)

    def _assign(self, node: Node, _fed_by: tuple[int, ...] = ()) -> None:
        name, value = self._assignment(node)
        self.script.variables.setdefault(name, []).append(value)
        self.script.steps.append(Step(assignments=((name, value),)))

    def _declaration(self, node: Node, _fed_by: tuple[int, ...]) -> None:
        keyword = self.text(node.children[0])
        if keyword not in {"export", "local", "readonly"}:
            self.script.doubt(f"{keyword} can do more than assign")
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._assign(child)
                self.script.exported.add(self.text(child).partition("=")[0])
            elif child.type == "variable_name":
                self.script.exported.add(self.text(child))
            else:
                self.script.doubt(f"{keyword} is given more than names")
                self.visit(child, ())

    def _test(self, node: Node, _fed_by: tuple[int, ...]) -> None:
        """Take `[ … ]` and `[[ … ]]`: a shell that knows no `[[` would run what stands behind && in it."""
        double = node.children[0].type == "[["
        for child in _leaves(node):
            kind, text = child.type, self.text(child)
            if kind == "test_operator" or not child.is_named:
                known = text in _UNARY | _BINARY | _BRACKETS or (text in _NUMERIC and not double)
                if not known:
                    self.script.doubt(f"{text} in a test can do more than compare")
            elif kind in WORDS:
                self.word(child)
            elif kind != "extglob_pattern" or not _PATTERN.fullmatch(text):
                self.script.doubt(f"a test holds a {kind.replace('_', ' ')}")
                self.visit(child, ())
        self.script.steps.append(Step((Word((Part("[", quoted=True),)),)))

    def substitution(self, node: Node) -> None:
        """Take the commands of a substitution, and the redirections of one like `$(< file)`."""
        redirects = tuple(self.redirects(node, ()))
        if redirects:
            self.script.steps.append(Step(redirects=redirects))
        if node.children[0].type == "`" and "\\" in self.text(node):
            self.script.doubt("a backslash stands between backquotes")
        if any(child.type == "&" for child in node.children):
            self.script.doubt("it leaves a command in the background")
        self.children([c for c in node.named_children if not c.type.endswith("_redirect")], ())


def _leaves(node: Node) -> Iterator[Node]:
    """Yield the operators and operands of a test."""
    for child in node.children:
        if child.type in {"unary_expression", "binary_expression", "parenthesized_expression"}:
            yield from _leaves(child)
        else:
            yield child
