"""A host is hostile until its files are validated; what does not fit is named, and nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from fleet_network import Network, Remote, digest

from agent.cli.root import cli
from spool.enrol import mark
from spool.results import LEFT_OUT
from spool.view import in_session, rejected, waiting

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


def everything_outside(network: Network, name: str) -> set[str]:
    """Return what lies on the collector's side and not in this host's mirror."""
    mirror = network.mirror(name).root
    return {
        str(path)
        for path in network.workspace.root.rglob("*")
        if not path.is_relative_to(mirror) and "collector.lock" not in path.name
    }


def links_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not (path.is_file() or path.is_dir()) or path.is_symlink()]


@pytest.fixture
def remote(network: Network) -> Remote:
    return network.host("a")


def test_links_pipes_and_names(network: Network, remote: Remote) -> None:
    """Nothing but plain files of plain names is ever made here."""
    there = remote.workspace
    assert network.round()
    outside = everything_outside(network, "a")
    (there.tasks / "link.json").symlink_to("/etc/passwd")
    (there.tasks / "held" / "folder.json").mkdir()
    os.mkfifo(there.tasks / "pipe.json")
    (there.tasks / f"{ESCAPE}.json").write_text("{}")
    (there.tasks / "two\nlines.json").write_text("{}")
    (there.tasks / os.fsdecode(b"bytes\xff.json")).write_text("{}")
    (there.tasks / f"{'x' * 240}.json").write_text("{}")
    (there.sessions / "..hidden").mkdir()
    (there.sessions / "evil").symlink_to("/etc")
    (there.sessions / f"bad{ESCAPE}").mkdir()
    (there.sessions / f"bad{ESCAPE}" / "status.json").write_text("{}")
    (there.rejected / "out").symlink_to("/")
    (there.rejected / f"r{ESCAPE}").write_text("x")
    (there.uncollected / "..").exists()
    (there.uncollected / f"u{ESCAPE}").write_text("0" * 64)
    shutil.rmtree(there.logs)
    there.logs.symlink_to("/var/log")
    remote.wait("honest")
    assert network.round()
    seen = network.mirror("a").workspace
    assert [view.name for view in waiting(seen)] == ["honest.json"]
    assert list(in_session(seen)) == []
    assert rejected(seen) == []
    assert links_of(network.mirror("a").root) == []
    assert everything_outside(network, "a") == outside
    state = network.state("a")
    assert state.refused_count >= 5
    told = "".join(state.refused) + network.mirror("a").state_file.read_text()
    assert ESCAPE not in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "result.json"),
        ('{"task_id": "t1", "task_id": "t2"}', "twice"),
        ("[" * 100_000, "nested"),
        ('{"task_id": "t1"}', "result.json"),
        ("", "empty"),
    ],
)
def test_a_result_that_cannot_be_read(network: Network, remote: Remote, content: str, says: str) -> None:
    """It is not shown, it stays marked on its host, and the others come all the same."""
    remote.run("t1")
    folder = remote.finish("t1", marked=False)
    (folder / "result.json").write_text(content)
    mark(remote.workspace, "t1", digest(folder))
    remote.run("good")
    remote.finish("good")
    assert network.round()
    seen = network.mirror("a").workspace
    assert not (seen.results / "t1").exists()
    assert (seen.results / "good/result.json").exists()
    assert list(network.acknowledged("a")) == ["good"]
    assert says in network.state("a").refused[0]


def test_a_result_of_another_task(network: Network, remote: Remote) -> None:
    remote.run("t1")
    folder = remote.finish("t1", marked=False)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"task_id": "t2"}))
    mark(remote.workspace, "t1", digest(folder))
    assert network.round()
    assert not (network.mirror("a").workspace.results / "t1").exists()
    assert "another task" in network.state("a").refused[0]


def test_a_status_of_another_task_is_not_shown(network: Network, remote: Remote) -> None:
    remote.run("t1")
    shutil.copytree(remote.workspace.sessions / "t1", remote.workspace.sessions / "t2")
    assert network.round()
    assert [view.task_id for view in in_session(network.mirror("a").workspace)] == ["t1"]


def test_links_in_a_result_are_left_out(network: Network, remote: Remote) -> None:
    """They could lead anywhere; the result comes without them, and says so where people look at it."""
    folder = remote.run("t1")
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "passwd").symlink_to("/etc/passwd")
    (folder / "artifacts" / f"up{ESCAPE}").symlink_to("../../../../../..")
    os.mkfifo(folder / "artifacts" / "pipe")
    (folder / "artifacts" / "plain").write_text("x")
    remote.finish("t1")
    assert network.round()
    seen = network.mirror("a").workspace.results / "t1"
    assert sorted(os.listdir(seen / "artifacts")) == ["plain"]
    left_out = (seen / LEFT_OUT).read_text().splitlines()
    assert (left_out[0], left_out[1], len(left_out)) == ("artifacts/passwd", "artifacts/pipe", 3)
    shown = CliRunner().invoke(cli, ["-w", str(network.workspace.root), "show", "--host", "a", "t1"])
    assert f"only there   {', '.join(left_out)}" in shown.output
    assert "\x1b" not in shown.output
    assert network.acknowledged("a").keys() == {"t1"}


def test_a_result_without_links_lists_none(network: Network, remote: Remote) -> None:
    """What an earlier run of the task had is forgotten with it."""
    folder = remote.finish("t1", marked=False) if remote.run("t1") else None
    assert folder is not None
    (folder / "link").symlink_to("/")
    mark(remote.workspace, "t1", digest(folder))
    assert network.round()
    seen = network.mirror("a").workspace.results / "t1"
    assert (seen / LEFT_OUT).read_text() == "link\n"
    (folder / "link").unlink()
    (folder / "result.json").write_bytes((folder / "result.json").read_bytes() + b"\n")
    mark(remote.workspace, "t1", digest(folder))
    assert network.round()
    assert sorted(os.listdir(seen)) == ["attempts", "result.json"]


WITHOUT_PRIVILEGES = """#!/bin/sh
# root reads everything: this rsync is held to the modes of files
[ "$(id -u)" -ne 0 ] || exec setpriv --bounding-set=-dac_override,-dac_read_search /usr/bin/rsync "$@"
exec /usr/bin/rsync "$@"
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_result_of_which_a_part_cannot_be_read(network: Network, remote: Remote, what: str) -> None:
    """It is not taken for whole: it stays on its host, and it is said why; the others come."""
    program = remote.bin / "rsync"
    program.write_text(WITHOUT_PRIVILEGES)
    program.chmod(0o700)
    for task_id in ("t1", "t2", "t3"):
        remote.run(task_id)
        folder = remote.finish(task_id)
    closed = remote.workspace.results / "t2" / "closed"
    if what == "folder":
        closed.mkdir()
        (closed / "x").write_text("x")
    else:
        closed.write_text("x")
    closed.chmod(0)
    assert network.round()
    seen = network.mirror("a").workspace.results
    assert sorted(name for name in os.listdir(seen) if name[0] == "t") == ["t1", "t3"]
    assert sorted(network.acknowledged("a")) == ["t1", "t3"]
    state = network.state("a")
    assert state.uncollected == 1
    assert "results/t2: not all of it can be read there" in state.refused[0]
    assert "Permission denied" in state.refused[0]
    closed.chmod(0o700)
    assert network.round()
    assert (seen / "t2/closed").exists()
    assert folder.exists()


def test_requests_on_the_host_are_not_taken_for_ours(network: Network, remote: Remote) -> None:
    """A `retry` that a person made there is not a wish of whoever looks here."""
    remote.run("t1")
    folder = remote.finish("t1")
    (folder / "retry").touch()
    assert network.round()
    assert sorted(os.listdir(network.mirror("a").workspace.results / "t1")) == ["attempts", "result.json"]


def test_thousands_of_junk_names(network: Network, remote: Remote) -> None:
    for number in range(3000):
        (remote.workspace.tasks / f"junk {number}\t.json").touch()
        (remote.workspace.uncollected / f".junk{number}").touch()
    remote.wait("honest")
    assert network.round()
    assert [view.name for view in waiting(network.mirror("a").workspace)] == ["honest.json"]
    state = network.state("a")
    assert state.refused_count >= 3000
    assert len(state.refused) == 20
    assert network.mirror("a").state_file.stat().st_size < 20_000


LIAR = """#!{python} -IS
# Answers every request with other files than those that were asked for.
import os, sys
words = sys.argv[1:]
if "--server" in words:
    words[words.index(".") + 1:] = ["@EVIL@"]
os.execv("/usr/bin/rsync", ["rsync", *words])
"""


@pytest.mark.parametrize("evil", ["/etc/./hostname", "{home}/./evil/", "{home}/evil/./x"])
def test_a_host_that_sends_what_was_not_asked_for(network: Network, remote: Remote, evil: str) -> None:
    """Our own rsync refuses names outside of what was asked for; nothing changes."""
    remote.wait("before")
    assert network.round()
    outside = everything_outside(network, "a")
    for place in (remote.home / "evil", remote.workspace.root.parent / "evil", remote.home / "evil/tasks"):
        place.mkdir(exist_ok=True)
        (place / "x").write_text("x")
    program = remote.bin / "rsync"
    program.write_text(
        LIAR.replace("{python}", sys.executable).replace("@EVIL@", evil.format(home=remote.home))
    )
    program.chmod(0o700)
    assert not network.round() or network.state("a").problem is not None
    seen = network.mirror("a").workspace
    assert [view.name for view in waiting(seen)] == ["before.json"]
    assert everything_outside(network, "a") == outside
    assert not list(network.mirror("a").root.rglob("x"))


def test_a_host_that_never_stops_talking(network: Network, remote: Remote) -> None:
    """What it says is not kept beyond a bound."""
    program = remote.bin / "rsync"
    program.write_text("#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\nyes\n")
    program.chmod(0o700)
    assert not network.round()
    error = network.state("a").error
    assert error is not None
    assert len(error) < 1000
