from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.host.runners import (
    Busy,
    User,
    capped,
    choose,
    forget_pruned,
    prepared,
    remember,
    root_of,
    seed,
    where_is,
)

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace


def begin(workspace: Workspace, task_id: str, attempt: int = 1) -> User:
    (workspace.sessions / task_id / "attempts" / f"{attempt:03d}").mkdir(parents=True, exist_ok=True)
    return User(task_id, attempt)


def end(workspace: Workspace, user: User) -> None:
    (workspace.sessions / user.task_id / "attempts" / f"{user.attempt:03d}" / "exit").touch()


def prepare(workspace: Workspace, *names: str) -> Path:
    for name in names:
        (root_of(workspace, "t") / name).mkdir(parents=True)
    return root_of(workspace, "t")


def test_each_task_has_a_folder_of_its_own(workspace: Workspace) -> None:
    """Nothing is made before there is something to put into it."""
    first = choose(workspace, "t", begin(workspace, "a"))
    assert first == workspace.configs / "runners" / "t" / "task-a"
    assert choose(workspace, "t", begin(workspace, "a", 2)) == first
    assert choose(workspace, "t", begin(workspace, "b")) != first
    assert not (workspace.configs / "runners").exists()


def test_a_login_is_for_one_attempt_at_a_time(workspace: Workspace) -> None:
    root = prepare(workspace, "one", "two")
    a, b, c = (begin(workspace, name) for name in "abc")
    assert choose(workspace, "t", a) == root / "one"
    assert choose(workspace, "t", a) == root / "one", "asked again after a kill"
    assert choose(workspace, "t", b) == root / "two"
    assert choose(workspace, "t", c) == Busy("all 2 logins of t are in use")
    end(workspace, a)
    assert choose(workspace, "t", c) == root / "one"
    again = begin(workspace, "a", 2)
    assert choose(workspace, "t", again, before=root / "one") == Busy("all 2 logins of t are in use")
    (workspace.sessions / "b").rename(workspace.results / "b")
    assert choose(workspace, "t", again, before=root / "one") == root / "two", "another login will do"


def test_a_conversation_goes_on_where_it_lies(workspace: Workspace) -> None:
    root = prepare(workspace, "one", "two")
    a, b = begin(workspace, "a"), begin(workspace, "b")
    assert choose(workspace, "t", a) == root / "one"
    busy = choose(workspace, "t", b, before=root / "one", resume=True)
    assert isinstance(busy, Busy)
    assert "the login one of t, which is in use" in busy.reason
    end(workspace, a)
    assert choose(workspace, "t", b, before=root / "one", resume=True) == root / "one"


def test_the_conversation_of_another_task(workspace: Workspace) -> None:
    """It is found by its id; both tasks never use the folder at once."""
    old, new, third = begin(workspace, "old"), begin(workspace, "new"), begin(workspace, "third")
    folder = choose(workspace, "t", old)
    assert not isinstance(folder, Busy)
    seed(folder, {})
    remember(workspace, "t", "talk-1", str(folder))
    remember(workspace, "t", "talk-1", str(folder))
    for odd in ("../x", "", None):
        remember(workspace, "t", odd, str(folder))
    before = where_is(workspace, "t", "talk-1")
    assert before == folder
    assert isinstance(choose(workspace, "t", new, before=before, resume=True), Busy), "old is in session"
    (workspace.sessions / "old").rename(workspace.results / "old")
    assert choose(workspace, "t", new, before=before, resume=True) == folder
    assert isinstance(choose(workspace, "t", third, before=before, resume=True), Busy)
    (workspace.results / "old").rename(workspace.sessions / "old")
    assert isinstance(choose(workspace, "t", User("old", 2), before=folder), Busy)
    assert where_is(workspace, "t", "talk-2") is None


def test_as_many_at_once_as_there_are_logins(workspace: Workspace) -> None:
    assert capped({"t": 5}, workspace) == {"t": 5}
    prepare(workspace, "one", "two", "task-x", ".talks")
    (root_of(workspace, "t") / "a-file").touch()
    assert prepared(workspace, "t") == ("one", "two")
    assert capped({"t": 5, "u": 3}, workspace) == {"t": 2, "u": 3}
    assert capped({"t": 1}, workspace) == {"t": 1}
    assert capped({}, workspace) == {"t": 2}


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    seed(folder, {"a.json": b"1", ".x/deep/b.json": b"2"})
    (folder / "a.json").write_text("changed")
    seed(folder, {"a.json": b"1", ".x/deep/b.json": b"3", "c": b"4"})
    assert (folder / "a.json").read_text() == "changed"
    assert (folder / ".x" / "deep" / "b.json").read_bytes() == b"2"
    assert (folder / "c").read_bytes() == b"4"
    for path in (folder, folder / ".x", folder / ".x" / "deep"):
        assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="leads out"):
        seed(folder, {"../out": b""})


def test_the_folder_goes_with_the_result(workspace: Workspace) -> None:
    """A tombstone alone says that a task is past; prepared logins stay."""
    root = prepare(workspace, "one", "task-past", "task-kept", "task-again", "task-used")
    for name in ("past", "again", "used"):
        (workspace.tombstones / name).touch()
    (workspace.sessions / "again").mkdir()
    remember(workspace, "t", "talk-past", str(root / "task-past"))
    remember(workspace, "t", "talk-kept", str(root / "task-kept"))
    user = begin(workspace, "new")
    assert choose(workspace, "t", user, before=root / "task-used", resume=True) == root / "task-used"
    assert forget_pruned(workspace) == ("past",)
    assert where_is(workspace, "t", "talk-kept") == root / "task-kept"
    assert sorted(path.name for path in (root / ".talks").iterdir()) == ["talk-kept"]
    end(workspace, user)
    assert forget_pruned(workspace) == ("used",)
    assert sorted(path.name for path in root.iterdir() if path.name[0] != ".") == [
        *("one", "task-again", "task-kept")
    ]
