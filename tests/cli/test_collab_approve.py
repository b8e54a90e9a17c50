"""`aispool collab approve`: what is shown is what is approved."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.commands import CommandRecord, CommandsRecord
from spool.files import make_folder
from spool.records import utc_now
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

COMMANDS = ("systemctl restart nginx", "printf 'a\tb'\nrm x", "touch \N{RIGHT-TO-LEFT OVERRIDE}x")


@pytest.fixture
def session(workspace: Workspace) -> Path:
    """A run that waits for the approval of three commands; a fourth was vetoed."""
    folder = workspace.sessions / "q"
    make_folder(folder / "collab")
    task = AcceptedTask(
        task_id="q",
        tool="collab",
        command="general",
        source_name="q.json",
        source_sha256="0" * 64,
        submitted_at=utc_now(),
    )
    (folder / "task.json").write_text(task.model_dump_json())
    rows = [
        CommandRecord(
            number=number,
            role="executor",
            command=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            purpose="mend it",
            decision="ask",
            reasons=("ask: because",),
            vetoed="no" if number == 4 else None,
        )
        for number, text in enumerate((*COMMANDS, "uptime"), 1)
    ]
    CommandsRecord(task_id="q", host="here", commands=tuple(rows)).write(folder / "collab" / "commands.json")
    return folder


def words(session: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in (session / "approve").glob("*")}


def digest(number: int) -> str:
    return hashlib.sha256(COMMANDS[number - 1].encode()).hexdigest()


def test_exact_bytes_are_shown(aispool: Any, session: Path) -> None:
    """A tab, a line break and a turn of the writing direction are seen; nothing is approved by looking."""
    done = aispool("collab", "approve", "q", "--list")
    assert "runs    systemctl restart nginx\n" in done.out
    assert r"runs    \"printf 'a\tb'\nrm x\"".replace('\\"', '"') in done.out
    assert r"'touch \u202ex'  (escaped)" in done.out
    assert digest(1) in done.out
    assert "uptime" not in done.out
    assert words(session) == {}


def test_all_that_wait_are_approved(aispool: Any, session: Path) -> None:
    """Each with the digest of its own bytes; afterwards nothing waits."""
    aispool("collab", "approve", "q")
    assert words(session) == {str(number): digest(number) for number in (1, 2, 3)}
    again = aispool("collab", "approve", "q", code=1)
    assert "no command that waits" in again.err


def test_only_some(aispool: Any, session: Path) -> None:
    """The others are declined, so that the run goes on."""
    done = aispool("collab", "approve", "q", "--only", "2")
    assert words(session) == {"1": "no", "2": digest(2), "3": "no"}
    assert "command 2 approved" in done.out


def test_declined(aispool: Any, session: Path) -> None:
    """None of them is to run."""
    aispool("collab", "approve", "q", "--decline")
    assert set(words(session).values()) == {"no"}


def test_json(aispool: Any, session: Path) -> None:
    """One document, with the exact text and what was said."""
    listed = aispool("collab", "approve", "q", "--list", "--json").document
    assert [row["command"] for row in listed["commands"]] == list(COMMANDS)
    done = aispool("collab", "approve", "q", "--only", "1", "--json").document
    assert [row["word"] for row in done["commands"]] == ["approved", "declined", "declined"]
    del session


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("q", "--only", "9"), 1, "command 9 does not wait"),
        (("q", "--only", "4"), 1, "command 4 does not wait"),
        (("q", "--only", "1", "--decline"), 2, "either --only N or --decline"),
        (("nobody",), 1, "no task nobody"),
    ],
)
def test_mistakes(aispool: Any, session: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    """Nothing is approved by a mistake."""
    done = aispool("collab", "approve", *arguments, code=code)
    assert message in done.err
    assert words(session) == {}


def test_a_changed_file_is_refused(aispool: Any, session: Path) -> None:
    """Another command beside the same digest: it says so, and approves nothing."""
    file = session / "collab" / "commands.json"
    file.write_text(file.read_text().replace("restart nginx", "restart ngimx"))
    done = aispool("collab", "approve", "q", code=1)
    assert "was changed" in done.err
    assert words(session) == {}
