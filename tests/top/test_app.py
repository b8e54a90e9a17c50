"""The app without a terminal: what is shown, what the keys do, what it survives."""

from __future__ import annotations

import asyncio
import json
import shutil
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from textual.events import Key

from agent.fleet.layout import Fleet
from agent.top import feed
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Tasks

    from spool.workspace import Workspace

SIZES = ((80, 24), (40, 12), (200, 60), (20, 5))


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


def test_everything_is_there(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """What asks stands first, then what runs, what waits, and what is over; the first one's log is seen."""
    tasks.runs("runner", log=b"it works\n")
    tasks.runs("asker", State.WAITING_INPUT, question="may I go on?", log=b"hello\nmay I go on? ")
    tasks.waits("next")
    tasks.waits("later", held=True)
    tasks.is_over("done")
    tasks.is_over("broken", State.FAILED, reason="exit code 3")

    async def look() -> None:
        async with shown() as person:
            seen = await person.sees("hello\nmay I go on?", "2 over", "1 asks", "1 running", "2 waiting")
            order = [seen.index(f"\n{name} ") for name in ("asker", "runner", "next", "broken")]
            assert order == sorted(order)
            assert "asks: may I go on?" in seen
            assert "exit code 3" in seen
            assert "── log of asker: waiting_input" in seen
            await person.press("down")
            await person.sees("log of runner: running", "it works")

    run(look())


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_any_size_will_do(width: int, height: int, tasks: Tasks, shown: Callable[..., Any]) -> None:
    """Narrow, wide, low: the list is there, the keys work, nothing is wider than the screen."""
    for number in range(40):
        tasks.is_over(f"task-{number:02}", ago_s=number)

    async def look() -> None:
        async with shown(width, height) as person:
            await person.sees("task-00")
            await person.press("end")
            seen = await person.sees("task-39")
            assert max(len(line) for line in seen.splitlines()) <= width
            assert len(seen.splitlines()) <= height
            for key in ("question_mark", "escape", "l", "l", "l", "o", "escape", "d"):
                await person.press(key)
            await person.sees("task-39")

    run(look())


def test_a_change_is_seen(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """A task comes, asks, and is over: the list follows by itself, and so does the log."""

    async def look() -> None:
        async with shown() as person:
            await person.sees("nothing here")
            folder = tasks.runs("t", log=b"one\n")
            await person.sees("\nt ", "running", "one")
            tasks.log("t", b"two\n")
            await person.sees("one\n", "two\n")
            tasks.runs("t", State.WAITING_INPUT, question="three?")
            await person.sees("asks: three?")
            shutil.rmtree(folder)
            tasks.is_over("t", reason="all is done")
            await person.sees("all is done", "1 over", "two", without="1 asks")

    run(look())


def test_a_choice_stays_with_its_task(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """Others come and go above it."""
    for number in range(5):
        tasks.is_over(f"old-{number}", ago_s=100 + number)

    async def look() -> None:
        async with shown() as person:
            await person.sees("old-4")
            await person.press("down", "down")
            await person.sees("log of old-2")
            tasks.runs("newer")
            tasks.is_over("newest")
            await person.sees("\nnewest", "\nnewer", "log of old-2")

    run(look())


def test_the_list_is_filtered_while_one_types(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """Each letter counts; Enter keeps it, Esc shows all again."""
    tasks.is_over("apple")
    tasks.is_over("apricot", State.FAILED)
    tasks.is_over("banana", State.FAILED)

    async def look() -> None:
        async with shown() as person:
            await person.sees("apple", "apricot", "banana")
            await person.press("slash")
            await person.type("ap")
            await person.sees("apple", "apricot", without="banana")
            await person.type(" state:f")
            await person.sees("apricot", without="apple")
            await person.press("enter")
            await person.sees("log of apricot", "r retry")
            await person.press("slash")
            await person.type("qqq")
            await person.sees("nothing like this")
            await person.press("escape")
            await person.sees("apple", "apricot", "banana")

    run(look())


def test_what_is_typed_behind_a_slash_is_no_command(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """However fast it comes, as a paste or over a slow line; and a slash can be typed, too."""
    tasks.runs("t")

    async def look() -> None:
        async with shown() as person:
            await person.sees("\nt ")
            for character in "/cy/q":
                person.app.post_message(Key("slash" if character == "/" else character, character))
            await person.sees("nothing like this", "\ncy/q")

    run(look())


def test_cancel_asks_first(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """No leaves everything as it is, yes does what the command line does."""
    path = tasks.waits("later", held=True)

    async def look() -> None:
        async with shown() as person:
            await person.sees("\nlater")
            await person.press("c")
            await person.sees("Cancel later? It is held.")
            await person.press("n")
            await person.sees("\nlater", without="Cancel later?")
            assert path.exists()
            await person.press("c")
            await person.sees("Cancel later?")
            await person.press("y")
            await person.sees("later: cancelled before it started")
            assert not path.exists()

    run(look())


def test_a_running_task_is_asked_to_stop(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """By the same file as ever."""
    folder = tasks.runs("t")

    async def look() -> None:
        async with shown() as person:
            await person.sees("\nt ")
            await person.press("c", "y")
            await person.sees("t: asked to stop")
            assert (folder / "cancel").exists()

    run(look())


def test_hold_and_release(tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]) -> None:
    """One key for both: what waits is held, what is held is released."""
    tasks.waits("t")

    async def look() -> None:
        async with shown() as person:
            await person.sees("h hold")
            await person.press("h")
            await person.sees("t: on hold", " held ")
            assert (workspace.held / "t.json").exists()
            await person.press("down")
            await person.sees("h release")
            await person.press("h")
            await person.sees("t: released", " queued ")
            assert (workspace.tasks / "t.json").exists()

    run(look())


def test_retry_asks_first(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """A second run is wanted before it is asked for."""
    folder = tasks.is_over("t", State.FAILED)

    async def look() -> None:
        async with shown() as person:
            await person.sees("r retry")
            await person.press("r")
            await person.sees("Run t again? It failed.")
            assert not (folder / "retry").exists()
            await person.press("y")
            await person.sees("t: will run again")
            assert (folder / "retry").exists()

    run(look())


def test_a_tool_that_waits_is_answered(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """The whole question is seen, without what steers a terminal; the answer is a file in the session."""
    folder = tasks.runs("t", State.WAITING_INPUT, question="first line\n\x1b[2Jsecond line?")

    async def look() -> None:
        async with shown() as person:
            await person.sees("w answer")
            await person.press("w")
            await person.sees("first line", "second line?", "t asks")
            await person.type("yes, do")
            await person.press("enter")
            await person.sees("t: answered with 001.txt")
            assert (folder / "answer" / "001.txt").read_text() == "yes, do\n"
            await person.press("w")
            await person.sees("t asks")
            await person.press("escape")
            await person.sees("w answer")
            assert len(list((folder / "answer").iterdir())) == 1

    run(look())


def test_what_cannot_be_done_is_said(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """Each key has an answer for each task."""
    tasks.is_over("t")

    async def look() -> None:
        async with shown() as person:
            await person.sees("\nt ")
            for key, said in (
                ("a", "t is over"),
                ("c", "t is over already"),
                ("h", "t does not wait"),
                ("w", "t asks nothing"),
            ):
                await person.press(key)
                await person.sees(said)

    run(look())


def test_details_and_help(tasks: Tasks, shown: Callable[..., Any]) -> None:
    """All that is known of a task, and what the keys do."""
    tasks.is_over("t", text="the answer\n\x1b[2Jends here", labels=("nightly",), duration_s=3.0)

    async def look() -> None:
        async with shown(80, 40) as person:
            await person.sees("\nt ")
            await person.press("enter")
            await person.sees("succeeded: exit code 0", "the answer\nends here", "nightly", "result.json")
            await person.press("escape")
            await person.press("question_mark")
            await person.sees("filter while you type", "answer it")
            await person.press("q")
            await person.sees("log of t")
            await person.press("o")
            await person.sees("hosts")

    run(look())


def test_hostile_names_are_harmless(tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]) -> None:
    """A reason, a tool, a dropped file's name: shown, never obeyed, neither by the terminal nor as markup."""
    tasks.is_over("t", State.FAILED, reason="\x1b]0;evil\x07\x1b[2J[red]x[/red]\u202eabc", tool="[b]sh[/b]")
    (workspace.tasks / "\x1b[2Jevil[b].json").write_text("{}")
    (workspace.tasks / "\x1b[2Jevil[b].json.x").write_text("{}")

    async def look() -> None:
        async with shown(120, 24) as person:
            seen = await person.sees("[red]x[/red]", "[b]sh[/b]", "\\x1b]0;evil", "\\u202eabc")
            assert not any(unicodedata.category(c) in {"Cc", "Cf"} for c in seen.replace("\n", ""))
            for key in ("d", "escape", "c", "n", "down", "d", "escape", "c", "n"):
                await person.press(key)
            await person.sees("[red]x[/red]")

    run(look())


def test_hosts_of_a_fleet(tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]) -> None:
    """Tasks of mirrors stand in the same list, with their host; --host shows one."""
    mirror = Fleet(workspace).mirror("gpu-box")
    mirror.make()
    type(tasks)(mirror.workspace).is_over("there")
    tasks.is_over("here-too")

    async def all_of_them() -> None:
        async with shown() as person:
            await person.sees("HOST", "there", "here-too", "gpu-box")

    async def one() -> None:
        async with shown(host="gpu-box") as person:
            await person.sees("there", "on gpu-box", without="here-too")

    async def own() -> None:
        async with shown(host="here") as person:
            await person.sees("here-too", without="\nthere")

    run(all_of_them())
    run(one())
    run(own())


def test_a_request_to_a_host_is_put_into_its_mirror(
    tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]
) -> None:
    """As `aispool cancel --host` does it: the collector takes it there."""
    mirror = Fleet(workspace).mirror("gpu-box")
    mirror.make()
    type(tasks)(mirror.workspace).runs("t")

    async def look() -> None:
        async with shown(100) as person:
            await person.sees("gpu-box t ")
            await person.press("c")
            await person.sees("Cancel t on gpu-box?")
            await person.press("y")
            await person.sees("t: asked of gpu-box", "no collector works here now")

    run(look())


def test_a_workspace_that_goes_away_is_waited_for(
    tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]
) -> None:
    """Unmounted or moved: what was seen stays, it is said; what comes back in its place is shown."""
    tasks.is_over("before")
    away = workspace.root.with_name("away")

    async def look() -> None:
        async with shown() as person:
            await person.sees("before", "1 over")
            workspace.root.rename(away)
            await person.sees("before", str(workspace.root)[:20], without="1 over")
            for key in ("d", "c", "n", "h", "r", "y"):
                await person.press(key)
            assert not workspace.root.exists(), "looking made a folder where a disk will be mounted"
            away.rename(workspace.root)
            tasks.is_over("after")
            await person.sees("before", "after", "2 over")

    run(look())


def test_further_down_more_is_read(
    tasks: Tasks, shown: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not read at first comes when the choice goes down."""
    monkeypatch.setattr(feed, "FIRST_ROWS", 60)
    for number in range(150):
        tasks.is_over(f"task-{number:03}", ago_s=number)

    async def look() -> None:
        async with shown() as person:
            await person.sees("task-000", "1/150")
            await person.press("end")
            await person.sees("60/150", "task-059")
            await person.presses_until("down", "61/150")
            await person.presses_until("end", "150/150")
            await person.sees("task-149")

    run(look())


def test_a_bug_ends_it_with_its_cause(
    tasks: Tasks, shown: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the app is told what was wrong in a thread."""
    tasks.is_over("t")

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    async def look() -> None:
        async with shown() as person:
            await person.sees("\nt ")
            monkeypatch.setattr(feed.Row, "of", broken)
            tasks.is_over("u")
            await person.sees("never")

    with pytest.raises(ZeroDivisionError):
        run(look())


def test_a_damaged_task_is_shown_all_the_same(
    tasks: Tasks, workspace: Workspace, shown: Callable[..., Any]
) -> None:
    """Files that cannot be read are told, not stumbled over."""
    folder = tasks.is_over("torn")
    (folder / "result.json").write_bytes(b"\x00not json")
    (tasks.runs("odd") / "status.json").write_text(json.dumps({"state": 7}))
    (workspace.tasks / "wrong.json").write_bytes(b"\xff\xfe")

    async def look() -> None:
        async with shown() as person:
            await person.sees("torn", "odd", "wrong")
            for _ in range(3):
                await person.press("d", "escape", "down")
            await person.sees("torn")

    run(look())
