from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import audit
from agent.audit import writing
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace


def log_of(workspace: Workspace) -> Path:
    return workspace.logs / "audit.jsonl"


def written(workspace: Workspace, count: int) -> list[bytes]:
    for number in range(count):
        audit.append(workspace, "asked", who="ana", task_id=f"t{number}", question=f"¿por qué {number}?")
    return log_of(workspace).read_bytes().splitlines(keepends=True)


def bad_line(workspace: Workspace) -> int | None:
    """The line of the current file that verify names."""
    verdict = audit.verify(workspace)
    if verdict.bad is None:
        return None
    path, number, _why = verdict.bad.split(":", 2)
    assert path == str(log_of(workspace))
    return int(number)


def test_each_line_holds_the_digest_of_the_one_before(workspace: Workspace) -> None:
    """What `sha256sum` says of a line stands in the next one."""
    lines = written(workspace, 3)
    assert json.loads(lines[0])["prev"] == "0" * 64
    for before, line in itertools.pairwise(lines):
        assert json.loads(line)["prev"] == hashlib.sha256(before.rstrip(b"\n")).hexdigest()
    third = json.loads(lines[2])
    assert (third["n"], third["event"], third["who"], third["task_id"]) == (3, "asked", "ana", "t2")
    assert third["question"] == "¿por qué 2?"
    verdict = audit.verify(workspace)
    assert (verdict.entries, verdict.bad, verdict.notes) == (3, None, ())


def test_a_log_that_nobody_wrote_holds(workspace: Workspace) -> None:
    """Before the first entry there is nothing to find fault with, and looking leaves nothing behind."""
    assert audit.verify(workspace) == audit.Verdict(0, None, (), None)
    assert os.listdir(workspace.logs) == []


@pytest.mark.parametrize("line", range(1, 7))
def test_an_edit_is_named(workspace: Workspace, line: int) -> None:
    """The line that was changed is named, the last one included."""
    lines = written(workspace, 6)
    lines[line - 1] = lines[line - 1].replace(b'"ana"', b'"eva"')
    log_of(workspace).write_bytes(b"".join(lines))
    assert bad_line(workspace) == line


@pytest.mark.parametrize("line", range(1, 7))
def test_an_edited_link_is_named(workspace: Workspace, line: int) -> None:
    """Changing only the link to the line before is an edit of the line that holds it."""
    lines = written(workspace, 6)
    fields = json.loads(lines[line - 1])
    lines[line - 1] = json.dumps({**fields, "prev": "f" * 64}).encode() + b"\n"
    log_of(workspace).write_bytes(b"".join(lines))
    assert bad_line(workspace) == line


@pytest.mark.parametrize("line", range(1, 6))
def test_a_removed_line_is_named(workspace: Workspace, line: int) -> None:
    """Where it stood, another one stands."""
    lines = written(workspace, 6)
    log_of(workspace).write_bytes(b"".join(lines[: line - 1] + lines[line:]))
    assert bad_line(workspace) == line


def test_a_cut_end_is_named(workspace: Workspace) -> None:
    """Entries that were acknowledged and are gone from the end are missed."""
    lines = written(workspace, 6)
    log_of(workspace).write_bytes(b"".join(lines[:4]))
    assert "entries 5 to 6 had been acknowledged" in str(audit.verify(workspace).bad)
    log_of(workspace).unlink()
    assert "all entries are gone: 6" in str(audit.verify(workspace).bad)


def test_a_cut_end_is_not_covered_up_by_the_next_entry(workspace: Workspace) -> None:
    """Whoever writes after a cut first writes that it was cut."""
    lines = written(workspace, 6)
    log_of(workspace).write_bytes(b"".join(lines[:4]))
    audit.append(workspace, "asked", who="ana")
    assert "are gone" in str(audit.verify(workspace).bad)
    assert bad_line(workspace) == 5


@pytest.mark.parametrize(
    ("order", "line"),
    [([0, 2, 1, 3, 4, 5], 2), ([0, 1, 1, 2, 3, 4, 5], 3), ([1, 0, 2, 3, 4, 5], 1)],
    ids=["swapped", "repeated", "first"],
)
def test_a_moved_or_repeated_line_is_named(workspace: Workspace, order: list[int], line: int) -> None:
    """Order and number are part of the chain."""
    lines = written(workspace, 6)
    log_of(workspace).write_bytes(b"".join(lines[at] for at in order))
    assert bad_line(workspace) == line


def test_a_line_that_is_no_entry_is_named(workspace: Workspace) -> None:
    """Garbage in the middle is damage."""
    lines = written(workspace, 4)
    log_of(workspace).write_bytes(b"".join([*lines[:2], b"oops\n", *lines[2:]]))
    assert bad_line(workspace) == 3


def test_a_chain_written_anew_does_not_hold_the_anchor(tmp_path: Path) -> None:
    """A digest kept elsewhere tells one chain from another that holds in itself."""
    own, other = create(tmp_path / "a"), create(tmp_path / "b")
    written(own, 3)
    anchor = audit.verify(own).last
    assert anchor is not None
    written(own, 2)
    assert audit.verify(own, anchor.sha256).bad is None
    written(other, 5)
    assert audit.verify(other).bad is None
    assert "anchor" in str(audit.verify(other, anchor.sha256).bad)


@pytest.mark.parametrize("torn", [b'{"n": 4, "at"', b"\0" * 512, b"\xff\xfe", b"{}", b"[1]", b"null"])
def test_a_torn_end_is_mended_and_said(workspace: Workspace, torn: bytes) -> None:
    """What a crash left of a line stays, the next entry tells of it, and the chain holds."""
    written(workspace, 3)
    with log_of(workspace).open("ab") as stream:
        stream.write(torn)
    verdict = audit.verify(workspace)
    assert verdict.bad is None
    assert "the next entry will tell" in verdict.notes[0]
    after = audit.append(workspace, "run", who="agent")
    assert after.n == 5
    assert torn in log_of(workspace).read_bytes()
    verdict = audit.verify(workspace)
    assert verdict.bad is None
    assert "entry 4 tells so" in verdict.notes[0]


def test_the_entry_that_mends_may_be_torn_itself(workspace: Workspace) -> None:
    """Crash upon crash: all that was torn is told of once."""
    written(workspace, 3)
    for piece in (b'{"n": 4', b'{"n": 4, "event": "mend'):
        with log_of(workspace).open("ab") as stream:
            stream.write(piece + b"\n")
    assert audit.append(workspace, "run", who="agent").n == 5
    mended = next(e for e in audit.entries(workspace) if e.event == "mended")
    assert mended.details["torn_lines"] == 2
    assert audit.verify(workspace).bad is None


@pytest.mark.parametrize("change", [b"", b"{}\n", b'{"n": 5\n'])
def test_torn_lines_do_not_excuse_an_edit(workspace: Workspace, change: bytes) -> None:
    """What is left of torn lines may not be exchanged, removed or added to later: not even the first."""
    written(workspace, 3)
    first, second = b'{"n": 4, "ev\n', b'{"n": 4\n'
    for piece in (first, second):
        with log_of(workspace).open("ab") as stream:
            stream.write(piece)
    audit.append(workspace, "run", who="agent")
    assert audit.verify(workspace).bad is None
    content = log_of(workspace).read_bytes()
    for torn in (first, second):
        log_of(workspace).write_bytes(content.replace(torn, change))
        assert bad_line(workspace) == 4
    log_of(workspace).write_bytes(content.replace(first, b"more\n" + first))
    assert bad_line(workspace) == 4


def test_a_line_without_its_break_is_whole(workspace: Workspace) -> None:
    """A crash between a line and its break tore nothing."""
    lines = written(workspace, 3)
    log_of(workspace).write_bytes(b"".join(lines).rstrip(b"\n"))
    assert audit.append(workspace, "run", who="agent").n == 4
    assert audit.verify(workspace) == audit.Verdict(
        4, None, (), next(reversed(list(audit.entries(workspace))))
    )


def test_rotation_does_not_break_the_chain(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file gets the number of its first entry; entries go on counting in the next one."""
    monkeypatch.setattr(writing, "FILE_BYTES", 600)
    written(workspace, 20)
    names = sorted(name for name in os.listdir(workspace.logs) if name.endswith(".jsonl"))
    assert len(names) > 3
    assert names[0] == "audit-000000000001.jsonl"
    assert [entry.n for entry in audit.entries(workspace)] == list(range(1, 21))
    assert audit.verify(workspace).bad is None
    (workspace.logs / names[1]).unlink()
    assert f"{names[2]}:1: it is entry" in str(audit.verify(workspace).bad)


def test_a_crash_between_the_files_loses_nothing(workspace: Workspace) -> None:
    """Renamed, and nothing new yet: the next entry follows the last of the renamed file."""
    written(workspace, 3)
    log_of(workspace).rename(workspace.logs / "audit-000000000001.jsonl")
    with (workspace.logs / "audit-000000000001.jsonl").open("ab") as stream:
        stream.write(b'{"n": 4, "to')
    assert audit.append(workspace, "run", who="agent").n == 5
    assert audit.verify(workspace).bad is None


def test_several_threads_write_one_chain(workspace: Workspace) -> None:
    """Entries of writers at once stand one behind the other, none is lost."""
    threads = [threading.Thread(target=written, args=(workspace, 10)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.verify(workspace).entries == 60
    assert audit.verify(workspace).bad is None


WRITER = """
import sys
from pathlib import Path
from agent import audit
from spool.workspace import Workspace
n = 0
while True:
    entry = audit.append(Workspace(Path(sys.argv[1])), "run", who=sys.argv[2], count=n, filler="x" * 3000)
    print(entry.n, entry.sha256, flush=True)
    n += 1
"""


def test_killed_writers_leave_a_chain_that_holds(workspace: Workspace) -> None:
    """Of writers killed anywhere, every entry that was acknowledged is there."""
    acknowledged: dict[int, str] = {}
    for _round in range(6):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, workspace.root, f"w{number}"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(3)]
            writer.send_signal(signal.SIGKILL)
            said += writer.communicate(timeout=30)[0].splitlines(keepends=True)
            for line in said:
                if line.endswith("\n"):
                    n, sha256 = line.split()
                    acknowledged[int(n)] = sha256
    audit.append(workspace, "run", who="last")
    found = {entry.n: entry.sha256 for entry in audit.entries(workspace)}
    assert acknowledged.items() <= found.items()
    assert audit.verify(workspace).bad is None


def test_a_full_disk_leaves_no_part_of_an_entry(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the caller's to handle, and the log is as before."""
    before = b"".join(written(workspace, 2))

    def full(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_all", full)
        with pytest.raises(OSError, match="No space"):
            audit.append(workspace, "run", who="agent")
    assert log_of(workspace).read_bytes() == before
    assert audit.append(workspace, "run", who="agent").n == 3


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"n": 1}, "field 'n' of its own"),
        ({"value": float("nan")}, "must be JSON"),
        ({"value": object()}, "must be JSON"),
        ({"value": "x" * (1 << 20)}, "give a digest"),
    ],
)
def test_what_is_no_entry_is_refused(workspace: Workspace, details: dict[str, object], why: str) -> None:
    """Nothing is written of it, and the next entry is the first."""
    with pytest.raises(audit.AuditError, match=why):
        audit.append(workspace, "run", who="agent", **details)  # type: ignore[arg-type]
    assert not log_of(workspace).exists()


def test_links_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    """A link in the log's place is not written through."""
    target = tmp_path / "elsewhere"
    target.write_bytes(b"")
    log_of(workspace).symlink_to(target)
    with pytest.raises(OSError, match=r"symbolic link|Too many levels"):
        audit.append(workspace, "run", who="agent")
    assert target.read_bytes() == b""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, bytes]:
    """A log of five entries, and its bytes."""
    workspace = create(tmp_path_factory.mktemp("chain") / "w")
    return workspace, b"".join(written(workspace, 5))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_goes_unnoticed(chain: tuple[Workspace, bytes], data: st.DataObject) -> None:
    """Whatever byte is changed, run of bytes cut out or put in: verify says so."""
    workspace, content = chain
    at = data.draw(st.integers(0, len(content) - 1))
    change = data.draw(st.sampled_from(["byte", "cut", "insert"]))
    changed = _changed(content, at, change, data.draw)
    log_of(workspace).write_bytes(changed)
    is_same = changed.rstrip(b"\n") == content.rstrip(b"\n")
    assert (audit.verify(workspace).bad is None) == is_same


def _changed(content: bytes, at: int, change: str, draw: Callable[[st.SearchStrategy[int]], int]) -> bytes:
    if change == "byte":
        return content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]
    if change == "cut":
        return content[:at] + content[at + draw(st.integers(1, 400)) :]
    return content[:at] + bytes([draw(st.integers(0, 255))]) * draw(st.integers(1, 50)) + content[at:]
