"""What people put into a mirror is taken up once, and only what is wrong with it refuses it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from agent.fleet import asked, controls
from agent.fleet.layout import Mirror

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.controls import Controls


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path / "a")
    (mirror.workspace.sessions / "t1" / "answer").mkdir(parents=True)
    mirror.workspace.rejected.mkdir()
    return mirror


@pytest.fixture
def unsent(mirror: Mirror) -> Controls:
    return controls.Controls(mirror)


def answer(mirror: Mirror, content: bytes) -> None:
    (mirror.workspace.sessions / "t1" / "answer" / "001.txt").write_bytes(content)


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
def test_an_answer_waits_while_the_disk_fails(
    mirror: Mirror, unsent: Controls, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused, and had to be given again."""

    def fail(path: Path, _most: int) -> bytes:
        raise OSError(code, os.strerror(code), os.fspath(path))

    answer(mirror, b"yes\n")
    with monkeypatch.context() as patched:
        patched.setattr(asked, "read_regular", fail)
        asked.read_sessions(mirror)
        asked.finish_taking(mirror)
    assert unsent.unsent() == []
    assert list(mirror.workspace.rejected.iterdir()) == []
    asked.finish_taking(mirror)
    (control,) = unsent.unsent()
    assert (control.do, control.task_id, control.text) == ("answer", "t1", "yes\n")


def test_an_answer_that_is_no_text_is_refused(mirror: Mirror, unsent: Controls) -> None:
    answer(mirror, b"\xff\xfe")
    asked.read_sessions(mirror)
    assert unsent.unsent() == []
    assert any(path.name.endswith(".error.json") for path in mirror.workspace.rejected.iterdir())
