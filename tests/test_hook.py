from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import agent.hook

PROGRAM = [sys.executable, "-I", "-S", str(Path(agent.hook.__file__).absolute())]


def call(waiting: Path | str | None, *arguments: str, given: bytes = b"") -> None:
    env = {"PATH": os.environ["PATH"], **({"AISPOOL_WAITING": str(waiting)} if waiting is not None else {})}
    done = subprocess.run(
        [*PROGRAM, *arguments], env=env, input=given, capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_question_comes_and_goes(tmp_path: Path) -> None:
    """Its JSON is kept as it came, from standard input or as an argument; saying it twice is harmless."""
    waiting = tmp_path / "waiting"
    call(waiting, "working")
    call(waiting, "waiting", given=b'{"message": "May I?"}')
    assert waiting.read_bytes() == b'{"message": "May I?"}'
    assert waiting.stat().st_mode & 0o777 == 0o600
    call(waiting, "waiting", '{"type": "notify"}')
    assert waiting.read_bytes() == b'{"type": "notify"}'
    call(waiting, "working")
    call(waiting, "working")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("waiting", [None, "", "relative", "/no/such/folder/waiting"])
def test_it_never_fails_the_tool(waiting: str | None) -> None:
    call(waiting, "waiting", given=b"x")
    call(waiting, "working")
    call(waiting)
    call(waiting, "other")


def test_a_flood_is_cut(tmp_path: Path) -> None:
    call(tmp_path / "waiting", "waiting", given=b"x" * (1 << 20))
    assert (tmp_path / "waiting").stat().st_size == agent.hook.MOST_BYTES


def test_an_open_standard_input_does_not_hold_it(tmp_path: Path) -> None:
    """What came so far is the question."""
    read, write = os.pipe()
    os.write(write, b"May I?")
    try:
        subprocess.run(
            [*PROGRAM, "waiting"],
            env={"AISPOOL_WAITING": str(tmp_path / "waiting")},
            stdin=read,
            timeout=20,
            check=True,
        )
    finally:
        os.close(read)
        os.close(write)
    assert (tmp_path / "waiting").read_bytes() == b"May I?"
