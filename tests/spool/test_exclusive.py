from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from spool import exclusive

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["renameat2", "link"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways: with the system call, and on a file system that does not know it."""
    if request.param == "link":
        monkeypatch.setattr(exclusive, "_renameat2", lambda *_: errno.EINVAL)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_a_file_moves_with_its_inode(tmp_path: Path) -> None:
    """Moving is renaming: same inode, and the old name is gone."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("x")
    inode = source.stat().st_ino
    exclusive.move_new(source, target)
    assert target.stat().st_ino == inode
    assert not source.exists()


@pytest.mark.usefixtures("way")
def test_a_taken_name_is_never_replaced(tmp_path: Path) -> None:
    """The file that was there first stays, and so does ours."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("ours")
    target.write_text("first")
    with pytest.raises(FileExistsError):
        exclusive.move_new(source, target)
    assert (source.read_text(), target.read_text()) == ("ours", "first")


@pytest.mark.usefixtures("way")
def test_a_dangling_link_moves_as_a_link_and_is_not_replaced(tmp_path: Path) -> None:
    """Links are names like others, wherever they lead."""
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to("/nowhere")
    exclusive.move_new(link, target)
    assert target.is_symlink()
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError):
        exclusive.move_new(tmp_path / "file", target)


@pytest.mark.usefixtures("way")
def test_a_folder_moves_and_a_full_one_is_not_replaced(tmp_path: Path) -> None:
    """Folders of input files are moved by the same function."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    with pytest.raises(FileExistsError):
        exclusive.move_new(tmp_path / "a", tmp_path / "b")
    exclusive.move_new(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c" / "x").read_text() == "a"


@pytest.mark.usefixtures("way")
def test_a_missing_source_is_said_so(tmp_path: Path) -> None:
    """Whoever is too late hears FileNotFoundError, even when the target exists."""
    (tmp_path / "there").write_text("x")
    with pytest.raises(FileNotFoundError):
        exclusive.move_new(tmp_path / "gone", tmp_path / "there")
    assert (tmp_path / "there").read_text() == "x"
