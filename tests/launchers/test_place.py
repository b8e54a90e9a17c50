"""Where sockets may lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.launchers import LaunchError, socket_path
from agent.launchers.place import is_local, private_folder

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /mnt rw shared:2 - nfs4 server:/x rw
31 30 0:41 / /mnt/local\\040disk rw - xfs /dev/vdb rw
32 22 0:42 / /home rw - ext4 /dev/vdc rw
33 32 0:43 / /home rw - fuse.sshfs far: rw
34 22 0:44 / /tmp rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "local"),
    [
        ("/", True),
        ("/srv/ws", True),
        ("/tmp/ws", True),
        ("/mnt", False),
        ("/mnt/ws", False),
        ("/mntx/ws", True),
        ("/mnt/local disk/ws", True),
        ("/home/me/ws", False),
    ],
)
def test_the_innermost_mount_decides(tmp_path: Path, folder: str, *, local: bool) -> None:
    """The longest mount point counts, and of two on the same the later."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_local(type(tmp_path)(folder), mounts) is local


def test_the_socket_path_is_stable_and_short(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(tmp_path / ("e" * 200))
    assert len(os.fsencode(socket_path(deep))) <= 100
    assert "aispool" in str(socket_path(deep))


def test_a_private_folder_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "place"
    private_folder(place)
    private_folder(place)
    assert place.stat().st_mode & 0o777 == 0o700


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(LaunchError, match="not a folder of yours"):
        private_folder(place)


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("")
    with pytest.raises(LaunchError, match="place"):
        private_folder(tmp_path / "place")
