from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from spool.files import (
    NotRegularError,
    TooLargeError,
    make_folder,
    move,
    names_together,
    no_writer_holds,
    open_regular,
    put,
    put_new,
    read_regular,
    remove,
    remove_tree,
    sync_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def full_disk(*_: Any) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("how", [put, put_new])
def test_a_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, how: Callable[[Path, bytes], None]
) -> None:
    """The old content stays, and no temporary file is left."""
    target = tmp_path / "status.json"
    if how is put:
        target.write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(OSError, match="No space"):
            how(target, b"new")
    assert sorted(tmp_path.iterdir()) == before
    assert how is put_new or target.read_bytes() == b"old"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write(2) may take one byte at a time."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, bytes(content)[:1]))
    put(tmp_path / "x", b"hello")
    assert (tmp_path / "x").read_bytes() == b"hello"


def test_a_killed_put_leaves_old_or_new(tmp_path: Path, killer: Any) -> None:
    """Whenever it dies, a reader sees one of the two whole contents (I6)."""
    target = tmp_path / "x"

    def prepare() -> Callable[[], None]:
        target.write_bytes(b"old")
        return lambda: put(target, b"new")

    for _ in killer.deaths(prepare):
        assert target.read_bytes() in {b"old", b"new"}
        assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["x"]
    assert target.read_bytes() == b"new"


def test_put_new_never_replaces(tmp_path: Path) -> None:
    """The first stays; a link counts as a name, too."""
    put_new(tmp_path / "x", b"first")
    (tmp_path / "link").symlink_to("/nowhere")
    for name in ("x", "link"):
        with pytest.raises(FileExistsError):
            put_new(tmp_path / name, b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 2


def test_put_new_knows_its_own_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may repeat a request and answer that the name is taken: by us."""
    real = os.link

    def done_but_refused(source: Path, target: Path) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, "repeated", str(source))

    monkeypatch.setattr(os, "link", done_but_refused)
    put_new(tmp_path / "x", b"mine")
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert (tmp_path / "x").stat().st_nlink == 1


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "漢" * 85, "😀" * 63])
@pytest.mark.parametrize("how", [put, put_new])
def test_the_longest_names_can_be_written(
    tmp_path: Path, name: str, how: Callable[[Path, bytes], None]
) -> None:
    """255 bytes are a name, in any script; its temporary file must fit, too."""
    how(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else reads what we write."""
    put(tmp_path / "x", b"")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_make_folder_refuses_a_file_in_its_place(tmp_path: Path) -> None:
    """What is there and no folder is said so."""
    (tmp_path / "x").write_text("")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        make_folder(tmp_path / "x")


def test_move_and_remove(tmp_path: Path) -> None:
    """A second mover hears that the first was faster; removing twice is fine."""
    (tmp_path / "a").write_text("x")
    move(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "a", tmp_path / "b")
    remove(tmp_path / "b")
    remove(tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A FIFO does not block, a link is not followed, and each is called what it is."""
    (tmp_path / "real").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
    kinds = {
        "fifo": "a FIFO",
        "link": "a symbolic link",
        "dangling": "a symbolic link",
        "folder": "a folder",
        "socket": "a socket",
    }
    for name, kind in kinds.items():
        with pytest.raises(NotRegularError, match=kind), open_regular(tmp_path / name):
            pass
    with pytest.raises(FileNotFoundError), open_regular(tmp_path / "nothing"):
        pass


def test_a_reader_stops_at_its_limit(tmp_path: Path) -> None:
    """A file of exactly the limit is read, one byte more is not."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    with pytest.raises(TooLargeError):
        read_regular(tmp_path / "x", 4)


def test_a_lease_sees_another_process_writing(tmp_path: Path) -> None:
    """While anyone has the file open for writing it is not finished; then it is."""
    path = tmp_path / "x"
    path.write_text("x")
    hold = "import sys; f = open(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline()
        with open_regular(path) as descriptor:
            assert no_writer_holds(descriptor) is False
        writer.stdin.close()
        writer.wait()
    with open_regular(path) as descriptor:
        assert no_writer_holds(descriptor) is True


def test_a_writer_in_the_moment_of_the_lease_does_not_kill_us(tmp_path: Path) -> None:
    """Breaking a lease sends a signal: the default one, SIGIO, would end the agent."""
    program = """
        import errno, fcntl, os, sys
        from pathlib import Path
        from spool import files
        path = Path(sys.argv[1])
        real = fcntl.fcntl
        class Meddled:
            def __getattr__(self, name):
                return getattr(fcntl, name)
            def fcntl(self, descriptor, command, argument):
                answer = real(descriptor, command, argument)
                if command == fcntl.F_SETLEASE and argument == fcntl.F_RDLCK:
                    try:
                        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                    except BlockingIOError:
                        print("lease broken")
                return answer
        files.fcntl = Meddled()
        with files.open_regular(path) as descriptor:
            print(files.no_writer_holds(descriptor))
    """
    path = tmp_path / "x"
    path.write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), path], check=False, capture_output=True, text=True
    )
    assert done.returncode != -signal.SIGIO
    assert done.stdout == "lease broken\nTrue\n", done.stderr


class Synced:
    """What was synced, by inode, in order; one of them may fail."""

    def __init__(self) -> None:
        self.inodes: list[int] = []
        self.failing: int | None = None

    def __call__(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        self.inodes.append(inode)
        if inode == self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    found = Synced()
    monkeypatch.setattr(os, "fsync", found)
    return found


def test_names_are_synced_together_each_folder_once(tmp_path: Path, synced: Synced) -> None:
    """Contents are synced at once and before their names; folders at the end, also under another name."""
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    inode = folder.stat().st_ino
    with names_together():
        put(folder / "a", b"a")
        put_new(folder / "b", b"b")
        assert synced.inodes == [(folder / name).stat().st_ino for name in "ab"]
        move(folder, away)
        assert inode not in synced.inodes
    assert sorted(synced.inodes[2:]) == sorted([inode, tmp_path.stat().st_ino])
    put(away / "c", b"c")
    assert synced.inodes[-1] == inode, "what follows is synced at once again"


def test_nothing_is_gone_before_it_is_where_it_went(tmp_path: Path, synced: Synced) -> None:
    """Of the folders through which something moves the last is synced first."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    (first / "x").touch()
    (first / "y").touch()
    with names_together():
        move(first / "x", second / "x")
        move(second / "x", third / "x")
        move(first / "y", second / "y")
    assert synced.inodes == [folder.stat().st_ino for folder in (third, second, first)]


def test_a_folder_in_place_of_another_is_synced_too(tmp_path: Path, synced: Synced) -> None:
    """What counts is the folder, not its name: one that was removed and made again is two."""
    folder = tmp_path / "folder"
    folder.mkdir()
    first = folder.stat().st_ino
    with names_together():
        put(folder / "a", b"a")
        remove_tree(folder)
        folder.mkdir()
        put(folder / "b", b"b")
        second = folder.stat().st_ino
    assert second != first
    assert {first, second} <= set(synced.inodes)


def test_names_are_synced_before_somebody_relies_on_them(tmp_path: Path, synced: Synced) -> None:
    """What went before is on disk then, and what follows is put off again."""
    inode = tmp_path.stat().st_ino
    with names_together():
        put(tmp_path / "a", b"a")
        sync_names()
        assert synced.inodes.count(inode) == 1
        put(tmp_path / "b", b"b")
        assert synced.inodes.count(inode) == 1
    assert synced.inodes.count(inode) == 2
    sync_names()
    assert synced.inodes.count(inode) == 2


def test_many_folders_are_not_all_kept_open(tmp_path: Path, synced: Synced) -> None:
    """A process may have few descriptors."""
    before = len(os.listdir("/proc/self/fd"))
    with names_together():
        for number in range(300):
            make_folder(tmp_path / f"{number}" / "inner")
        assert len(os.listdir("/proc/self/fd")) < before + 150
    assert len(os.listdir("/proc/self/fd")) == before
    assert {(tmp_path / f"{number}").stat().st_ino for number in range(300)} < set(synced.inodes)


@pytest.mark.parametrize("raised", [True, False])
def test_a_folder_that_cannot_be_synced_is_told(tmp_path: Path, synced: Synced, *, raised: bool) -> None:
    """All others are synced, nothing stays open, and what the step itself raised is not forgotten."""
    names = ("a", "b", "c")
    for name in names:
        (tmp_path / name).mkdir()
    synced.failing = (tmp_path / "b").stat().st_ino
    before = len(os.listdir("/proc/self/fd"))

    def step() -> None:
        with names_together():
            for name in names:
                put(tmp_path / name / "x", b"x")
            if raised:
                raise KeyError("its own")

    with pytest.raises(OSError, match="Input/output error") as caught:
        step()
    assert isinstance(caught.value.__context__, KeyError) == raised
    assert {(tmp_path / name).stat().st_ino for name in names} <= set(synced.inodes)
    assert len(os.listdir("/proc/self/fd")) == before
