"""What is accepted, what is refused and in which words; half-written files are never taken."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Host

GOOD = {"tool": "actor", "command": "finish"}


def deep(levels: int) -> bytes:
    return (
        b'{"tool": "actor", "command": "finish", "metadata": {"x": ' + b"[" * levels + b"]" * levels + b"}}"
    )


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "truncated": (b'{"tool": "actor", "comma', "ends in the middle"),
    "array": (b"[1]", "not an object"),
    "two": (b"{} {}", "more text follows"),
    "deep": (deep(100_000), "nested deeper"),
    "twice": (b'{"tool": "actor", "command": "finish", "tool": "shell"}', "stands twice"),
    "nan": (b'{"tool": "actor", "command": "finish", "timeout": NaN}', "NaN is not JSON"),
    "infinity": (b'{"tool": "actor", "command": "finish", "timeout": -Infinity}', "not JSON"),
    "latin": ('{"tool": "actor", "command": "fäh"}'.encode("latin-1"), "not UTF-8"),
    "bom": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "byte order mark"),
    "utf16": (json.dumps(GOOD).encode("utf-16"), "UTF-16"),
    "nul": (b"\0" * 300, "NUL"),
    "type": (json.dumps({**GOOD, "timeout": "soon"}).encode(), "timeout"),
    "boolean": (json.dumps({**GOOD, "priority": True}).encode(), "priority"),
    "no-tool": (b'{"command": "finish"}', "tool"),
    "no-command": (b'{"tool": "actor"}', "command"),
    "bad-id": (json.dumps({**GOOD, "task_id": "../../etc"}).encode(), "task id"),
    "long-id": (json.dumps({**GOOD, "task_id": "a" * 101}).encode(), "task id"),
    "retries": (json.dumps({**GOOD, "retry_policy": {"max_retry": 1}}).encode(), "max_retries"),
    "unknown-tool": (json.dumps({**GOOD, "tool": "acter"}).encode(), "actor"),
    "output-up": (json.dumps({**GOOD, "parameters": {"output": "../x.json"}}).encode(), "output|\\.\\."),
    "output-id": (json.dumps({**GOOD, "parameters": {"output": "results/t/x.json"}}).encode(), "results"),
    "output-bare": (json.dumps({**GOOD, "parameters": {"output": "results/name"}}).encode(), "suffix"),
    "cwd-out": (json.dumps({**GOOD, "parameters": {"cwd": "/etc"}}).encode(), "may use"),
    "env": (json.dumps({**GOOD, "env": {"LD_PRELOAD": "/x.so"}}).encode(), "LD_PRELOAD"),
    "env-ours": (json.dumps({**GOOD, "env": {"AISPOOL_TASK_ID": "x"}}).encode(), "AISPOOL_TASK_ID"),
    "surrogate": (b'{"tool": "actor", "command": "\\ud800"}', "surrogate"),
    "nul-inside": (b'{"tool": "actor", "command": "a\\u0000b"}', "NUL"),
    "huge-number": (b'{"tool": "actor", "command": "x", "timeout": 1e999}', "too large"),
    "launcher": (json.dumps({**GOOD, "launcher": "nohup"}).encode(), "process"),
    "terminal": (json.dumps({**GOOD, "launcher": "process", "interactive": True}).encode(), "terminal"),
}


def test_every_bad_content_is_rejected_with_its_reason(host: Host) -> None:
    """Each bad file lies untouched in rejected/ with what, where and what to do; the good one still runs."""
    host.start()
    for name, (content, _) in BAD.items():
        host.put(f"{name}.json", content)
    host.drop("good")
    assert host.results("good") == {"good": "succeeded"}
    for name, (content, words) in BAD.items():
        refusal = host.refusal(f"{name}.json")
        said = refusal["what"] + refusal["remedy"]
        assert any(word in said for word in words.replace("\\", "").split("|")), (name, refusal)
        assert (host.ws.rejected / f"{name}.json").read_bytes() == content
        assert refusal["file"] == f"{name}.json"
    assert host.refusal("twice.json")["where"]["line"] == 1
    assert host.refusal("twice.json")["where"]["byte"] == 39
    assert host.refusal("type.json")["where"]["field"] == "timeout"
    assert host.ledger() == ["good 001"]


def test_things_that_are_no_files(host: Host) -> None:
    """A FIFO, a socket, a folder, links and a device named x.json are refused at once, and never opened."""
    host.start()
    tasks = host.ws.tasks
    outside = host.folder / "outside.json"
    outside.write_text(json.dumps({**GOOD, "task_id": "outside"}))
    os.mkfifo(tasks / "fifo.json")
    (tasks / "folder.json").mkdir()
    (tasks / "link.json").symlink_to(outside)
    (tasks / "dangling.json").symlink_to("/nowhere")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tasks / "socket.json"))
    kinds = {"fifo": "a FIFO", "folder": "a folder", "link": "a symbolic link", "dangling": "a symbolic link"}
    kinds["socket"] = "a socket"
    if os.geteuid() == 0:
        os.mknod(tasks / "device.json", 0o600 | 0o020000, os.makedev(1, 5))
        kinds["device"] = "a device"
    for name, kind in kinds.items():
        assert kind in host.refusal(f"{name}.json")["what"]
    host.drop("good")
    assert host.results("good") == {"good": "succeeded"}
    assert outside.exists()
    assert host.ledger() == ["good 001"]


def test_names_that_are_no_names(host: Host) -> None:
    """A name with a newline, one of 255 bytes and one that is not UTF-8 are refused, with an explanation."""
    host.start()
    raw = [b"line\nfeed.json", b"n" * 250 + b".json", b"b\xffd.json"]
    for name in raw:
        target = os.fsencode(host.ws.tasks) + b"/" + name
        Path(os.fsdecode(target)).write_bytes(json.dumps(GOOD).encode())
    host.wait(lambda: not list(host.ws.tasks.glob("*.json")), "all are taken away")
    host.wait(lambda: len(list(host.ws.rejected.glob("*.error.json"))) == len(raw), "all are explained")
    host.drop("good")
    assert host.results("good") == {"good": "succeeded"}
    assert host.ledger() == ["good 001"]


def test_other_users_file(host: Host) -> None:
    """Another user's file is refused, unless agent.toml allows that user."""
    if os.geteuid() != 0:
        pytest.skip("cannot run here: only root can give a file away")
    host.configure(allowed_users=[2])
    host.start()
    for name, uid in (("theirs", 1), ("allowed", 2)):
        hidden = host.folder / name
        hidden.write_text(json.dumps({**GOOD, "task_id": name}))
        os.chown(hidden, uid, uid)
        hidden.rename(host.ws.tasks / f"{name}.json")
    assert "allowed_users" in host.refusal("theirs.json")["remedy"]
    assert host.results("allowed") == {"allowed": "succeeded"}


def test_a_gigabyte(host: Host) -> None:
    """A file of 1 GB (sparse) is refused for its size without being read."""
    host.start()
    hidden = host.ws.tasks / ".big"
    with hidden.open("wb") as file:
        file.truncate(1 << 30)
    hidden.rename(host.ws.tasks / "big.json")
    assert "max_task_bytes" in host.refusal("big.json")["remedy"]
    assert (host.ws.rejected / "big.json").stat().st_size == 1 << 30


def test_dotfiles_and_other_names_are_not_there(host: Host) -> None:
    """The temporary names of rsync and our own are never looked at, nor is anything that is not .json."""
    host.start()
    for name in (".t.json.Xa12", ".t.json", "t.json.part", "README", "t.JSON~"):
        (host.ws.tasks / name).write_text(json.dumps(GOOD))
    host.drop("good")
    assert host.results("good") == {"good": "succeeded"}
    assert len(list(host.ws.tasks.iterdir())) == 6, "five and held/"


def test_slow_writer_is_waited_for(host: Host) -> None:
    """`cat > x.json` that is at it for a while: the file is taken when the writer closed it, whole."""
    host.start()
    text = json.dumps({**GOOD, "task_id": "slow", "metadata": {"pad": "x" * 4000}})
    writer = subprocess.Popen(["sh", "-c", f"exec cat >{host.ws.tasks}/slow.json"], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    writer.stdin.write(text[:2000].encode())
    writer.stdin.flush()
    host.wait(lambda: "open for writing" in host.agent_log(), "the agent saw that it is not finished")
    for number in (1, 2, 3):  # longer than reject_unparsable_after_s, by the agent's own doing
        host.drop(f"other{number}", "nap", "0.6")
        host.result(f"other{number}")
    assert (host.ws.tasks / "slow.json").exists()
    writer.stdin.write(text[2000:].encode())
    writer.stdin.close()
    assert writer.wait(10) == 0
    assert host.results("slow") == {"slow": "succeeded"}


def test_complete_prefix_is_not_taken_from_a_writer(host: Host) -> None:
    """Even bytes that parse are not a task while their writer still has them open."""
    host.start()
    text = json.dumps({**GOOD, "task_id": "early"})
    with (host.ws.tasks / "early.json").open("w") as file:
        file.write(text)
        file.flush()
        host.drop("other", "nap", "1")
        host.result("other")
        assert (host.ws.tasks / "early.json").exists()
        file.write("\n\n")
    assert host.results("early") == {"early": "succeeded"}


def test_killed_writer_leaves_a_rejected_file(host: Host) -> None:
    """What a killed scp leaves is no task: it is rejected after a while, as it is, with the likely cause."""
    host.start()
    text = json.dumps({**GOOD, "task_id": "cut"}).encode()
    writer = subprocess.Popen(["sh", "-c", f"exec cat >{host.ws.tasks}/cut.json"], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    writer.stdin.write(text[:-9])
    writer.stdin.flush()
    path = host.ws.tasks / "cut.json"
    host.wait(lambda: path.exists() and path.stat().st_size == len(text) - 9, "a part is there")
    writer.kill()
    writer.communicate()
    refusal = host.refusal("cut.json")
    assert "ends in the middle" in refusal["what"]
    assert "copy it again" in refusal["remedy"]
    host.put("cut.json", text)  # and so they do
    assert host.results("cut") == {"cut": "succeeded"}


def test_truncated_file_may_be_completed_in_time(host: Host) -> None:
    """A truncated file that is written over before the time is up is accepted as if nothing had been."""
    host.configure(reject_unparsable_after_s=60.0)
    host.start()
    path = host.ws.tasks / "t.json"
    path.write_text('{"task_id": "t", "tool": ')
    host.wait(lambda: "not finished" in host.agent_log(), "the agent saw it")
    path.write_text(json.dumps({**GOOD, "task_id": "t"}))
    assert host.results("t") == {"t": "succeeded"}


def test_duplicates_and_conflicts(host: Host) -> None:
    """The same id again: with the same bytes a duplicate, with others a conflict, each naming the first."""
    host.start()
    gate = ["gate", "go"]

    def again(name: str, *args: str) -> dict[str, Any]:
        host.drop("t", *args, name=name)
        return host.refusal(name)

    host.drop("t", *gate, name="first.json")
    host.wait_for_run("t")
    same = again("same.json", *gate)
    assert "same content" in same["what"]
    assert str(host.ws.sessions / "t") in same["duplicate_of"]
    assert "leave out `task_id`" in same["remedy"]
    other = again("other.json", "finish")
    assert "other content" in other["what"]
    host.open_gate("go")
    host.result("t")
    late = again("late.json", *gate)
    assert "same content" in late["what"]
    assert late["duplicate_of"] == str(host.ws.results / "t")
    (host.ws.configs / "paused").touch()
    host.drop("w", name="w1.json")
    host.why("w1", "paused")
    host.drop("w", name="w2.json")
    assert host.refusal("w2.json")["duplicate_of"] == str(host.ws.tasks / "w1.json")
    (host.ws.configs / "paused").unlink()
    assert host.results("w") == {"w": "succeeded"}
    assert sorted(host.ledger()) == ["t 001", "w 001"]


def test_source_is_not_what_is_executed(host: Host) -> None:
    """Who writes into the claimed file changes nothing: the validated copy is what runs."""
    host.start(slots=1)
    host.drop("first", "gate", "go")
    host.wait_for_run("first")
    policy = {"max_retries": 1, "backoff": "fixed", "initial_delay_s": 0.3}
    host.drop("t", "fail", "1", retry_policy=policy)
    host.open_gate("go")
    host.wait_for_run("t")
    for folder in (host.ws.sessions, host.ws.results):
        if (source := folder / "t/source/t.json").exists():
            source.write_text('{"task_id": "t", "tool": "shell", "command": "touch evil"}')
    result = host.result("t")
    assert (result["state"], result["tool"]) == ("succeeded", "actor")
    assert host.ledger()[1:] == ["t 001", "t 002"]


def test_burst_of_copies(host: Host) -> None:
    """Three hundred files copied at once by cp all run, each once; a burst loses events, never tasks."""
    pile = host.folder / "pile"
    pile.mkdir()
    names = [f"b{i:03d}" for i in range(300)]
    for name in names:
        (pile / f"{name}.json").write_text(json.dumps({**GOOD, "task_id": name, "expires_at": "2020-01-01"}))
    host.start()
    subprocess.run(["sh", "-c", f"cp {pile}/*.json {host.ws.tasks}/"], check=True)
    assert set(host.results(*names, limit_s=60).values()) == {"expired"}
    assert not list(host.ws.rejected.iterdir())
