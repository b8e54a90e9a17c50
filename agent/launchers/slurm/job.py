"""What a job runs on its node: one session of a batch in a tmux server of its own, until it is over.

    python -I -S job.py BATCH_FOLDER        the array's index stands in SLURM_ARRAY_TASK_ID

The server stays in the foreground as our child (tmux -D) and ends with us. A node without tmux runs the
command without a terminal. Standard library only.

Under proctrack/linuxproc Slurm 22.05 does not follow a process whose name holds a space, as `tmux: server`
does (measured): it neither counts the memory of what runs below nor signals it. We pass the job's end on;
counting memory takes proctrack/cgroup, which knows every process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVER_S = 10.0
CALL_S = 20.0
NOT_FOUND = 127
VERDICT_S = 120.0
VERDICT_TICK_S = 0.2


class Ending:
    """Passes the end of the job on to what runs in it, which writes down how it ended."""

    def __init__(self) -> None:
        self.asked = False
        self._process = -1
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._take)

    def reaches(self, process: int) -> None:
        """Pass it on to this process from now on, and at once when it came before.

        Args:
            process: a pidfd, which is never another process's.
        """
        self._process = process
        if self.asked:
            self._pass_on()

    def _take(self, _number: int, _frame: object) -> None:
        self.asked = True
        self._pass_on()

    def _pass_on(self) -> None:
        if self._process >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGTERM)


def main(arguments: list[str]) -> int:
    """Run the element of the batch that this job is."""
    ending = Ending()
    batch = Path(arguments[0])
    element = read_element(batch, int(os.environ.get("SLURM_ARRAY_TASK_ID", "0")))
    if element is None:
        print(f"aispool: {batch} has no such element any more", file=sys.stderr)  # noqa: T201 - the job's output
        return NOT_FOUND
    if not have_succeeded(batch.parent.parent / "results", element["after"], ending):
        return 0
    os.chdir(element["cwd"])
    server = start_server(element["socket"], str(batch.parent.parent / "configs" / "tmux.conf"))
    if server is None:
        return run_alone(element["argv"], ending)
    try:
        if not ending.asked:
            run_in(element, ending)
    finally:
        server.terminate()
        server.wait()
        Path(element["socket"]).unlink(missing_ok=True)
    return 0


def have_succeeded(results: Path, task_ids: list[str], ending: Ending) -> bool:
    """Wait for the verdicts on the tasks that this one needs, and tell whether all have succeeded.

    Slurm knows only that their jobs are over. The agent judges them, a moment later; when it does not, this
    job makes room, and the agent submits the task again.
    """
    give_up_s = time.monotonic() + VERDICT_S
    for task_id in task_ids:
        while (state := state_of(results / task_id / "result.json")) is None:
            if ending.asked or time.monotonic() > give_up_s:
                print(f"aispool: nobody has judged {task_id} yet", file=sys.stderr)  # noqa: T201
                return False
            time.sleep(VERDICT_TICK_S)  # a shared file system tells no other machine of its changes
        if state != "succeeded":
            print(f"aispool: {task_id} did not succeed: {state}", file=sys.stderr)  # noqa: T201
            return False
    return True


def state_of(result: Path) -> str | None:
    """Return how a task ended; None while it has no result."""
    try:
        found: dict[str, Any] = json.loads(result.read_text())
    except FileNotFoundError:
        return None
    return str(found["state"])


def read_element(batch: Path, index: int) -> dict[str, Any] | None:
    """Return one line of a batch."""
    try:
        lines = (batch / "starts").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return None
    if index >= len(lines):
        return None
    element: dict[str, Any] = json.loads(lines[index])
    return element


def start_server(socket: str, conf: str) -> subprocess.Popen[bytes] | None:
    """Start a tmux server that has no session yet; None where there is no tmux."""
    folder = Path(socket).parent
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        print(f"aispool: {folder} is not ours alone, no terminal", file=sys.stderr)  # noqa: T201
        return None
    Path(socket).unlink(missing_ok=True)  # of a job that was killed; ours is the only one of this name
    conf = conf if Path(conf).is_file() else os.devnull
    try:
        server = subprocess.Popen(["tmux", "-D", "-u", "-S", socket, "-f", conf], stdin=subprocess.DEVNULL)
    except OSError:
        return None
    give_up_s = time.monotonic() + SERVER_S
    while not Path(socket).exists():
        if server.poll() is not None or time.monotonic() > give_up_s:
            server.kill()
            server.wait()
            return None
        time.sleep(0.005)  # the server tells nobody that it listens
    return server


def run_in(element: dict[str, Any], ending: Ending) -> None:
    """Run the command in a session of the server, and wait until it is gone."""
    # tmux's parser ends a command at a word's last `;`, and gives a lone word to a shell
    argv = element["argv"] if len(element["argv"]) > 1 else ["/bin/sh", "-c", 'exec "$0"', *element["argv"]]
    words = [word[:-1] + "\\;" if word.endswith(";") else word for word in argv]
    call = ["tmux", "-u", "-S", element["socket"], "new-session", "-d", "-P", "-F", "#{pane_pid}", "-s"]
    done = subprocess.run(
        [*call, element["session"], "--", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=CALL_S,
        check=False,
    )
    if done.returncode:
        print(f"aispool: no session in {element['socket']}", file=sys.stderr)  # noqa: T201
        return
    wait_for(int(done.stdout), ending)


def wait_for(pid: int, ending: Ending) -> None:
    """Wait for the command: it is the server's child, and may outlive it."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ending.reaches(process)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll()


def run_alone(argv: list[str], ending: Ending) -> int:
    """Run the command without a terminal."""
    try:
        command = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"aispool: {argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return NOT_FOUND
    wait_for(command.pid, ending)
    command.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
