from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from spool import reject as module
from spool.refusal import Refusal
from spool.reject import reject
from spool.strictjson import Place
from spool.view import rejected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

WHY = Refusal("it is wrong", "mend it", field="tool", place=Place(1, 2, 3), task_id="x")


def explained(workspace: Workspace) -> dict[str, str]:
    """Return what is refused, each by what its explanation says."""
    listing = {entry.name: json.loads(entry.explanation.read_bytes()) for entry in rejected(workspace)}
    assert all(os.path.lexists(workspace.rejected / name) for name in listing)
    others = {n for n in os.listdir(workspace.rejected) if not n.endswith((".error.json", ".files"))}
    assert {n for n in others if not n.startswith(".")} == set(listing)
    return {name: body["what"] for name, body in listing.items()}


def test_the_file_is_untouched_beside_its_explanation(workspace: Workspace) -> None:
    """Same inode, same bytes; what, where and the remedy stand beside it (I4)."""
    path = workspace.tasks / "x.json"
    path.write_bytes(b"\xff{")
    (workspace.tasks / "x.why").write_text("x queued: soon")
    inode = path.stat().st_ino
    target = reject(workspace, path, WHY, "me")
    assert target == workspace.rejected / "x.json"
    assert (target.stat().st_ino, target.read_bytes()) == (inode, b"\xff{")
    body = json.loads((workspace.rejected / "x.json.error.json").read_bytes())
    assert (body["what"], body["remedy"], body["rejected_by"]) == ("it is wrong", "mend it", "me")
    assert body["where"] == {"field": "tool", "line": 1, "column": 2, "byte": 3}
    assert not (workspace.tasks / "x.why").exists()
    assert reject(workspace, path, WHY, "me") is None


def test_input_files_come_along(workspace: Workspace) -> None:
    """They must not be inherited by the next file of this name."""
    (workspace.tasks / "x.json").write_text("{")
    (workspace.tasks / "x.files").mkdir()
    (workspace.tasks / "x.files" / "a").write_text("a")
    reject(workspace, workspace.tasks / "x.json", WHY, "me")
    assert (workspace.rejected / "x.json.files" / "a").read_text() == "a"
    assert not (workspace.tasks / "x.files").exists()


def test_the_files_of_a_claim_come_along(workspace: Workspace) -> None:
    """A claimed file that turns out to be wrong has its files in the claim."""
    claim = workspace.agent("a") / "x"
    (claim / "source").mkdir(parents=True)
    (claim / "files").mkdir()
    (claim / "source" / "x.json").write_text("{")
    reject(workspace, claim / "source" / "x.json", WHY, "me", claim / "files")
    assert (workspace.rejected / "x.json.files").is_dir()
    assert not (claim / "files").exists()


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_anything_can_be_refused(workspace: Workspace, kind: str) -> None:
    """What is no file is moved as it is, never opened and never followed."""
    path = workspace.tasks / "x.json"
    make: dict[str, Callable[[], Any]] = {
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
        "folder": path.mkdir,
    }
    for number in range(2):
        make[kind]()
        before = path.lstat()
        target = reject(workspace, path, WHY, "me")
        assert target is not None
        assert target.name == ("x.json", "x~2.json")[number]
        assert (target.lstat().st_ino, target.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert len(explained(workspace)) == 2


@pytest.mark.parametrize("name", ["x" * 250 + ".json", "漢" * 83 + ".json", "x" * 245 + ".json", "a\nb.json"])
def test_the_longest_names_again_and_again(workspace: Workspace, name: str) -> None:
    """A name of 255 bytes leaves no room for a suffix or a number, and is refused all the same."""
    for number in range(3):
        (workspace.tasks / name).write_text(str(number))
        if len(os.fsencode(name)) <= 254:
            (workspace.tasks / f"{name.removesuffix('.json')}.files").mkdir()
        target = reject(workspace, workspace.tasks / name, WHY, "me")
        assert target is not None
        assert target.read_text() == str(number)
    assert len(explained(workspace)) == 3
    assert not [n for n in os.listdir(workspace.tasks) if n != "held"]


def test_a_file_named_like_an_explanation(workspace: Workspace) -> None:
    """`x.json.error.json` can be dropped, too; neither hides the other."""
    for name in ("x.json.error.json", "x.json", "x.json.error.json"):
        (workspace.tasks / name).write_text("{")
        assert reject(workspace, workspace.tasks / name, WHY, "me")
    files = [n for n in os.listdir(workspace.rejected) if (workspace.rejected / n).read_text() == "{"]
    assert len(files) == 3


def test_killed_anywhere_it_goes_on_to_the_same_end(workspace: Workspace, killer: Any) -> None:
    """After any kill the file is in one place, and doing it again explains it once (I4, I5)."""
    path = workspace.tasks / "x.json"

    def prepare() -> Callable[[], Any]:
        for folder in (workspace.tasks, workspace.rejected):
            for entry in folder.iterdir():
                if entry.is_dir() and entry.name != "held":
                    shutil.rmtree(entry)
                elif entry.is_file():
                    entry.unlink()
        path.write_text("{")
        (workspace.tasks / "x.files").mkdir()
        return lambda: reject(workspace, path, WHY, "me")

    for _ in killer.deaths(prepare):
        assert path.exists() != (workspace.rejected / "x.json").exists()
        reject(workspace, path, WHY, "me")
        assert explained(workspace) == {"x.json": "it is wrong"}
        assert (workspace.rejected / "x.json.files").exists()


def test_an_old_explanation_is_not_taken_for_a_new_file(workspace: Workspace) -> None:
    """Inode numbers are used again: a person removed the refused file, and drops another wrong one."""
    path = workspace.tasks / "x.json"
    path.write_text("{")
    target = reject(workspace, path, WHY, "me")
    assert target is not None
    target.rename(path)  # the same inode
    path.write_text("{{")
    assert reject(workspace, path, Refusal("it is wrong in another way", "mend it"), "me") == target
    assert explained(workspace) == {"x.json": "it is wrong in another way"}


def test_a_file_replaced_in_that_moment_is_not_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person mends the file just when it is refused: the mended one stays where it is."""
    path = workspace.tasks / "x.json"
    path.write_text("{")
    real = module._reserve

    def mended(*arguments: Any) -> Path:
        target = real(*arguments)
        new = path.with_name(".new")
        new.write_text("mended")
        new.rename(path)
        return target

    monkeypatch.setattr(module, "_reserve", mended)
    assert reject(workspace, path, WHY, "me") is None
    assert path.read_text() == "mended"
    assert not list(workspace.rejected.iterdir())


def test_another_file_that_takes_the_name_first_is_not_replaced(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever appears in rejected/ between the two steps stays there."""
    path = workspace.tasks / "x.json"
    path.write_text("{")
    real = module._reserve

    def taken(*arguments: Any) -> Path:
        target = real(*arguments)
        if target.name == "x.json":
            target.write_text("of another")
        return target

    monkeypatch.setattr(module, "_reserve", taken)
    target = reject(workspace, path, WHY, "me")
    assert target == workspace.rejected / "x~2.json"
    assert target.read_text() == "{"
    assert (workspace.rejected / "x.json").read_text() == "of another"


def test_two_agents_that_refuse_the_same_file(workspace: Workspace) -> None:
    """Both see the bad file; it is refused once, and its explanation stays."""
    with ThreadPoolExecutor(2) as pool:
        for number in range(60):
            path = workspace.tasks / f"x{number}.json"
            path.write_text("{")
            barrier = Barrier(2)

            def one(path: Path = path, barrier: Barrier = barrier) -> Path | None:
                barrier.wait()
                return reject(workspace, path, WHY, "me")

            outcomes = [future.result() for future in [pool.submit(one), pool.submit(one)]]
            assert sum(o is not None for o in outcomes) == 1
    assert explained(workspace) == {f"x{number}.json": "it is wrong" for number in range(60)}


def test_many_files_of_one_name_at_once(workspace: Workspace) -> None:
    """Nothing is lost or replaced when many are refused under one name."""
    sources = []
    for number in range(40):
        folder = workspace.agent("a") / f"t{number}" / "source"
        folder.mkdir(parents=True)
        (folder / "x.json").write_text(str(number))
        sources.append(folder / "x.json")
    with ThreadPoolExecutor(8) as pool:
        targets = list(pool.map(lambda path: reject(workspace, path, WHY, "me"), sources))
    assert len(set(targets)) == 40
    assert len(explained(workspace)) == 40
    assert {(workspace.rejected / n).read_text() for n in explained(workspace)} == {str(n) for n in range(40)}
