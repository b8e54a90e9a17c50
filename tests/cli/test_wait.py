from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from agent.cli import live, wait
from agent.cli.wait import Watch, Watched
from spool.records import State
from spool.refusal import Refusal
from spool.reject import reject

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace

    Run = Callable[..., Any]


@pytest.fixture
def on_poll(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let things happen instead of sleeping, one at each poll; time passes quickly."""

    def script(*steps: Callable[[], object]) -> None:
        waiting = iter(steps)
        now_s = [0.0]

        def sleep(_seconds: float) -> None:
            now_s[0] += 10.0
            next(waiting, lambda: None)()

        monkeypatch.setattr(wait.time, "sleep", sleep)
        monkeypatch.setattr(wait.time, "monotonic", lambda: now_s[0])

    return script


def test_all_succeeded(aispool: Run, over: Run) -> None:
    """A line each, and 0."""
    over("a")
    over("b")
    assert aispool("wait", "a", "b", "a").out == "a succeeded: exit code 0\nb succeeded: exit code 0\n"


def test_one_failed(aispool: Run, over: Run) -> None:
    """A line each, and 1."""
    over("a")
    over("b", State.TIMED_OUT, reason="after 3 s")
    assert "b timed_out: after 3 s" in aispool("wait", "a", "b", code=1).out


def test_an_unknown_id_fails_at_once(aispool: Run, dropped: Run) -> None:
    """Nobody waits for a typing error."""
    dropped("a")
    assert "no task typo" in aispool("wait", "a", "typo", code=1).err


def test_from_the_drop_folder_to_the_result(
    aispool: Run, dropped: Run, running: Run, over: Run, on_poll: Callable[..., None]
) -> None:
    """A task is followed wherever it goes."""
    path = dropped()
    session: list[Any] = []

    def claimed() -> None:
        path.unlink()
        session.append(running())

    def finished() -> None:
        shutil.rmtree(session[0])
        over()

    on_poll(claimed, finished)
    assert aispool("wait", "build").out == "build succeeded: exit code 0\n"


def test_a_retry_that_was_asked_for_is_waited_for(
    aispool: Run, over: Run, on_poll: Callable[..., None]
) -> None:
    """`retry` and then `wait` waits for the new run, not for the old result."""
    folder = over(state=State.FAILED)
    (folder / "retry").touch()

    def again() -> None:
        (folder / "retry").unlink()
        over()

    on_poll(again)
    assert aispool("wait", "build").out.startswith("build succeeded")


def test_a_rejected_task_ends_the_wait(
    aispool: Run, workspace: Workspace, dropped: Run, on_poll: Callable[..., None]
) -> None:
    """It will never have a result."""
    path = dropped()
    on_poll(lambda: reject(workspace, path, Refusal("no", "mend it"), "test"))
    assert "build rejected" in aispool("wait", "build", code=1).out


def test_a_removed_task_ends_the_wait(aispool: Run, dropped: Run, on_poll: Callable[..., None]) -> None:
    """A person took it back."""
    path = dropped()
    on_poll(path.unlink)
    assert "build removed" in aispool("wait", "build", code=1).out


def test_the_time_limit(aispool: Run, running: Run, on_poll: Callable[..., None]) -> None:
    """It says what is not over, and exits with 1."""
    running()
    on_poll()
    said = aispool("wait", "--timeout", "25", "build", code=1)
    assert "build is not over: running" in said.err


def test_json(aispool: Run, over: Run) -> None:
    """One document in the end."""
    over("a")
    over("b", State.FAILED)
    document = aispool("wait", "--json", "a", "b", code=1).document
    assert document["succeeded"] is False
    assert [(task["task_id"], task["state"]) for task in document["tasks"]] == [
        ("a", "succeeded"),
        ("b", "failed"),
    ]


def test_the_live_table(workspace: Workspace, running: Run) -> None:
    """On a terminal each task has a row; brackets and escapes of a file are only text."""
    running("now", estimated_duration_s=1.0)
    watch = Watch(workspace, [Watched("now")])
    assert list(watch.look(0.0)) == []
    view = watch.tasks[0].view
    assert view is not None
    object.__setattr__(view, "reason", "[red]\x1b[2Jx")
    console = Console(width=120, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(live._table(watch))
    assert "[red]\\x1b[2Jx" in captured.get()
    assert "running" in captured.get()


def test_submit_and_wait(aispool: Run, over: Run, dropped: Run, on_poll: Callable[..., None]) -> None:
    """`submit --wait` prints the id and waits for it."""
    del dropped
    on_poll(lambda: over("mine", State.FAILED))
    said = aispool("submit", "-t", "shell", "-c", "false", "--id", "mine", "--wait", code=1)
    assert said.out.splitlines() == ["mine", "mine failed: exit code 0"]
