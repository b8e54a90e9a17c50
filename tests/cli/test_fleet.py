"""The command line on mirrors: what it reads there, and what it asks of hosts."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agent.fleet.layout import Fleet, Mirror
from agent.fleet.outbox import Note, Parcel
from agent.fleet.reassign import Move
from agent.fleet.state import HostState, write_state
from spool.control import Control, parse_control
from spool.records import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    from spool.workspace import Workspace

HOSTS = """# my machines
[[hosts]]
name = "h1"
address = "127.0.0.1"

[[hosts]]
name = "h2"
address = "127.0.0.1"
port = 2222  # behind the router
"""


@pytest.fixture
def mirror(workspace: Workspace) -> Mirror:
    """A mirror of the host h1, which was reached."""
    (workspace.configs / "hosts.toml").write_text(HOSTS)
    mirror = Fleet(workspace).mirror("h1")
    mirror.make()
    reach(mirror, reachable=True)
    return mirror


def reach(mirror: Mirror, *, reachable: bool, **more: Any) -> None:
    state = HostState(host=mirror.name, address="there", reachable=reachable, last_seen_at=utc_now(), **more)
    write_state(mirror, state)


@pytest.fixture
def there(workspace: Workspace, mirror: Mirror) -> Callable[[Path], Path]:
    """Move what a fixture made in the workspace to the mirror of h1."""

    def move(path: Path) -> Path:
        target = mirror.root / path.relative_to(workspace.root)
        return path.rename(target)

    return move


def asked(mirror: Mirror) -> list[tuple[str, str | None]]:
    """Return what is asked of a host."""
    found: list[tuple[str, str | None]] = []
    for path in sorted(mirror.outbox_controls.glob("*.json")):
        control = parse_control(path.read_bytes(), path.stem)
        assert isinstance(control, Control)
        found.append((control.do, control.task_id))
    return found


def on_its_way(mirror: Mirror, task_id: str, box: str = "outbox", **fields: Any) -> Parcel:
    folder = getattr(mirror, box).tasks / task_id
    folder.mkdir(parents=True)
    parcel = Parcel(folder)
    parcel.task.write_text(json.dumps({"task_id": task_id, "tool": "shell", "command": "true", **fields}))
    note = Note(source_name=f"{task_id}.json", dropped_for=mirror.name, accepted_at=utc_now())
    note.write(folder / "note.json")
    return parcel


class TestReading:
    def test_the_mirror_is_read_like_a_workspace(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        dropped: Callable[..., Path], running: Callable[..., Path], over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """Waiting, running and over; `ls` and `show` find all three, and only with --host."""
        for path in (dropped("w"), running("r"), over("o")):
            there(path)
        assert aispool("ls").out == "nothing here: `aispool submit --help` shows how to give work\n"
        document = aispool("ls", "--host", mirror.name, "--json").document
        assert [(t["task_id"], t["host"]) for t in document["tasks"]] == [
            ("w", "h1"),
            ("r", "h1"),
            ("o", "h1"),
        ]
        assert aispool("show", "--host", "h1", "o", "--json").document["state"] == "succeeded"
        assert "no task o" in aispool("show", "o", code=1).err

    def test_all_hosts_and_our_own(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        dropped: Callable[..., Path], over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """The list names the host of each; a task is found wherever it is."""
        there(over("far"))
        dropped("near")
        assert mirror.name
        for option in ("--all-hosts", "--all"):
            lines = aispool("ls", option).out.splitlines()
            assert lines[0].split()[:2] == ["HOST", "ID"]
            assert [line.split()[:2] for line in lines[1:]] == [["-", "near"], ["h1", "far"]]
        assert "succeeded" in aispool("show", "--all", "far").out
        assert aispool("wait", "--all", "far").out.startswith("far succeeded")
        assert "no task nowhere" in aispool("show", "--all", "nowhere", code=1).err

    def test_a_host_that_is_not_in_the_fleet(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """The message names those that are."""
        assert mirror.name
        assert "name one of h1, h2, any" in aispool("ls", "--host", "h3", code=1).err
        assert "either --host or --all-hosts" in aispool("ls", "--host", "h1", "--all-hosts", code=2).err
        assert aispool("ls", "--host", "h2").out.startswith("nothing here")

    def test_logs_and_follow_end_with_the_task(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """The collected log is printed, without what steers a terminal."""
        there(over("o"))
        (mirror.workspace.logs / "shell-o.log").write_text("one\n\x1b[31mtwo\n")
        assert aispool("logs", "-f", "--host", "h1", "o").out == "one\ntwo\n"

    def test_waiting_follows_a_task_from_any_to_its_host(
        self, aispool: Callable[..., Said], workspace: Workspace, mirror: Mirror,
        dropped: Callable[..., Path], over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """The collector chose the host while somebody waited."""
        waits = Fleet(workspace).mirror("any")
        waits.make()
        shutil.move(dropped("t"), waits.workspace.tasks / "t.json")
        result = over("t")

        def choose() -> None:
            (waits.workspace.tasks / "t.json").unlink()
            result.rename(mirror.workspace.results / "t")

        timer = threading.Timer(0.5, choose)
        timer.start()
        try:
            assert aispool("wait", "--host", "any", "t").out.startswith("t succeeded")
        finally:
            timer.join()


class TestAsking:
    def test_each_request_becomes_a_control(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        dropped: Callable[..., Path], running: Callable[..., Path], over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """In the order of asking; nothing in the mirror is changed."""
        for path in (dropped("w"), running("r"), over("o")):
            there(path)
        aispool("hold", "--host", "h1", "w")
        aispool("release", "--all", "w")
        aispool("cancel", "--host", "h1", "w", "r")
        assert "asked of h1" in aispool("answer", "--all", "r", "yes").out
        aispool("retry", "--host", "h1", "o")
        aispool("pause", "--host", "h1", "--tool", "gemini")
        said = aispool("resume", "--host", "h1")
        assert asked(mirror) == [
            *(("hold", "w"), ("release", "w"), ("cancel", "w"), ("cancel", "r"), ("answer", "r")),
            *(("retry", "o"), ("pause", None), ("unpause", None)),
        ]
        assert "no collector works here" in said.err
        assert (mirror.workspace.tasks / "w.json").exists()
        assert not (mirror.workspace.sessions / "r" / "cancel").exists()

    def test_what_makes_no_sense_is_refused_at_once(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        over: Callable[..., Path],
    ) -> None:  # fmt: skip
        """As on a workspace of our own."""
        there(over("o"))
        assert "over already" in aispool("cancel", "--host", "h1", "o", code=1).err
        assert "does not wait" in aispool("hold", "--host", "h1", "o", code=1).err
        assert "no conversation" in aispool("retry", "--resume", "--host", "h1", "o", code=1).err
        assert "over already" in aispool("answer", "--host", "h1", "o", "yes", code=1).err
        assert asked(mirror) == []

    def test_a_dark_host_is_said_to_be_dark(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        running: Callable[..., Path],
    ) -> None:  # fmt: skip
        """The request waits; the person knows for what."""
        there(running("r"))
        reach(mirror, reachable=False, error="no route to host")
        assert "is not reachable" in aispool("cancel", "--host", "h1", "r").out

    def test_submit(self, aispool: Callable[..., Said], mirror: Mirror, workspace: Workspace) -> None:
        """The task lies in the mirror's tasks/; its tool is for the host to know."""
        task_id = aispool("submit", "--host", "h1", "-t", "only-there", "-c", "x").out.strip()
        (path,) = mirror.workspace.tasks.glob("*.json")
        assert json.loads(path.read_text())["task_id"] == task_id
        aispool("submit", "--host", "any", "-t", "shell", "-c", "true")
        assert len(list(Fleet(workspace).mirror("any").workspace.tasks.glob("*.json"))) == 1
        assert (
            "it says itself"
            in aispool("submit", "--host", "h1", "-t", "a", "-c", "b", "--dry-run", code=2).err
        )


class TestHosts:
    def test_add_list_and_remove(
        self, aispool: Callable[..., Said], workspace: Workspace, mirror: Mirror
    ) -> None:
        """The file keeps its comments; a host with tasks on their way stays unless forced."""
        aispool("fleet", "add", "me@gpu-box:2200", "--name", "gpu", "--label", "gpu", "--tool", "crush")
        hosts = {host["name"]: host for host in aispool("fleet", "list", "--json").document["hosts"]}
        assert list(hosts) == ["h1", "h2", "gpu"]
        assert (hosts["gpu"]["user"], hosts["gpu"]["port"], hosts["gpu"]["labels"]) == ("me", 2200, ["gpu"])
        assert "me@gpu-box:2200" in aispool("fleet", "list").out
        aispool("fleet", "remove", "gpu")
        assert "# my machines" in (workspace.configs / "hosts.toml").read_text()
        on_its_way(mirror, "t1")
        assert "1 tasks are on their way to h1" in aispool("fleet", "remove", "h1", code=1).err
        aispool("fleet", "remove", "h1", "--force")
        assert "no host h1" in aispool("fleet", "remove", "h1", code=1).err

    def test_what_cannot_be_added(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """A name twice, a name that means something else, an address that is an option."""
        assert mirror.name
        assert "already" in aispool("fleet", "add", "x", "--name", "h1", code=1).err
        assert "any" in aispool("fleet", "add", "x", "--name", "any", code=1).err
        assert "is not a name" in aispool("fleet", "add", "--", "-oProxyCommand=x", code=1).err

    def test_status_says_what_is_where(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """Exit 1 when a host needs a person; h2 was never reached."""
        on_its_way(mirror, "t1")
        on_its_way(mirror, "t2", "sent")
        document = aispool("fleet", "status", "--json", code=1).document
        first, second = document["hosts"]
        assert (first["on_its_way"], first["unknown"], first["trouble"]) == (1, 1, None)
        assert second["trouble"] == "was not reached yet"
        assert "no collector works here" in aispool("fleet", "status", code=1).out

    def test_enrol(self, aispool: Callable[..., Said], workspace: Workspace) -> None:
        """Once for one collector; another one is refused."""
        aispool("fleet", "enrol", "laptop")
        aispool("fleet", "enrol", "laptop")
        assert workspace.enrolment.exists()
        assert "laptop" in aispool("fleet", "enrol", "desktop", code=1).err

    def test_health_of_all(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """Our own machine and the mirrors, in one document."""
        folder = mirror.workspace.agent("a1")
        folder.mkdir()
        (folder / "agent.json").write_text('{"name": "a1", "host": "box", "slots": 3, "load": 0.5}')
        document = aispool("health", "--host", "h1", "--json").document
        (host,) = document["hosts"]
        assert (host["host"], host["agents"][0]["slots"], host["problems"]) == ("h1", 3, [])
        assert "agent a1: working, 3 slots" in aispool("health", "--host", "h1").out
        reach(mirror, reachable=False)
        assert "is not reachable" in aispool("health", "--all", code=1).out

    def test_attach_says_why_it_cannot(
        self, aispool: Callable[..., Said], mirror: Mirror, there: Callable[[Path], Path],
        running: Callable[..., Path],
    ) -> None:  # fmt: skip
        """No session yet; and no terminal."""
        there(running("r"))
        assert "has no session now" in aispool("attach", "--host", "h1", "r", code=1).err
        assert mirror.name


class TestReassign:
    def test_the_request_is_a_mark_on_the_task(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """The collector goes on with it."""
        parcel = on_its_way(mirror, "t1")
        assert "h1 does not have it" in aispool("fleet", "reassign", "t1", "--to", "h2").out
        assert Move.read(parcel.folder / "move") == Move(to="h2")
        sent = on_its_way(mirror, "t2", "sent")
        assert "asked to give it back" in aispool("fleet", "reassign", "t2").out
        assert Move.read(sent.folder / "move") == Move(to="any")

    def test_what_may_have_started_needs_force(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """Unless it is idempotent."""
        on_its_way(mirror, "t1", "sent")
        on_its_way(mirror, "t2", "sent", idempotent=True)
        reach(mirror, reachable=False)
        said = aispool("fleet", "reassign", "t1", "--to", "h2", code=1)
        assert "only --force" in said.err
        aispool("fleet", "reassign", "t1", "--to", "h2", "--force")
        assert "told to cancel it" in aispool("fleet", "reassign", "t2", "--to", "h2").out

    def test_what_cannot_be_reassigned(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """It is where it should go, unknown, or asks for its host."""
        on_its_way(mirror, "t1", "sent")
        on_its_way(mirror, "t2", host="h1")
        assert "is with h1 already" in aispool("fleet", "reassign", "t1", "--to", "h1", code=1).err
        assert "asks for the host h1" in aispool("fleet", "reassign", "t2", "--to", "h2", code=1).err
        assert "was not sent from here" in aispool("fleet", "reassign", "t3", code=1).err
        assert "no host h9" in aispool("fleet", "reassign", "t1", "--to", "h9", code=1).err


class TestCentralLog:
    def test_lines_of_all_hosts_are_merged_by_time(
        self, aispool: Callable[..., Said], workspace: Workspace, mirror: Mirror
    ) -> None:
        """A line without a time stays behind the one before it; a host's escape sequences do nothing."""
        other = Fleet(workspace).mirror("h2")
        other.make()
        (mirror.workspace.logs / "agent.log").write_text(
            "2026-11-20T10:00:00.000Z INFO a: first\n2026-11-20T10:00:02.000Z ERROR a: third\n  its trace\n"
        )
        (other.workspace.logs / "audit.jsonl").write_text(
            '{"at": "2026-11-20T10:00:01.000Z", "what": "second"}\n'
            '{"at": "2026-11-20T10:00:03Z", "x": "\x1b[2J"}\n'
        )
        lines = aispool("fleet", "logs").out.splitlines()
        assert [line.split(":")[0] for line in lines] == [
            *("h1 agent.log", "h2 audit.jsonl", "h1 agent.log", "h1 agent.log", "h2 audit.jsonl"),
        ]
        assert lines[3] == "h1 agent.log:   its trace"
        assert "\x1b" not in "".join(lines)
        assert aispool("fleet", "logs", "--grep", "ERROR|trace").out.count("\n") == 2
        assert aispool("fleet", "logs", "--host", "h2", "-n", "1").out.startswith("h2 audit.jsonl")
        assert "regular expression" in aispool("fleet", "logs", "--grep", "(", code=2).err

    def test_long_lines_and_half_lines(self, aispool: Callable[..., Said], mirror: Mirror) -> None:
        """A line that is still being written is not printed; a very long one comes in parts."""
        (mirror.workspace.logs / "shell-t.log").write_text("x" * 100_000 + "\nwhole\nhal")
        out = aispool("fleet", "logs").out
        assert out.count("x") == 100_000
        assert out.endswith("h1 shell-t.log: whole\n")
