"""A command line taken apart as a shell would: the only module that knows tree-sitter-bash.

`read` turns text into flat `Step`s: simple commands in their order, each with its words, redirections and the
commands that feed its standard input, whether it stands in a loop, a subshell or a substitution. What stands
under a condition is taken as if it always ran. Everything whose meaning is not certain becomes a `problem`.

The shell that runs it is /bin/sh, the parser's is bash: where the two read the same text differently
(`[[ a && b ]]`, `((…))`, `$'…'`, brace words), it is a problem too. So is any byte that the parser skipped
as blank and a shell would not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from agent.collab.policy.words import Part, Word, double_quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node, Parser

MAX_CHARS: Final = 16_384
_BLANK: Final = re.compile(rb"(?:[ \t\n]|(?<=[ \t\n])\\\n)*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
_PUNCTUATION: Final = frozenset(
    [
        ";",
        "&&",
        "||",
        "|",
        "|&",
        "(",
        ")",
        "{",
        "}",
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "for",
        "in",
        "do",
        "done",
        "while",
        "until",
        "case",
        "esac",
        ";;",
        "!",
        "$(",
        "`",
        "<(",
        ">(",
        "\n",
    ]
)
_WORDS: Final = frozenset(
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
_UNARY: Final = frozenset(
    [
        "-b",
        "-c",
        "-d",
        "-e",
        "-f",
        "-g",
        "-h",
        "-k",
        "-L",
        "-n",
        "-p",
        "-r",
        "-s",
        "-S",
        "-t",
        "-u",
        "-w",
        "-x",
        "-z",
        "-G",
        "-N",
        "-O",
        "!",
    ]
)
_BINARY: Final = frozenset(["=", "==", "!=", "-nt", "-ot", "-ef"])
_NUMERIC: Final = frozenset(["-eq", "-ne", "-lt", "-le", "-gt", "-ge"])
_ARITHMETIC: Final = frozenset(
    {"binary_expression", "unary_expression", "parenthesized_expression", "postfix_expression"}
)


@dataclass(frozen=True, slots=True)
class Redirect:
    """One redirection: `op` is `<`, `>`, `>>`, `<<<` …"""

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
        exported: names that `export` or `declare` hand to the programs.
        problems: why it is not certain what it would do.
    """

    steps: list[Step] = field(default_factory=list)
    variables: dict[str, list[Word]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


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
    root = parser.parse(text.encode(errors="surrogateescape")).root_node
    if root.has_error:
        script.problems.append("it is not a command line that can be parsed")
    reader = _Reader(text.encode(errors="surrogateescape"), script)
    reader.check_gaps(root)
    reader.visit(root, ())
    return script


def _strange_character(text: str) -> str | None:
    for character in text:
        if character in " \t\n":
            continue
        if unicodedata.category(character)[0] in "CZ":
            return f"the invisible character U+{ord(character):04X}"
    return None


class _Reader:
    """Walks the tree; each method adds to the script."""

    def __init__(self, source: bytes, script: Script) -> None:
        self.source = source
        self.script = script

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode(errors="surrogateescape")

    def doubt(self, why: str) -> None:
        if why not in self.script.problems:
            self.script.problems.append(why)

    def check_gaps(self, node: Node) -> None:
        """Doubt whatever the parser took for blank, and words that touch each other."""
        inside_text = node.type in {"string", "expansion", "heredoc_body", "ansi_c_string"}
        at = node.start_byte
        before: Node | None = None
        for child in node.children:
            gap = self.source[at : child.start_byte]
            if not inside_text and not _BLANK.fullmatch(self.source, at, child.start_byte):
                self.doubt("blanks in it are not what a shell takes for blanks")
            if (
                not gap
                and before is not None
                and node.type == "command"
                and {before.type, child.type} <= _WORDS | {"command_name", "$"}
            ):
                self.doubt("two of its words touch")
            if child.type == "comment" and at == child.start_byte and before is not None and before.is_named:
                self.doubt("a # stands inside a word")
            self.check_gaps(child)
            at, before = child.end_byte, child
        if node.parent is None and self.source[at:].strip(b" \t\n"):
            self.doubt("its end cannot be parsed")

    def visit(self, node: Node, fed_by: tuple[int, ...]) -> None:
        match node.type:
            case "command":
                self.command(node, fed_by)
            case "redirected_statement":
                self.redirected(node, fed_by)
            case "pipeline":
                self.pipeline(node, fed_by)
            case "for_statement":
                self.loop(node, fed_by)
            case "case_item":
                self.children(node.children_by_field_name("value"), ())
                self.children(
                    [c for c in node.named_children if c.type not in _WORDS | {"extglob_pattern"}], fed_by
                )
                if any(not c.is_named and c.type not in {";;", "|", ")", "("} for c in node.children):
                    self.doubt("a case falls through")
            case "variable_assignment":
                self.assign(node)
            case "declaration_command":
                self.declaration(node)
            case "unset_command" | "function_definition" | "c_style_for_statement":
                self.doubt(f"it holds a {node.type.removesuffix('_statement').replace('_', ' ')}")
                self.children(node.named_children, fed_by)
            case "test_command":
                self.test(node)
            case "comment" | "extglob_pattern" | "regex" | "variable_name":
                pass
            case kind if kind in _GROUPS:
                self.group(node, fed_by)
            case kind if kind in _WORDS:
                self.word(node)
            case kind:
                self.doubt(f"it holds a {kind.replace('_', ' ')}")
                self.children(node.named_children, fed_by)

    def children(self, nodes: list[Node], fed_by: tuple[int, ...]) -> None:
        for node in nodes:
            self.visit(node, fed_by)

    def group(self, node: Node, fed_by: tuple[int, ...]) -> None:
        for child in node.children:
            if child.is_named:
                self.visit(child, fed_by)
            elif child.type == "&":
                self.doubt("it leaves a command in the background")
            elif child.type not in _PUNCTUATION:
                self.doubt(f"it holds {child.type!r}")

    def pipeline(self, node: Node, fed_by: tuple[int, ...]) -> None:
        for child in node.children:
            if not child.is_named:
                continue
            first = len(self.script.steps)
            self.visit(child, fed_by)
            fed_by = (*fed_by, *range(first, len(self.script.steps)))

    def redirected(self, node: Node, fed_by: tuple[int, ...]) -> None:
        redirects = tuple(self.redirects(node, fed_by))
        for child in node.children_by_field_name("body"):
            if child.type == "command":
                self.command(child, fed_by, redirects)
                redirects = ()
            else:
                self.visit(child, fed_by)
        if redirects:
            self.script.steps.append(Step(redirects=redirects, fed_by=fed_by))

    def redirects(self, node: Node, fed_by: tuple[int, ...]) -> Iterator[Redirect]:
        for child in node.named_children:
            if child.type == "file_redirect":
                op = next((self.text(c) for c in child.children if not c.is_named), "?")
                for target in child.children_by_field_name("destination"):
                    yield Redirect(op, self.word(target))
            elif child.type == "herestring_redirect":
                yield from (Redirect("<<<", self.word(c)) for c in child.named_children if c.type in _WORDS)
            elif child.type == "heredoc_redirect":
                self.doubt("it holds a heredoc")
                self.children([c for c in child.named_children if not c.type.startswith("heredoc_")], fed_by)
                self.children([c for c in child.named_children if c.type == "heredoc_body"], ())

    def command(self, node: Node, fed_by: tuple[int, ...], redirects: tuple[Redirect, ...] = ()) -> None:
        words: list[Word] = []
        assignments: list[tuple[str, Word]] = []
        for child in node.children:
            if child.type == "variable_assignment":
                assignments.append(self.assignment(child))
            elif child.type == "command_name":
                words.extend(self.word(c) for c in child.named_children)
            elif child.type in _WORDS:
                words.append(self.word(child))
            elif child.type.endswith("_redirect"):
                continue
            elif child.type == "$" and not child.is_named:
                words.append(Word((Part("$"),)))
            else:
                self.doubt(f"one of its words is a {child.type.replace('_', ' ')}")
                self.children([child] if child.is_named else [], ())
                words.append(Word((Part(None),)))
        redirects = (*redirects, *self.redirects(node, fed_by))
        self.script.steps.append(Step(tuple(words), tuple(assignments), redirects, fed_by))

    def loop(self, node: Node, fed_by: tuple[int, ...]) -> None:
        names = node.children_by_field_name("variable")
        values = [self.word(value) for value in node.children_by_field_name("value")]
        if self.text(node.children[0]) != "for":
            self.doubt("it holds a select")
        for name in names:
            # without `in` it runs over the positional parameters
            self.script.variables.setdefault(self.text(name), []).extend(values or [Word((Part(None),))])
        for body in node.children_by_field_name("body"):
            self.visit(body, fed_by)

    def assignment(self, node: Node) -> tuple[str, Word]:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        operator = next((c.type for c in node.children if not c.is_named), "=")
        if name is None or name.type != "variable_name" or operator != "=":
            self.doubt("it assigns to more than a plain name")
            self.children(node.named_children, ())
            return (self.text(node).partition("=")[0], Word((Part(None),)))
        if value is None:
            return self.text(name), Word(())
        if value.type not in _WORDS:
            self.doubt(f"it assigns a {value.type.replace('_', ' ')}")
            self.visit(value, ())
            return self.text(name), Word((Part(None),))
        return self.text(name), self.word(value)

    def assign(self, node: Node) -> None:
        name, value = self.assignment(node)
        self.script.variables.setdefault(name, []).append(value)
        self.script.steps.append(Step(assignments=((name, value),)))

    def declaration(self, node: Node) -> None:
        keyword = self.text(node.children[0])
        if keyword not in {"export", "local", "readonly"}:
            self.doubt(f"{keyword} can do more than assign")
        for child in node.named_children:
            if child.type == "variable_assignment":
                self.assign(child)
                self.script.exported.add(self.text(child).partition("=")[0])
            elif child.type == "variable_name":
                self.script.exported.add(self.text(child))
            else:
                self.doubt(f"{keyword} is given more than names")
                self.visit(child, ())

    def test(self, node: Node) -> None:
        double = node.children[0].type == "[["
        for child in _leaves(node):
            kind, text = child.type, self.text(child)
            if not child.is_named and kind in {"[", "]", "[[", "]]", "(", ")"} and kind not in "()":
                continue
            if kind == "test_operator" or not child.is_named:
                known = text in _UNARY | _BINARY or (text in _NUMERIC and not double)
                known = known or (not double and text in {"-a", "-o"})
                if not known:
                    self.doubt(f"{text} in a test can do more than compare")
            elif kind in _WORDS:
                self.word(child)
            elif kind == "extglob_pattern" and re.fullmatch(r"[\w.*?/:@%+=-]*", text):
                continue
            else:
                self.doubt(f"a test holds a {kind.replace('_', ' ')}")
                self.visit(child, ())
        self.script.steps.append(Step((Word((Part("["),)),)))

    def word(self, node: Node) -> Word:
        return Word(tuple(self.parts(node)))

    def parts(self, node: Node) -> Iterator[Part]:
        match node.type:
            case "word" | "number":
                yield from self.plain(self.text(node))
                self.children(node.named_children, ())
            case "raw_string":
                yield Part(self.text(node)[1:-1], quoted=True)
            case "string":
                yield from self.string(node)
            case "concatenation":
                yield from self.concatenation(node)
            case "simple_expansion":
                yield self.variable(self.text(node)[1:])
            case "expansion":
                yield from self.expansion(node)
            case "command_substitution" | "process_substitution":
                self.visit_substitution(node)
                yield Part(None)
            case "arithmetic_expansion":
                names = tuple(self.arithmetic(node))
                yield Part(None, arithmetic=names)
            case kind:
                self.doubt(f"it holds a {kind.replace('_', ' ')}")
                self.children(node.named_children, ())
                yield Part(None)

    def visit_substitution(self, node: Node) -> None:
        if any(c.type.endswith("_redirect") for c in node.named_children):
            yielded = tuple(self.redirects(node, ()))
            self.script.steps.append(Step(redirects=yielded))
        if (
            self.source[node.start_byte : node.start_byte + 1] == b"`"
            and b"\\" in self.source[node.start_byte : node.end_byte]
        ):
            self.doubt("a backslash stands between backquotes")
        for child in node.children:
            if child.type.endswith("_redirect") or not child.is_named:
                continue
            self.visit(child, ())
        if any(c.type == "&" for c in node.children):
            self.doubt("it leaves a command in the background")

    def plain(self, text: str) -> Iterator[Part]:
        parts, doubt = unquoted(text)
        if doubt:
            self.doubt(doubt)
        yield from parts

    def string(self, node: Node) -> Iterator[Part]:
        at = node.start_byte + 1
        for child in (c for c in node.children if c.is_named and c.type != "string_content"):
            yield self.quoted(at, child.start_byte)
            for part in self.parts(child):
                yield part.as_quoted()
            at = child.end_byte
        yield self.quoted(at, node.end_byte - 1)

    def quoted(self, start: int, end: int) -> Part:
        text, doubt = double_quoted(self.source[start:end].decode(errors="surrogateescape"))
        if doubt:
            self.doubt(doubt)
        return Part(text, quoted=True)

    def concatenation(self, node: Node) -> Iterator[Part]:
        plain = "".join(self.text(c) for c in node.children if c.type in {"word", "brace_expression"})
        if "{" in plain and ("," in plain or ".." in plain):
            self.doubt("it holds a brace word")
        at = node.start_byte
        for child in node.children:
            if child.start_byte != at:
                self.doubt("a word has a gap")
            if child.is_named:
                yield from self.parts(child)
            elif child.type == "$" and child.end_byte == node.end_byte:
                yield Part("$")
            else:
                self.doubt(f"a word holds {child.type!r}")
            at = child.end_byte

    def variable(self, name: str) -> Part:
        return Part(None, variable=name)

    def expansion(self, node: Node) -> Iterator[Part]:
        inner = self.text(node)[2:-1]
        if _NAME.fullmatch(inner):
            yield self.variable(inner)
            return
        if re.fullmatch(r"#[A-Za-z_]\w*", inner):
            yield Part(None, arithmetic=())
            return
        # a default, or a prefix or suffix taken off: the value is unknown, and nothing more happens
        if not re.match(r"[A-Za-z_]\w*(?:[#%]|:?-)", inner):
            self.doubt("it holds an expansion that can do more than give a value")
        self.children([c for c in node.named_children if c.type not in {"variable_name", "regex"}], ())
        yield Part(None)

    def arithmetic(self, node: Node) -> Iterator[str]:
        for child in node.named_children:
            if child.type == "variable_name":
                yield self.text(child)
            elif child.type == "simple_expansion":
                yield self.text(child)[1:]
            elif child.type in _ARITHMETIC:
                yield from self.arithmetic(child)
            elif child.type != "number" or not self.text(child).isalnum():
                self.doubt("it computes with more than numbers and names")
                self.visit(child, ())
        if any(
            (not c.is_named and c.type in {"=", "++", "--", "?", "$["}) or c.type.endswith("=")
            for c in node.children
            if c.type not in {"==", "!=", "<=", ">="}
        ):
            self.doubt("it assigns while it computes")


def _leaves(node: Node) -> Iterator[Node]:
    """Yield the operators and operands of a test."""
    for child in node.children:
        if child.type in {"unary_expression", "binary_expression", "parenthesized_expression"}:
            yield from _leaves(child)
        else:
            yield child
