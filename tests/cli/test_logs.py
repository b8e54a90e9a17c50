from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.inspect import follow
from agent.inspect.follow import Follower, last_lines
from spool.records import Output, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def test_the_log_without_what_steers_a_terminal(aispool: Run, workspace: Workspace, over: Run) -> None:
    """Colours are taken out, --raw leaves them in, -n takes the last lines."""
    over()
    (workspace.logs / "shell-build.log").write_bytes(b"one\n\x1b[31mtwo\x1b[0m\nthree\r\n")
    assert aispool("logs", "build").out == "one\ntwo\nthree\n"
    assert aispool("logs", "-n", "2", "build").out == "two\nthree\n"
    assert "\x1b[31m" in aispool("logs", "--raw", "build").out


def test_the_rotated_part_comes_first(aispool: Run, workspace: Workspace, over: Run) -> None:
    """NAME.1 is what NAME was."""
    over()
    (workspace.logs / "shell-build.log.1").write_text("old\n")
    (workspace.logs / "shell-build.log").write_text("new\n")
    assert aispool("logs", "build").out == "old\nnew\n"
    assert aispool("logs", "-n", "2", "build").out == "old\nnew\n"
    assert aispool("logs", "-f", "build").out == "old\nnew\n"
    assert aispool("logs", "-f", "-n", "1", "build").out == "new\n"


def test_without_a_log_the_attempts_files(aispool: Run, over: Run) -> None:
    """A log that was pruned does not hide what the result keeps."""
    folder = over(output=Output(log="logs/shell-build.log"))
    (folder / "attempts" / "001").mkdir(parents=True)
    (folder / "attempts" / "001" / "stdout").write_text("kept\n")
    assert aispool("logs", "build").out == "kept\n"
    assert aispool("logs", "-f", "build").out == "kept\n"


def test_the_lines_as_one_document(aispool: Run, workspace: Workspace, over: Run) -> None:
    """--json prints them as a person sees them; -n and --raw count here, too."""
    over()
    (workspace.logs / "shell-build.log.1").write_bytes(b"old\n")
    (workspace.logs / "shell-build.log").write_bytes(b"\x1b[31mtwo\x1b[0m\n\n\xffend")
    document = aispool("logs", "--json", "build").document
    assert (document["task_id"], document["state"]) == ("build", "succeeded")
    assert document["lines"] == ["old", "two", "", "\ufffdend"]
    assert aispool("logs", "--json", "-n", "2", "build").document["lines"] == ["", "\ufffdend"]
    assert aispool("logs", "--json", "--raw", "build").document["lines"][1] == "\x1b[31mtwo\x1b[0m"


def test_a_document_of_nothing(aispool: Run, dropped: Run) -> None:
    """A task that has printed nothing has no lines, and says why; 1, as without --json."""
    dropped()
    document = aispool("logs", "--json", "build", code=1).document
    assert (document["state"], document["lines"]) == ("queued", [])


def test_a_stream_is_no_document(aispool: Run, over: Run) -> None:
    """-f and --json together are a usage error."""
    over()
    assert "--json" in aispool("logs", "-f", "--json", "build", code=2).err


def test_a_waiting_task_has_no_log_yet(aispool: Run, dropped: Run) -> None:
    """It says so, and why."""
    dropped()
    assert "queued" in aispool("logs", "build", code=1).err


def test_following_ends_with_the_task(
    aispool: Run, workspace: Workspace, running: Run, over: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come later are printed, those written just before the end too."""
    session = running()
    log = workspace.logs / "shell-build.log"
    steps = iter(["one\n", "two\n", None])

    def happen(_seconds: float) -> None:
        step = next(steps)
        with log.open("a") as file:
            file.write(step or "last\n")
        if step is None:
            (session / "status.json").unlink()
            (session / "task.json").unlink()
            over("build", State.FAILED)

    monkeypatch.setattr(follow.time, "sleep", happen)
    assert aispool("logs", "-f", "build").out == "one\ntwo\nlast\n"


def test_a_rotation_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before the rename is read from the open file, then the new file from its start."""
    log = tmp_path / "x.log"
    log.write_text("a")
    happened: list[int] = []

    def rotate(_seconds: float) -> None:
        with log.open("a") as file:
            file.write("b")
        log.rename(tmp_path / "x.log.1")
        log.write_text("c")
        happened.append(1)

    monkeypatch.setattr(follow.time, "sleep", rotate)
    assert b"".join(Follower(log, 0.1).pieces(until=lambda: bool(happened))) == b"abc"


def test_a_truncated_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how copytruncate of logrotate works."""
    log = tmp_path / "x.log"
    log.write_text("long text")
    happened: list[int] = []

    def truncate(_seconds: float) -> None:
        log.write_text("new")
        happened.append(1)

    monkeypatch.setattr(follow.time, "sleep", truncate)
    assert b"".join(Follower(log, 0.1).pieces(until=lambda: bool(happened))) == b"long textnew"


def test_last_lines_span_files(tmp_path: Path) -> None:
    """A follower goes on where they end."""
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("3\n")
    follower = Follower(tmp_path / "b", 0.1)
    assert last_lines([tmp_path / "a", tmp_path / "b"], 2, follower) == [b"2\n", b"3\n"]
    assert follower.offset == 2
