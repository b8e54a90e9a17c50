"""`aispool answer`, and how a task that waits for a person or for a rate limit is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest

from agent.service.standing import clock
from spool.answers import MAX_ANSWER_BYTES, give_answer
from spool.records import State, utc_now
from spool.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

    Run = Callable[..., Any]

ASKING = {"state": State.WAITING_INPUT, "question": "May I run\n\x1b[31mrm -r build\x1b[0m?\u202e"}


def test_an_answer_is_the_next_file(aispool: Run, running: Run, agent_lives: Path) -> None:
    """Numbered behind those that are there, ending a line, and the agent is told."""
    folder = running(**ASKING)
    assert aispool("answer", "build", "yes").err == ""
    (folder / "answer" / "007.txt").write_text("by hand\n")
    (folder / "answer" / "notes").touch()
    said = aispool("answer", "build", "no", "--json")
    assert said.document["path"] == str(folder / "answer" / "008.txt")
    assert (folder / "answer" / "001.txt").read_bytes() == b"yes\n"
    assert (folder / "answer" / "001.txt").stat().st_mode & 0o777 == 0o600
    assert (agent_lives / ".bell" / "build").exists()


def test_an_answer_from_standard_input(aispool: Run, running: Run, stdin: Callable[[bytes], None]) -> None:
    """Whole, with all its lines."""
    folder = running(**ASKING)
    stdin("erste Zeile\nzweite ä".encode())
    aispool("answer", "build", "-")
    assert (folder / "answer" / "001.txt").read_text() == "erste Zeile\nzweite ä\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b" \n", "standard input is empty"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"a\0b", "NUL character"),
        (b"x" * (MAX_ANSWER_BYTES + 1), "longer than"),
    ],
)
def test_what_is_no_answer(
    aispool: Run, running: Run, stdin: Callable[[bytes], None], content: bytes, says: str
) -> None:
    """Nothing is dropped, and it says what to do."""
    folder = running(**ASKING)
    stdin(content)
    assert says in aispool("answer", "build", "-", code=1).err
    assert not (folder / "answer").exists()


def test_enter_alone_is_an_answer(aispool: Run, running: Run) -> None:
    """A question that Enter answers is answered with an empty text."""
    folder = running(**ASKING)
    aispool("answer", "build", "")
    assert (folder / "answer" / "001.txt").read_bytes() == b"\n"


def test_a_task_that_asks_nothing_is_answered_with_a_warning(aispool: Run, running: Run) -> None:
    """It may ask at this very moment: the answer is kept for it."""
    folder = running()
    assert "build is running and asks nothing now" in aispool("answer", "build", "yes").err
    assert (folder / "answer" / "001.txt").exists()


def test_only_a_session_can_be_answered(aispool: Run, workspace: Workspace, dropped: Run, over: Run) -> None:
    """What waits, what is over and what nobody knows say what they are."""
    dropped("waits")
    over("done")
    (workspace.agents() or [workspace.agent("other")])[0].joinpath("claimed").mkdir(parents=True)
    assert "waits has not started" in aispool("answer", "waits", "yes", code=1).err
    assert "done is over already: succeeded" in aispool("answer", "done", "yes", code=1).err
    assert "claimed has not started" in aispool("answer", "claimed", "yes", code=1).err
    assert "no task nobody" in aispool("answer", "nobody", "yes", code=1).err
    aispool("answer", "waits", code=2)
    aispool("answer", "waits", "yes", "--list", code=2)


def test_a_session_that_ended_meanwhile_does_not_come_back(workspace: Workspace) -> None:
    """An answer that comes too late makes no folder in sessions/."""
    with pytest.raises(RequestError, match="no longer in session"):
        give_answer(workspace.sessions / "gone", b"yes\n")
    assert not (workspace.sessions / "gone").exists()


def test_answers_at_the_same_time_are_all_kept(running: Run) -> None:
    """Nobody's answer replaces another's."""
    folder = running(**ASKING)
    together = Barrier(8)

    def answer(number: int) -> None:
        together.wait(30)
        for _ in range(5):
            give_answer(folder, b"%d\n" % number)

    threads = [Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    files = sorted((folder / "answer").iterdir())
    assert [path.name for path in files] == [f"{number:03d}.txt" for number in range(1, 41)]
    assert sorted(path.read_text() for path in files) == sorted(f"{n}\n" for n in range(8) for _ in range(5))


def test_the_question_and_earlier_answers_are_listed(aispool: Run, running: Run) -> None:
    """Without what steers a terminal; as JSON with their times."""
    folder = running(**ASKING)
    aispool("answer", "build", "yes\x1b]0;title\x07, \x1b[2Jdo")
    (folder / "answer" / "003.txt").symlink_to("/etc/passwd")
    said = aispool("answer", "build", "--list")
    assert said.out.splitlines() == [
        "build is waiting_input: attempt 1 runs",
        "question     May I run",
        "             rm -r build?",
        "001.txt      yes, do",
        said.out.splitlines()[-1],
    ]
    assert "not a regular file" in said.out
    document = aispool("answer", "build", "--list", "--json").document
    assert document["question"] == ASKING["question"]
    assert [answer["name"] for answer in document["answers"]] == ["001.txt", "003.txt"]


def test_answers_are_still_listed_when_it_is_over(aispool: Run, over: Run) -> None:
    """What was said to it belongs to its result."""
    folder = over()
    (folder / "answer").mkdir()
    (folder / "answer" / "001.txt").write_text("yes\n")
    assert "001.txt      yes" in aispool("answer", "build", "--list").out


def test_a_question_is_shown_wherever_the_task_is(aispool: Run, running: Run) -> None:
    """`ls`, `show` and `wait` say what it asks; no byte of it steers the terminal."""
    running(**ASKING)
    listed = aispool("ls").out
    shown = aispool("show", "build").out
    waited = aispool("wait", "--timeout", "0", "build", code=1).err
    assert "asks: May I run \\x1b[31mrm -r build" in listed
    assert "asks         May I run\n             rm -r build?\n" in shown
    assert "aispool answer build TEXT" in shown
    assert "asks: May I run" in waited
    assert not {"\x1b", "\u202e"} & set(listed + shown + waited)
    (task,) = aispool("ls", "--json").document["tasks"]
    assert task["question"] == ASKING["question"]


def test_a_parked_task_says_until_when(aispool: Run, running: Run) -> None:
    """The time at which a rate limit ends, in `ls`, `show` and `wait`."""
    until = utc_now() + timedelta(hours=30)
    running(state=State.DEFERRED, next_attempt_at=until)
    local = f"{until.astimezone():%Y-%m-%d %H:%M:%S}"
    assert f"goes on at {local}" in aispool("ls").out
    assert f"goes on at {local}" in aispool("wait", "--timeout", "0", "build", code=1).err
    assert "goes on " in aispool("show", "build").out
    (task,) = aispool("ls", "--json").document["tasks"]
    assert task["next_attempt_at"].startswith(f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")


def test_a_time_of_today_has_no_date() -> None:
    """The rest does."""
    noon = datetime(2026, 11, 20, 12).astimezone()
    assert clock(noon, noon) == "12:00:00"
    assert clock(noon, noon - timedelta(days=1)) == "2026-11-20 12:00:00"


def test_an_answer_text_steers_no_terminal(aispool: Run, over: Run) -> None:
    """`show` prints the final text without sequences; its document holds it as it was said."""
    over(text="plain \x1b[31mred\x1b[0m\x1b]52;c;aGk=\x07\rover\n\u202etxt\x9b2J")
    said = aispool("show", "build").out
    assert "plain red\nover\ntxt" in said
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\r"} & set(said)
    assert "\x1b" not in aispool("show", "build", "--json").out
