"""How the tool is run: environment, set-up, terminal, time limits, and what is kept of its output."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench


def test_exit_tells_how_it_went(bench: Bench) -> None:
    """Exit code, times, sizes; the bell is rung; both streams in their files, together in the log."""
    ended = bench.run("echo out; echo error >&2; exit 3")
    assert (ended["exit_code"], ended["signal"], ended["ended_by"], ended["error"]) == (3, None, None, None)
    assert ended["started_at"] <= ended["finished_at"]
    assert 0 <= ended["duration_s"] < 10
    assert (ended["stdout_bytes"], ended["stderr_bytes"], ended["truncated"]) == (4, 6, False)
    assert bench.stdout == b"out\n"
    assert (bench.attempt / "stderr").read_bytes() == b"error\n"
    assert "[aispool] t, attempt 1" in bench.log.read_text()
    assert {"out", "error"} <= set(bench.log.read_text().split())
    assert (bench.root / "bell").exists()
    for name in ("exit", "started", "stdout", "stderr"):
        assert (bench.attempt / name).stat().st_mode & 0o077 == 0, name
    assert not (bench.attempt / ".exit").exists()


def test_signal_is_told(bench: Bench) -> None:
    ended = bench.run("kill -SEGV $$")
    assert (ended["exit_code"], ended["signal"]) == (None, signal.SIGSEGV)


def test_stdin_is_empty_and_signals_are_default(bench: Bench) -> None:
    """A tool reads end of file, and ignores no signal that the wrapper ignores."""
    bench.run('cat; exec grep -E "^Sig(Ign|Blk)" /proc/self/status')
    assert bench.stdout.split() == [b"SigBlk:", b"0" * 16, b"SigIgn:", b"0" * 16]


def test_descriptors_of_the_tool(bench: Bench) -> None:
    """Beside its three streams the tool holds tree.lock, and nothing else of ours."""
    bench.run(argv=("/bin/ls", "-l", "/proc/self/fd"))
    held = dict(line.rpartition(b" -> ")[::2] for line in bench.stdout.splitlines() if b" -> " in line)
    others = [held[name] for name in held if int(name.split()[-1]) > 2 and b"/proc/" not in held[name]]
    assert others == [os.fsencode(bench.attempt / "tree.lock")]


def test_missing_program_and_folder(bench: Bench) -> None:
    """What cannot be started ends the attempt with the reason and the place."""
    ended = bench.run(argv=("/no/such/program",))
    assert ended["error"] == "No such file or directory: /no/such/program"
    assert ended["exit_code"] is None


def test_missing_folder(bench: Bench) -> None:
    assert "/no/such/folder" in bench.run(cwd="/no/such/folder")["error"]


def test_set_up_comes_first(bench: Bench) -> None:
    """The set-up command runs in the tool's environment and folder; its failure fails the attempt."""
    ended = bench.run("cat made", setup_argv=("/bin/sh", "-c", 'echo "$RAN" >made'))
    assert ended["exit_code"] == 0
    assert bench.stdout.decode().strip() == str(bench.root / "ran")


def test_failed_set_up(bench: Bench) -> None:
    ended = bench.run('echo ran >>"$RAN"', setup_argv=("/bin/false",))
    assert ended["error"] == "the set-up command /bin/false ended with 1"
    assert bench.ran == []


def test_set_up_that_hangs_is_timed_out(bench: Bench) -> None:
    """The time limit counts for the set-up command as well."""
    ended = bench.run('echo ran >>"$RAN"', setup_argv=("/bin/sleep", "300"), timeout_s=0.6)
    assert ended["ended_by"] == "timeout"
    assert bench.ran == []


def test_env_file(bench: Bench) -> None:
    """Comments, export and quotes are understood, nothing is expanded; our own names and env win."""
    secrets = bench.root / "tool.env"
    secrets.write_text(
        "# comment\n\nexport A=1\nB='two words'\nC=\"$A `x`\"\nD=a=b\nE=\n"
        " RAN=from-file \nAISPOOL_TASK_ID=no\n"
    )
    secrets.chmod(0o600)
    bench.run('echo "$A|$B|$C|$D|$E|$AISPOOL_TASK_ID"; echo "$RAN"', env_files=(str(secrets),))
    assert bench.stdout.decode().splitlines() == ["1|two words|$A `x`|a=b||t", str(bench.root / "ran")]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_open_env_file_is_refused(bench: Bench, mode: int) -> None:
    """A file of secrets that others may read fails the attempt and says chmod; no value is told."""
    secrets = bench.root / "tool.env"
    secrets.write_text("KEY=s3cr3t-42\n")
    secrets.chmod(mode)
    ended = bench.run('echo ran >>"$RAN"', env_files=(str(secrets),))
    assert f"chmod 600 {secrets}" in ended["error"]
    assert bench.ran == []


@pytest.mark.parametrize("line", ["no equals sign s3cr3t-42", "1A=s3cr3t-42", "A B=s3cr3t-42"])
def test_bad_line_of_an_env_file(bench: Bench, line: str) -> None:
    """A line that is not NAME=VALUE is named by its number, never by its content."""
    secrets = bench.root / "tool.env"
    secrets.write_text(f"OK=1\n{line}\n")
    secrets.chmod(0o600)
    ended = bench.run(env_files=(str(secrets),))
    assert "line 2" in ended["error"]
    assert "s3cr3t" not in json.dumps(ended)


def test_env_file_that_is_a_link_or_missing(bench: Bench) -> None:
    target = bench.root / "target"
    target.write_text("A=1\n")
    target.chmod(0o600)
    link = bench.root / "tool.env"
    link.symlink_to(target)
    assert "symbolic link" in bench.run(env_files=(str(link),))["error"]


def test_aliases(bench: Bench) -> None:
    """A name that is unset takes the first other name that has a value; one that is set keeps its own."""
    secrets = bench.root / "tool.env"
    secrets.write_text("OLD=from-old\nEMPTY=\nKEPT=own\n")
    secrets.chmod(0o600)
    aliases = {"NEW": ("EMPTY", "OLD"), "KEPT": ("OLD",), "NONE": ("MISSING",)}
    bench.run('echo "$NEW|$KEPT|${NONE-unset}"', env_files=(str(secrets),), env_aliases=aliases)
    assert bench.stdout == b"from-old|own|unset\n"


def test_secrets_stand_nowhere(bench: Bench) -> None:
    """A secret reaches the tool, and no record, log or command line."""
    secrets = bench.root / "tool.env"
    secrets.write_text("KEY=s3cr3t-42\n")
    secrets.chmod(0o600)
    bench.prepare(
        '[ "$KEY" = "s3cr3t""-42" ] && until [ -e go ]; do sleep 0.02; done', env_files=(str(secrets),)
    )
    wrapper = bench.spawn()
    bench.wait((bench.attempt / "started").exists, "it runs")
    assert not [line for line in bench.processes().values() if "s3cr3t-42" in line]
    (bench.root / "go").touch()
    assert wrapper.wait(20) == 0
    assert bench.exit()["exit_code"] == 0
    for path in bench.root.rglob("*"):
        if path.is_file() and path != secrets:
            assert b"s3cr3t-42" not in path.read_bytes(), path


def test_interactive_tool_has_a_terminal(bench: Bench) -> None:
    """An interactive tool sees a terminal of its own; what a person types in the pane reaches it."""
    script = 'test -t 0 && test -t 1 && read one && echo "got $one" && read two && echo "and $two"'
    bench.prepare(script, interactive=True)
    ours, theirs = pty.openpty()
    os.write(ours, b"early\r")  # before anybody listens
    wrapper = bench.spawn(stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    bench.wait(lambda: (bench.attempt / "stdout").exists() and b"got" in bench.stdout, "it read the first")
    os.write(ours, b"late\r")
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # EIO: the other side is closed
    finally:
        os.close(ours)
    assert wrapper.wait(20) == 0
    assert bench.exit()["exit_code"] == 0
    assert b"got early" in shown
    assert b"and late" in shown
    assert b"and late" in bench.stdout


def test_pane_that_nobody_reads_stalls_nothing(bench: Bench) -> None:
    """A terminal whose other side does not read loses output; the tool goes on and its file is whole."""
    bench.prepare("head -c 300000 /dev/zero | tr '\\0' x")
    ours, theirs = pty.openpty()
    wrapper = bench.spawn(stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert wrapper.wait(20) == 0
    os.close(ours)
    assert bench.exit()["stdout_bytes"] == 300_000
    assert len(bench.stdout) == 300_000


def test_pane_that_dies(bench: Bench) -> None:
    """The terminal closed under it: the tool goes on, its end is recorded."""
    bench.prepare("echo one; until [ -e go ]; do sleep 0.02; done; echo two")
    ours, theirs = pty.openpty()
    wrapper = bench.spawn(stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    bench.wait(lambda: (bench.attempt / "stdout").exists() and bench.stdout, "it speaks")
    os.close(ours)
    (bench.root / "go").touch()
    assert wrapper.wait(20) == 0
    assert bench.stdout == b"one\ntwo\n"


STUBBORN = "trap '' TERM HUP INT; while :; do sleep 300; done"
TREE = f'({STUBBORN}) & setsid sh -c "{STUBBORN}" & {STUBBORN}'


@pytest.mark.parametrize("how", ["timeout", "cancel", "shutdown"])
def test_whole_tree_is_ended(bench: Bench, how: str) -> None:
    """Timeout, cancel file and TERM: children that ignore TERM and left the group end by KILL, too."""
    bench.prepare(f'echo ran >>"$RAN"; {TREE}', timeout_s=1.0 if how == "timeout" else 60.0)
    wrapper = bench.spawn()
    bench.wait(lambda: bench.ran, "the tool runs")
    bench.wait(lambda: len(bench.processes()) >= 7, "its children run")
    if how == "cancel":
        (bench.session / "cancel").touch()
    elif how == "shutdown":
        wrapper.terminate()
    assert wrapper.wait(20) == 0
    ended = bench.exit()
    assert ended["ended_by"] == how
    assert ended["duration_s"] < 10
    assert not bench.processes()


def test_tool_that_obeys_term_ends_in_order(bench: Bench) -> None:
    """TERM comes first: a tool that catches it has its grace, and what it says then is kept."""
    bench.prepare('trap "echo saved; exit 0" TERM; echo ran >>"$RAN"; sleep 300 & wait', grace_s=20.0)
    wrapper = bench.spawn()
    bench.wait(lambda: bench.ran, "the tool runs")
    (bench.session / "cancel").touch()
    assert wrapper.wait(20) == 0
    ended = bench.exit()
    assert (ended["ended_by"], ended["exit_code"]) == ("cancel", 0)
    assert bench.stdout == b"saved\n"
    assert ended["duration_s"] < 15


def test_stopped_tool_is_ended(bench: Bench) -> None:
    """A tool that was stopped (SIGSTOP) does not escape its time limit."""
    ended = bench.run("kill -STOP $$", timeout_s=0.6)
    assert ended["ended_by"] == "timeout"


def test_waiting_for_a_person_is_not_counted(bench: Bench) -> None:
    """While the file `waiting` is there the time limit stands still."""
    bench.prepare(
        'echo question >"$AISPOOL_WAITING"; until [ -e go ]; do sleep 0.02; done; '
        'rm "$AISPOOL_WAITING"; exec sleep 300',
        timeout_s=1.0,
    )
    wrapper = bench.spawn()
    bench.wait((bench.attempt / "waiting").exists, "it asks")
    bench.wait((bench.root / "bell").exists, "the agent is told")
    with pytest.raises(subprocess.TimeoutExpired):
        wrapper.wait(2.0)
    (bench.root / "go").touch()
    assert wrapper.wait(20) == 0
    assert bench.exit()["ended_by"] == "timeout"
    assert bench.exit()["duration_s"] >= 2.5


def test_caps_keep_both_ends(bench: Bench) -> None:
    """Beyond the cap the beginning and the end of a stream stay, with a note of what is missing."""
    script = "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"
    ended = bench.run(script, max_output_bytes=100_000, max_log_bytes=200_000)
    assert ended["truncated"] is True
    assert ended["stdout_bytes"] == 5_000_000 + 12
    kept = bench.stdout
    assert kept.startswith(b"first\nxxx")
    assert kept.endswith(b"xxx\nlast\n")
    assert len(kept) < 100_100
    left_out = 5_000_012 - 100_000
    assert f"[aispool: {left_out} bytes were left out here]".encode() in kept
    rotated = bench.log.with_name(bench.log.name + ".1")
    assert bench.log.stat().st_size <= 200_000
    assert rotated.stat().st_size <= 200_000
    assert bench.log.read_bytes().endswith(b"last\n")


def test_output_at_the_cap_is_whole(bench: Bench) -> None:
    ended = bench.run("head -c 100000 /dev/zero | tr '\\0' x", max_output_bytes=100_000)
    assert ended["truncated"] is False
    assert bench.stdout == b"x" * 100_000


def test_one_tail_is_kept_for_a_long_time_of_silence(bench: Bench) -> None:
    """A child that keeps the streams open does not keep the attempt open."""
    ended = bench.run("setsid sleep 300 & echo done; echo $! >pid")
    assert ended["exit_code"] == 0
    assert ended["duration_s"] < 10
    assert bench.stdout == b"done\n"
    os.kill(int((bench.root / "pid").read_text()), signal.SIGKILL)


def test_full_disk(bench: Bench) -> None:
    """On a disk that a tool fills to the last byte its end is recorded; lost output is admitted."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", bench.root],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("cannot run here: no tmpfs may be mounted")
    ended = bench.run(
        "dd if=/dev/zero of=filler bs=4096 2>/dev/null; head -c 100000 /dev/zero; echo end; exit 5"
    )
    assert (ended["exit_code"], ended["error"]) == (5, None)
    assert ended["truncated"] is True
    assert ended["stdout_bytes"] == 100_004


def test_full_disk_before_the_start(bench: Bench) -> None:
    """Without room for its record the tool is not started, and a later wrapper may start it."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", bench.root],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("cannot run here: no tmpfs may be mounted")
    bench.prepare('echo ran >>"$RAN"')
    filler = bench.root / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], capture_output=True, check=False)
    assert bench.spawn().wait(20) != 0
    assert not (bench.attempt / "started").exists()
    filler.unlink()
    assert bench.spawn().wait(20) == 0
    assert bench.ran == ["ran"]


def test_log_that_cannot_be_written(bench: Bench) -> None:
    """A log that is a link or lies nowhere is not followed, and stops nobody."""
    bench.prepare("echo out")
    bench.log.symlink_to(bench.root / "elsewhere")
    assert bench.spawn().wait(20) == 0
    assert bench.exit()["exit_code"] == 0
    assert not (bench.root / "elsewhere").exists()
