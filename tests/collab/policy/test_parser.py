"""The parser against another one, shfmt: no command of a chain is overlooked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.policy import syntax
from agent.collab.policy.rate import rate

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRUCTURE = re.compile(r"[;|&`$(\n]")
_SILENT = {"time", "nice", "timeout", "ionice", "xargs", "watch", "env"}
"""They add nothing to what the command behind them does, or only move it."""

SHFMT = str(Path(sys.executable).with_name("shfmt"))


def shfmt_calls(command: str) -> list[str] | None:
    """Return the first word of every simple command that shfmt sees, when it is plain; None: cannot parse."""
    done = subprocess.run(
        [SHFMT, "--to-json", "-ln", "bash"], input=command, capture_output=True, text=True, check=False
    )
    return list(_calls(json.loads(done.stdout), command.encode())) if done.returncode == 0 else None


def _calls(node: Any, source: bytes) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _calls(item, source)
    elif isinstance(node, dict):
        if node.get("Type") == "CallExpr" and node.get("Args"):
            parts = node["Args"][0].get("Parts", [])
            if len(parts) == 1 and parts[0].get("Type") == "Lit":
                yield parts[0]["Value"]
        for value in node.values():
            yield from _calls(value, source)


@pytest.fixture(scope="session", autouse=True)
def _shfmt() -> None:
    if not Path(SHFMT).exists():
        pytest.fail("shfmt is missing: install the development dependencies (shfmt-py)")


@pytest.mark.parametrize("half", ["tuning", "heldout"])
def test_no_command_that_another_parser_sees_is_overlooked(
    half: str, policy: Any, request: pytest.FixtureRequest
) -> None:
    """Every program that shfmt finds in an allowed command line was looked at."""
    looked_at = 0
    for case in request.getfixturevalue(half):
        rating = rate(case.command, policy)
        if rating.decision != "allow" or not _STRUCTURE.search(case.command):
            continue
        theirs = shfmt_calls(case.command)
        assert theirs is not None, case.command
        assert set(theirs) <= set(rating.programs) | _SILENT, case.command
        looked_at += 1
    assert looked_at > 50


def test_what_another_parser_refuses_is_not_allowed(policy: Any) -> None:
    """A command line that is none to shfmt may be anything to a shell."""
    for command in (
        "ls )",
        "ls; }",
        "if ls",
        "for x in; do ls",
        "ls 'a",
        'echo "',
        "case x in",
        "ls $(",
        "ls &&",
    ):
        assert shfmt_calls(command) is None
        assert rate(command, policy).decision != "allow", command


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("ls\r\nrm x", "invisible"),
        ("ls\N{NO-BREAK SPACE}x", "invisible"),
        ("ls \N{RIGHT-TO-LEFT OVERRIDE}x", "invisible"),
        ("r\\\nm x", "blanks"),
        ("((rm x))", "parsed"),
        ("[[ a && rm x ]]", "parsed"),
        ("[ a > b ]", "more than compare"),
        ("cat <<E\nx\nE", "heredoc"),
        ("f() { ls; }", "function"),
        ("ls &", "background"),
        ("echo {a,b}", "brace"),
        ("echo $'a'", "ansi"),
        ("echo ${!x}", "expansion"),
        ("x" * 20_000, "longer"),
    ],
)
def test_what_is_doubtful_is_said(command: str, problem: str) -> None:
    """Where bash, /bin/sh and the parser could disagree, there is a problem."""
    assert problem in " ".join(syntax.read(command).problems)


def test_without_the_parser_everything_asks(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed: nothing is allowed, and the reason says what to install."""
    monkeypatch.setattr(syntax, "_parser", lambda: None)
    rating = rate("ls", policy)
    assert rating.decision == "ask"
    assert "aispool[collab]" in rating.reasons[0]
