"""A task's output: every byte once, whatever rotates and moves meanwhile."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.service.errors import ServiceError
from agent.service.logs import LogSource, log
from spool.records import Output, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service_tasks import Maker

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk


def all_of(source: LogSource, offset: int = 0, most_bytes: int = 7) -> tuple[bytes, int, bool]:
    content = b""
    while True:
        piece, offset, over = source.read(offset, most_bytes)
        content += piece
        if not piece:
            return content, offset, over


def test_output_is_read_as_it_grows(desk: Desk, make: Maker) -> None:
    """From sessions to results, until it is over; by a new source each time, as a server does."""
    folder = make.session("t")
    assert all_of(log(desk, "t")) == (b"", 0, False)
    file = desk.workspace.logs / "shell-t.log"
    file.write_bytes(b"first line\n")
    content, offset, over = all_of(log(desk, "t"))
    assert (content, over) == (b"first line\n", False)
    with file.open("ab") as stream:
        stream.write(b"second\n")
    content, offset, over = all_of(log(desk, "t"), offset)
    assert (content, over) == (b"second\n", False)
    file.rename(file.with_name("shell-t.log.1"))
    with (desk.workspace.logs / "shell-t.log.1").open("ab") as stream:
        stream.write(b"late\n")
    file.write_bytes(b"third\n")
    make.result("t")
    shutil.rmtree(folder)
    content, offset, over = all_of(log(desk, "t"), offset)
    assert (content, over) == (b"late\nthird\n", True)
    assert offset < 1 << 53
    assert all_of(log(desk, "t"), offset) == (b"", offset, True)
    assert all_of(log(desk, "t"))[0] == b"first line\nsecond\nlate\nthird\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(["write", "rotate", "read"]), min_size=3, max_size=40), pick=st.data())
def test_no_byte_twice_and_none_lost(desk: Desk, make: Maker, steps: list[str], pick: st.DataObject) -> None:
    """As long as a reader comes by once in each rotation."""
    file, before = desk.workspace.logs / "shell-t.log", desk.workspace.logs / "shell-t.log.1"
    for path in (file, before):
        path.unlink(missing_ok=True)
    if not (desk.workspace.sessions / "t").exists():
        make.session("t")
    written, seen, offset, number = b"", b"", 0, 0
    for step in [*steps, "read"]:
        match step:
            case "write":
                number += 1
                line = f"line {number}\n".encode()
                with file.open("ab") as stream:
                    stream.write(line)
                written += line
            case "rotate" if file.exists():
                content, offset, _ = all_of(log(desk, "t"), offset)
                seen += content
                # the wrapper keeps both files open for a moment; so does a file of ours keep its number
                keep = before.open("rb") if before.exists() else None
                file.rename(before)
                file.touch()
                if keep:
                    keep.close()
            case "read":
                content, offset, _ = all_of(log(desk, "t"), offset, pick.draw(st.integers(1, 30)))
                seen += content
    assert seen == written


def test_the_end_is_found(desk: Desk, make: Maker) -> None:
    """A reader may begin near the end, over a rotation, too."""
    make.session("t")
    file = desk.workspace.logs / "shell-t.log"
    file.write_bytes(b"0123456789")
    source = log(desk, "t")
    assert all_of(source, source.end(4))[0] == b"6789"
    assert all_of(source, source.end(100))[0] == b"0123456789"
    file.rename(file.with_name("shell-t.log.1"))
    file.write_bytes(b"ab")
    assert all_of(source, source.end(4))[0] == b"89ab"
    file.write_bytes(b"x")
    assert all_of(source, source.end(1))[0] == b"x"


def test_a_log_that_is_gone_leaves_the_attempts(desk: Desk, make: Maker) -> None:
    """Once the task is over, what its attempts printed is the output."""
    folder = make.result("t")
    for number, text in ((1, b"one\n"), (2, b"two\n")):
        attempt = folder / "attempts" / f"{number:03}"
        attempt.mkdir(parents=True)
        (attempt / "stdout").write_bytes(text)
        (attempt / "stderr").write_bytes(b"! " + text)
    content, _, over = all_of(log(desk, "t"))
    assert (content, over) == (b"one\n! one\ntwo\n! two\n", True)


def test_nonsense_offsets_begin_anew(desk: Desk, make: Maker) -> None:
    """What was never an offset of this log is its beginning."""
    make.session("t")
    (desk.workspace.logs / "shell-t.log").write_bytes(b"text")
    for offset in (5, 1 << 45, (1 << 52) - 1, 1 << 60, -1):
        assert all_of(log(desk, "t"), offset)[0] in {b"text", b""}
    assert all_of(log(desk, "t"), 1 << 45)[0] == b"text"


@pytest.mark.parametrize(
    "named", ["../../../configs/env/x.log", "logs/../configs/x.log", "/etc/passwd", "logs/.x.log"]
)
def test_a_record_names_no_file_elsewhere(
    desk: Desk, make: Maker, mirror: Callable[[str], Mirror], named: str
) -> None:
    """What a host says of its log is a name in its logs/, or nothing; and no link is followed."""
    from service_tasks import Maker as Make  # noqa: PLC0415

    del make
    secret = desk.workspace.configs / "env" / "x.log"
    secret.write_bytes(b"secret")
    far = mirror("far").workspace
    Make(far).result("t", State.FAILED, output=Output(log=named))
    assert all_of(log(desk, "t", "far"))[0] == b""
    (far.logs / "shell-t.log").symlink_to(secret)
    assert all_of(log(desk, "t", "far"))[0] == b""
    (far.logs / "shell-t.log").unlink()
    os.mkfifo(far.logs / "shell-t.log")
    assert all_of(log(desk, "t", "far"))[0] == b""


def test_unknown_tasks_have_no_output(desk: Desk, tmp_path: Path) -> None:
    """Nobody knows the id."""
    del tmp_path
    with pytest.raises(ServiceError) as caught:
        log(desk, "nobody")
    assert caught.value.kind == "not_found"
