from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Said

    from spool.workspace import Workspace


@pytest.fixture
def logged(workspace: Workspace) -> None:
    audit.append(workspace, "asked", who="ana", task_id="t1", question="¿por qué está lento?")
    audit.append(workspace, "proposed", who="executor", task_id="t1", command="rm -rf \x1b[2J/tmp/x")
    audit.append(workspace, "asked", who="eva", task_id="t2", question="why is it slow?")


@pytest.mark.usefixtures("logged")
def test_a_log_that_holds(aispool: Callable[..., Said]) -> None:
    """It says how many entries hold, and the digest that one may keep elsewhere."""
    said = aispool("audit", "verify")
    assert said.out.startswith("3 entries hold; the last is 3 ")
    anchor = said.out.split()[-1]
    assert aispool("audit", "verify", "--anchor", anchor).code == 0
    assert "anchor" in aispool("audit", "verify", "--anchor", "0" * 64, code=1).err
    document = aispool("audit", "verify", "--json").document
    assert (document["ok"], document["bad"], document["last"]) == (True, None, {"n": 3, "sha256": anchor})


@pytest.mark.usefixtures("logged")
def test_a_changed_line_is_named(workspace: Workspace, aispool: Callable[..., Said]) -> None:
    """With its file, its number, and exit code 1."""
    path = workspace.logs / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"executor", b"somebody"))
    said = aispool("audit", "verify", code=1)
    assert f"{path}:2: it is not what was written" in said.err
    assert "1 entries before it hold" in said.err
    assert aispool("audit", "verify", "--json", code=1).document["ok"] is False


def test_nothing_logged_yet(aispool: Callable[..., Said]) -> None:
    """A new workspace has no log, and that is no fault."""
    assert aispool("audit", "verify").out == "nothing has been logged yet\n"
    assert aispool("audit", "search").out == "no entry is like that\n"


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [1, 2, 3]),
        (["--task", "t1"], [1, 2]),
        (["--event", "asked"], [1, 3]),
        (["--who", "eva"], [3]),
        (["POR QUÉ"], [1]),
        (["rm -rf", "--task", "t2"], []),
        (["--since", "1h"], [1, 2, 3]),
    ],
)
def test_entries_are_found(aispool: Callable[..., Said], arguments: list[str], numbers: list[int]) -> None:
    """By task, event, person, time, and by any words in them."""
    found = aispool("audit", "search", *arguments, "--json").document["entries"]
    assert [entry["n"] for entry in found] == numbers


@pytest.mark.usefixtures("logged")
def test_what_was_logged_does_not_steer_a_terminal(aispool: Callable[..., Said]) -> None:
    """An escape sequence in a proposed command is shown, not obeyed; JSON escapes it."""
    assert "\x1b" not in aispool("audit", "search").out
    said = aispool("audit", "search", "--json")
    assert "\x1b" not in said.out
    assert json.loads(said.out)["entries"][1]["details"]["command"] == "rm -rf \x1b[2J/tmp/x"


def test_a_time_that_is_none(aispool: Callable[..., Said]) -> None:
    """It is a usage error."""
    assert "is not a time" in aispool("audit", "search", "--since", "yesterday", code=2).err
