"""Works through the calls of a batched attempt, one after the other; run by the wrapper in the tool's place.

    python -I /path/to/agent/tools/batching.py ATTEMPT_FOLDER

A call that an earlier attempt finished is not made again. Each one is judged by what the tool's output says;
the first that did not succeed ends the attempt. In the end the joined answer is printed. What the calls
print goes to the log by way of our standard error.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).absolute().parent.parent.parent))

from agent.tools.adapter import Said
from agent.tools.answer import joined
from agent.tools.batches import Batches, Done, End, read_calls
from agent.tools.calls import read_call
from agent.tools.registry import Registry
from agent.tools.report import Outcome
from agent.wrapper.sinks import CappedFile
from spool.attempt import Attempt
from spool.files import read_regular
from spool.records import Intent
from spool.results import read_task
from spool.workspace import Workspace

if TYPE_CHECKING:
    from agent.tools.definition import ToolDefinition
    from spool.task import Task

CHUNK_BYTES = 1 << 16
DRAIN_S = 1.0
"""How long a stream that somebody keeps open is read after the call ended."""


def main(arguments: list[str]) -> int:
    """Run the calls of the attempt whose folder is the only argument."""
    attempt = Attempt(Path(arguments[0]))
    session = attempt.folder.parent.parent
    workspace = Workspace(session.parent.parent)
    task, intent = read_task(session), Intent.read(attempt.intent)
    tool = Registry.load(workspace).get(task.tool) if task else None
    if task is None or intent is None or tool is None:
        say(f"{session} is not a session of a tool that we know")
        return 1
    return work(attempt, intent, tool, task)


def work(attempt: Attempt, intent: Intent, tool: ToolDefinition, task: Task) -> int:
    """Make the calls that are not done yet, and print the whole answer."""
    batches = Batches.of(attempt.folder)
    calls = read_calls(attempt.folder)
    texts: list[str] = []
    for number, call in enumerate(calls, 1):
        done = batches.done(number)
        if done is None:
            say(f"part {number} of {len(calls)} begins")
            said = make(batches, number, call, intent)
            report = read_call(tool, task, said)
            if report.outcome is not Outcome.SUCCESS:
                say(f"part {number} of {len(calls)} ended with {report.outcome.value}: {report.reason}")
                return said.exit_code or 1
            done = Done(
                attempt=attempt.number,
                text=report.text,
                usage=report.usage,
                tool_session_id=report.tool_session_id,
            )
            done.write(batches.file(number, "json"))
        else:
            say(f"part {number} of {len(calls)} was answered in attempt {done.attempt}")
        texts.append(done.text)
    sys.stdout.write(joined(tool, task, texts))
    return 0


def make(batches: Batches, number: int, call: dict[str, Any], intent: Intent) -> Said:
    """Make one call and return what it left behind."""
    files = {name: batches.file(number, name) for name in ("out", "err")}
    stdin = batches.file(number, "in") if call["reads"] else Path(os.devnull)
    with stdin.open("rb") as given:
        process = subprocess.Popen(call["argv"], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    sinks = {name: CappedFile(file, intent.max_output_bytes) for name, file in files.items()}
    pass_on(process, {process.stdout: sinks["out"], process.stderr: sinks["err"]})
    code = process.wait()
    for sink in sinks.values():
        sink.close()
    exit_code, signal = (code, None) if code >= 0 else (None, -code)
    End(attempt=intent.attempt, exit_code=exit_code, signal=signal).write(batches.file(number, "end"))
    return Said(
        exit_code=exit_code,
        signal=signal,
        ended_by=None,
        stdout=read_regular(files["out"], 1 << 40),
        stderr=read_regular(files["err"], 1 << 40),
        interactive=False,
        finished_at=datetime.now(UTC),
        config_dir=Path(intent.config_dir) if intent.config_dir else None,
    )


def pass_on(process: subprocess.Popen[bytes], sinks: dict[IO[bytes], CappedFile]) -> None:
    """Write what the process prints into its files and to our standard error, until it is gone.

    A stream that something else keeps open then is read for a moment more, and left.
    """
    gone = os.pidfd_open(process.pid)
    left_s: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream in sinks:
            selector.register(stream, selectors.EVENT_READ, stream)
        selector.register(gone, selectors.EVENT_READ)
        while selector.get_map() and (ready := selector.select(left_s)):
            for key, _ in ready:
                if key.data is None:
                    selector.unregister(gone)
                    left_s = DRAIN_S
                elif chunk := os.read(key.fd, CHUNK_BYTES):
                    sinks[key.data].write(chunk)
                    sys.stderr.buffer.write(chunk)
                else:
                    selector.unregister(key.fileobj)
            sys.stderr.flush()
    os.close(gone)
    for stream in sinks:
        stream.close()


def say(text: str) -> None:
    """Write a line into the log."""
    print(f"[aispool] {text}", file=sys.stderr, flush=True)  # noqa: T201 - our only way to the log


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
