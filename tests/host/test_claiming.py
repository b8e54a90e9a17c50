"""A claim whose file a network file system lists and does not find, for a while: it is not lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import AgentConfig
from agent.host.claiming import refuse
from agent.host.schedule import Limits, Waiting, WaitingIndex, plan
from agent.host.site import Site
from agent.host.why import Whys
from agent.tools.registry import Registry
from spool import files
from spool.claim import claim
from spool.files import make_folder, rename
from spool.refusal import Refusal

if TYPE_CHECKING:
    from conftest import Clock

    from spool.workspace import Workspace

TASK = '{"task_id": "a", "tool": "shell", "command": "true"}'


@pytest.fixture
def site(workspace: Workspace, clock: Clock) -> Site:
    make_folder(workspace.agent("A"))
    config = AgentConfig(allowed_paths=("/",), reserve_bytes=0)
    return Site(workspace, "A", config, Registry.load(workspace), clock.now, monotonic_s=clock)


def test_what_is_listed_and_cannot_be_looked_at_is_not_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.workspace.tasks / "a.json").write_text(TASK)
    mine = claim(site.workspace, "A", site.workspace.tasks / "a.json", "a")
    assert mine is not None
    source = mine.source
    assert source is not None
    lstat = Path.lstat

    def hides(path: Path) -> os.stat_result:
        if path == source:
            raise FileNotFoundError(errno.ENOENT, "not found", str(path))
        return lstat(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", hides)
        with pytest.raises(OSError, match="listed"):
            refuse(site, mine, Refusal("it could not be prepared", "drop it again"))
    assert source.read_text() == TASK
    refuse(site, mine, Refusal("it could not be prepared", "drop it again"))
    assert (site.workspace.rejected / "a.json").read_text() == TASK
    assert not mine.folder.exists()


def test_a_rename_whose_answer_got_lost_is_seen_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel goes on believing that nothing is there; whoever asks next must not be told so."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("x")
    real, lstat = Path.rename, Path.lstat
    believed = 3

    def loses_its_answer(path: Path, to: Path) -> None:
        real(path, to)
        raise FileNotFoundError(errno.ENOENT, "not found", str(path))

    def stale(path: Path) -> os.stat_result:
        nonlocal believed
        if path == target and believed:
            believed -= 1
            raise FileNotFoundError(errno.ENOENT, "not found", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "rename", loses_its_answer)
    monkeypatch.setattr(Path, "lstat", stale)
    rename(source, target)
    assert target.lstat().st_size == 1
    assert files.LOOKUP_S > 1


def test_no_line_is_written_about_what_is_in_no_line(site: Site, clock: Clock) -> None:
    """A task that is being claimed is known to the intake and not to the scheduler: nothing to say."""

    class Known:
        @staticmethod
        def get(task_id: str) -> object:
            return object() if task_id == "a" else None

    decided = plan(
        WaitingIndex([Waiting(task_id="b", tool="shell", submitted_at_s=0.0)]),
        Limits(slots=1),
        (),
        lambda _: None,
        clock.now().timestamp(),
    )
    Whys().write("a", Known(), decided)  # type: ignore[arg-type]
    assert os.listdir(site.workspace.tasks) == ["held"]
