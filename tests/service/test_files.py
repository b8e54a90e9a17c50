"""A task's files: all of them, and nothing else, whatever names lead elsewhere."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.service import files, listing
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service_tasks import Maker

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk

SECRET = b"KEY=do-not-tell"


@pytest.fixture
def secret(desk: Desk) -> Path:
    path = desk.workspace.configs / "env" / "tool.env"
    path.write_bytes(SECRET)
    return path


def read(desk: Desk, task_id: str, path: str, host: str | None = None) -> bytes:
    opened = files.open_file(desk, task_id, path, host)
    with opened.stream:
        content = opened.stream.read()
    assert len(content) == opened.size_bytes
    return content


def content_or_kind(desk: Desk, task_id: str, path: str) -> bytes | str:
    try:
        return read(desk, task_id, path)
    except ServiceError as error:
        return error.kind


def missing(desk: Desk, task_id: str, path: str, host: str | None = None) -> None:
    with pytest.raises(ServiceError) as caught:
        files.open_file(desk, task_id, path, host)
    assert caught.value.kind == "not_found"


def test_all_files_of_a_task_are_listed_and_read(desk: Desk, make: Maker) -> None:
    """With their size, and what a browser may show them as."""
    folder = make.result("r")
    (folder / "attempts" / "001").mkdir(parents=True)
    (folder / "attempts" / "001" / "stdout").write_bytes(b"hello\n")
    (folder / "plot.png").write_bytes(b"\x89PNG")
    (folder / "page.svg").write_bytes(b"<svg/>")
    (folder / "data.tar.gz").write_bytes(b"z")
    found = {one["path"]: (one["bytes"], one["kind"]) for one in files.files(desk, "r")}
    assert found["attempts/001/stdout"] == (6, "text")
    assert found["plot.png"] == (4, "image")
    assert found["page.svg"] == (6, "text")
    assert found["data.tar.gz"] == (1, "binary")
    assert {"task.json", "result.json"} <= found.keys()
    assert read(desk, "r", "attempts/001/stdout") == b"hello\n"
    assert listing.task(desk, "r")["files"] == files.files(desk, "r")


def test_a_waiting_task_has_its_file_and_what_goes_with_it(desk: Desk, make: Maker) -> None:
    """And not those of the other tasks beside it."""
    make.waiting("a")
    make.waiting("b")
    (desk.workspace.tasks / "a.files").mkdir()
    (desk.workspace.tasks / "a.files" / "in.txt").write_text("x")
    assert [one["path"] for one in files.files(desk, "a")] == ["a.files/in.txt", "a.json"]
    assert read(desk, "a", "a.files/in.txt") == b"x"
    missing(desk, "a", "b.json")
    missing(desk, "a", "held/c.json")


def test_no_path_leads_out(desk: Desk, make: Maker, secret: Path) -> None:
    """Not by .., not by a link of any kind, not by another name of a secret."""
    folder = make.result("r")
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "up").symlink_to("..")
    os.link(secret, folder / "hard")
    (folder / ".hidden").write_bytes(b"x")
    (folder / "sub").mkdir()
    (folder / "sub" / "loop").symlink_to("../sub")
    os.mkfifo(folder / "fifo")
    out = "../../configs/env/tool.env"
    for path in (
        *("link", "folder/tool.env", "up/r/task.json", "hard", ".hidden", "sub/loop/loop", "fifo", "sub", ""),
        *(out, f"sub/../{out}", f"./{out}", str(secret), f"{folder}/task.json", "task.json/", "/task.json"),
        *("sub//x", "task.json\0", "\0", "a" * 300, "a/" * 300 + "b", "sub/.", "sub/..", "missing", "\udcff"),
    ):
        missing(desk, "r", path)
    listed = {one["path"] for one in files.files(desk, "r")}
    assert listed <= {"hard", "task.json", "result.json"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    parts=st.lists(
        st.sampled_from(["..", ".", "", "r", "in", "out", "configs", "env", "tool.env", "\0", "%2e%2e"])
    )
)
def test_no_combination_of_names_leads_out(desk: Desk, make: Maker, secret: Path, parts: list[str]) -> None:
    """Whatever is asked for, a secret is not the answer."""
    del secret
    if not (desk.workspace.results / "r").exists():
        folder = make.result("r")
        (folder / "in").symlink_to("../../configs")
        (folder / "out").symlink_to("/")
    assert content_or_kind(desk, "r", "/".join(parts)) != SECRET


def test_a_mirror_is_not_trusted(desk: Desk, mirror: Callable[[str], Mirror], secret: Path) -> None:
    """A task's folder that is a link, and links in it, lead nowhere."""
    far = mirror("far").workspace
    from service_tasks import Maker  # noqa: PLC0415

    folder = Maker(far).result("r")
    (folder / "env").symlink_to(secret.parent)
    missing(desk, "r", "env/tool.env", "far")
    assert read(desk, "r", "task.json", "far")
    elsewhere = folder.rename(far.root / "elsewhere")
    folder.symlink_to(elsewhere)
    assert files.files(desk, "r") == []
    missing(desk, "r", "task.json", "far")


def test_names_that_change_while_they_are_read_lead_nowhere(desk: Desk, make: Maker, secret: Path) -> None:
    """A folder that is swapped for a link all the time gives its own file, or none."""
    folder = make.result("r")
    (folder / "a").mkdir()
    (folder / "a" / "tool.env").write_bytes(b"own")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (folder / "a").rename(folder / "b")
            (folder / "a").symlink_to(secret.parent)
            (folder / "a").unlink()
            (folder / "b").rename(folder / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(500):
            assert content_or_kind(desk, "r", "a/tool.env") in {b"own", "not_found"}
    finally:
        done.set()
        thread.join()
