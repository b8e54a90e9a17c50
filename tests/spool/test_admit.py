from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spool import admit
from spool.admit import NotYet, Ready, Rules, Sight, Verdict, give_up_waiting, look
from spool.refusal import Refusal
from spool.task import parse_task

if TYPE_CHECKING:
    from spool.workspace import Workspace


def verdict_of(path: Path, rules: Rules, now_s: float = 0.0, before: Sight | None = None) -> Verdict:
    seen = look(path, before, now_s, rules)
    assert seen is not None
    return seen[1]


@pytest.fixture
def dropped(workspace: Workspace, sample_tasks: list[Path]) -> Path:
    """A real task, copied into the drop folder."""
    return Path(shutil.copy(sample_tasks[0], workspace.tasks))


def test_a_finished_file_is_ready_at_once(dropped: Path, rules: Rules) -> None:
    """With a lease nothing needs to be waited for."""
    verdict = verdict_of(dropped, rules)
    assert isinstance(verdict, Ready)
    assert verdict.content == dropped.read_bytes()
    assert verdict.sha256 == hashlib.sha256(verdict.content).hexdigest()
    assert verdict.arrived_at.timestamp() == pytest.approx(dropped.stat().st_ctime)


def test_a_shell_that_still_writes_is_waited_for(workspace: Workspace, rules: Rules) -> None:
    """`cat > tasks/x.json` holds the file open until its input ends, whatever lies in it."""
    path = workspace.tasks / "x.json"
    with subprocess.Popen(["sh", "-c", f"cat > '{path}'; echo done"], stdin=-1, stdout=-1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        while not path.exists():
            os.sched_yield()
        assert isinstance(verdict_of(path, rules), NotYet)
        writer.stdin.write(b'{"tool": "shell", "command": "true"}')
        writer.stdin.flush()
        while path.stat().st_size == 0:
            os.sched_yield()
        assert isinstance(verdict_of(path, rules, now_s=1000.0), NotYet)
        writer.stdin.close()
        assert writer.stdout.read() == b"done\n"
    assert isinstance(verdict_of(path, rules), Ready)


@pytest.mark.parametrize("tool", ["cp", "mv"])
def test_copies_and_moves_arrive_whole(workspace: Workspace, rules: Rules, tmp_path: Path, tool: str) -> None:
    """At any moment of a large copy the file is absent, not yet ready, or whole."""
    source = tmp_path / "big.json"
    content = b'{"tool": "shell", "command": "true", "metadata": {"x": "' + b"y" * (3 << 20) + b'"}}'
    source.write_bytes(content)
    path = workspace.tasks / "big.json"
    with subprocess.Popen([tool, source, path]) as running:
        while running.poll() is None:
            seen = look(path, None, 0.0, rules)
            assert seen is None or isinstance(seen[1], NotYet | Ready)
            if seen is not None and isinstance(seen[1], Ready):
                assert seen[1].content in {content, b""}
    verdict = verdict_of(path, rules)
    assert isinstance(verdict, Ready)
    assert verdict.content == content


def test_without_leases_quiet_is_waited_for(
    dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system size and ctime must not change for a while, on our own clock."""
    monkeypatch.setattr(admit, "no_writer_holds", lambda _: None)
    seen = look(dropped, None, 100.0, rules)
    assert seen is not None
    assert isinstance(seen[1], NotYet)
    assert seen[1].again_in_s == pytest.approx(2.0)
    assert isinstance(verdict_of(dropped, rules, 101.9, seen[0]), NotYet)
    assert isinstance(verdict_of(dropped, rules, 102.0, seen[0]), Ready)
    with dropped.open("ab") as file:
        file.write(b"\n")
    again = look(dropped, seen[0], 102.0, rules)
    assert again is not None
    assert isinstance(again[1], NotYet)
    assert again[0].since_s == 102.0


def test_the_wall_clock_is_not_asked(dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a time from the future or from 1970 waits no longer and no shorter."""
    monkeypatch.setattr(admit, "no_writer_holds", lambda _: None)
    for mtime in (0, 4_000_000_000):
        os.utime(dropped, (mtime, mtime))
        seen = look(dropped, None, 5.0, rules)
        assert seen is not None
        assert isinstance(seen[1], NotYet)
        assert isinstance(verdict_of(dropped, rules, 7.0, seen[0]), Ready)


def test_a_file_that_changes_while_it_is_read_is_not_ready(
    dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer may come between the lease and the read."""
    real = admit.read_descriptor

    def read_and_append(descriptor: int, limit_bytes: int) -> bytes:
        content = real(descriptor, limit_bytes)
        with dropped.open("ab") as file:
            file.write(b" ")
        return content

    monkeypatch.setattr(admit, "read_descriptor", read_and_append)
    assert isinstance(verdict_of(dropped, rules), NotYet)


def test_a_file_that_is_replaced_while_it_is_read_is_not_ready(
    dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes must be those of the file that was looked at."""
    real = admit.open_regular

    def swapped(path: Path) -> Any:
        other = path.with_name(".other")
        other.write_text("{}")
        other.rename(path)
        return real(path)

    monkeypatch.setattr(admit, "open_regular", swapped)
    assert isinstance(verdict_of(dropped, rules), NotYet)


def test_gone_is_none(dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that vanishes before or while we look is nobody's problem."""
    real = admit.open_regular

    def vanished(path: Path) -> Any:
        path.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(admit, "open_regular", vanished)
    assert look(dropped, None, 0.0, rules) is None
    assert look(dropped, None, 0.0, rules) is None


def test_what_is_no_regular_file_is_refused(workspace: Workspace, rules: Rules) -> None:
    """FIFO, link, dangling link and folder are refused at once, by what they are."""
    tasks = workspace.tasks
    os.mkfifo(tasks / "fifo.json")
    (tasks / "link.json").symlink_to("/etc/passwd")
    (tasks / "dangling.json").symlink_to("/nowhere/at/all")
    (tasks / "folder.json").mkdir()
    for name, kind in {
        "fifo": "a FIFO",
        "link": "a symbolic link",
        "dangling": "a symbolic link",
        "folder": "a folder",
    }.items():
        verdict = verdict_of(tasks / f"{name}.json", rules)
        assert isinstance(verdict, Refusal)
        assert verdict.final
        assert kind in verdict.what


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device_is_refused(workspace: Workspace, rules: Rules) -> None:
    """A device is never opened: that alone may do something."""
    try:
        os.mknod(workspace.tasks / "null.json", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container may not make devices")
    verdict = verdict_of(workspace.tasks / "null.json", rules)
    assert isinstance(verdict, Refusal)
    assert "a device" in verdict.what


def test_another_users_file_is_refused(dropped: Path, rules: Rules) -> None:
    """Only allowed users give tasks."""
    verdict = verdict_of(dropped, replace(rules, allowed_uids=frozenset({os.getuid() + 1})))
    assert isinstance(verdict, Refusal)
    assert f"user {os.getuid()}" in verdict.what
    assert "allowed_users" in verdict.remedy


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_that_was_given_away_is_another_users(dropped: Path, rules: Rules) -> None:
    """The owner on disk decides, not who dropped it."""
    os.chown(dropped, 65534, 65534)
    assert isinstance(verdict_of(dropped, rules), Refusal)
    allowed = replace(rules, allowed_uids=frozenset({0, 65534}))
    assert isinstance(verdict_of(dropped, allowed), Ready)


def test_a_gigabyte_is_refused_unread(
    workspace: Workspace, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A huge file is refused by its size, once it was quiet; not one byte of it is read."""
    path = workspace.tasks / "huge.json"
    path.touch()
    os.truncate(path, 1 << 30)
    monkeypatch.setattr(admit, "read_descriptor", None)
    seen = look(path, None, 0.0, rules)
    assert seen is not None
    assert isinstance(seen[1], NotYet)
    verdict = verdict_of(path, rules, 2.0, seen[0])
    assert isinstance(verdict, Refusal)
    assert "1073741824 bytes" in verdict.what
    assert "max_task_bytes" in verdict.remedy


def test_the_largest_that_is_allowed(workspace: Workspace, rules: Rules) -> None:
    """The limit itself is fine."""
    path = workspace.tasks / "x.json"
    path.write_bytes(b" " * rules.max_task_bytes)
    assert isinstance(verdict_of(path, rules), Ready)


@pytest.mark.parametrize(
    "name",
    ["a\nb.json", "a\x1bb.json", "x" * 196 + ".json", "x" * 250 + ".json", "ä" * 100 + ".json"],
    ids=["newline", "escape", "201 bytes", "255 bytes", "205 bytes of umlauts"],
)
def test_names_that_cannot_be_taken(workspace: Workspace, rules: Rules, name: str) -> None:
    """A bad name is refused, and said so on one line."""
    (workspace.tasks / name).write_text("{}")
    verdict = verdict_of(workspace.tasks / name, rules)
    assert isinstance(verdict, Refusal)
    assert "\n" not in verdict.sentence()


def test_a_name_that_is_not_utf_8(workspace: Workspace, rules: Rules) -> None:
    """Names are bytes on disk."""
    path = workspace.tasks / os.fsdecode(b"\xff\xfe.json")
    path.write_text("{}")
    assert isinstance(verdict_of(path, rules), Refusal)


def test_what_does_not_parse_is_given_a_minute(workspace: Workspace, rules: Rules, clock: Any) -> None:
    """A truncated upload may go on; quiet for a minute, it is refused with its place."""
    path = workspace.tasks / "x.json"
    path.write_text('{"tool": "she')
    seen = look(path, None, clock(), rules)
    assert seen is not None
    sight, verdict = seen
    assert isinstance(verdict, Ready)
    refusal = parse_task(verdict.content)
    assert isinstance(refusal, Refusal)
    waiting = give_up_waiting(refusal, sight, clock.advance(1), rules)
    assert isinstance(waiting, NotYet)
    assert waiting.again_in_s == pytest.approx(59)
    assert isinstance(give_up_waiting(refusal, sight, clock.advance(58.9), rules), NotYet)
    assert give_up_waiting(refusal, sight, clock.advance(0.2), rules) is refusal
    path.write_text('{"tool": "shel')
    changed = look(path, sight, clock(), rules)
    assert changed is not None
    assert isinstance(give_up_waiting(refusal, changed[0], clock(), rules), NotYet)


def test_what_no_later_byte_mends_is_refused_at_once(rules: Rules) -> None:
    """A task that parses and is wrong does not wait a minute."""
    refusal = parse_task(b'{"tool": 3}')
    assert isinstance(refusal, Refusal)
    sight = Sight(admit.Signature(0, 0, 0, 0, 0), 0.0)
    assert give_up_waiting(refusal, sight, 0.0, rules) is refusal


def test_a_file_that_may_not_be_read(dropped: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is a matter of the remedy; root, who runs the tests perhaps, may read everything."""

    def forbidden(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(admit, "open_regular", forbidden)
    verdict = verdict_of(dropped, rules)
    assert isinstance(verdict, Refusal)
    assert "chmod" in verdict.remedy
