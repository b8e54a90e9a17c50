"""What a tool's own hooks call: it says that the tool waits for a person, or that it goes on.

    python -I -S /path/to/agent/hook.py waiting|working [JSON]

The tool's JSON, from standard input or, for tools that pass it so, as an argument, becomes the file
$AISPOOL_WAITING as it is; `working` removes that file. The wrapper notices either within half a second.
Nothing is printed, since tools take what a hook prints for a decision, and the exit code is always 0: a
hook that fails or hangs would stop the tool. Standard library only.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress

MOST_BYTES = 256 << 10
PATIENCE_S = 2.0
"""For a tool that leaves its end of our standard input open."""


def main(arguments: list[str]) -> int:
    """Write or remove the file."""
    with suppress(OSError, ValueError):
        target = os.environ.get("AISPOOL_WAITING", "")
        if not os.path.isabs(target):  # noqa: PTH117 - fewer imports
            return 0
        if arguments[:1] == ["working"]:
            os.unlink(target)  # noqa: PTH108
        elif arguments[:1] == ["waiting"]:
            given = os.fsencode(arguments[1])[:MOST_BYTES] if arguments[1:] else _standard_input()
            _put(target, given)
    return 0


def _standard_input() -> bytes:
    content = b""
    give_up_s = time.monotonic() + PATIENCE_S
    while len(content) < MOST_BYTES:
        ready, _, _ = select.select([0], [], [], max(give_up_s - time.monotonic(), 0))
        chunk = os.read(0, MOST_BYTES - len(content)) if ready else b""
        if not chunk:
            break
        content += chunk
    return content


def _put(target: str, content: bytes) -> None:
    """Make it whole under its name: whoever looks never sees half a question."""
    folder, name = os.path.split(target)
    temporary = f"{folder}/.{name}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(content)
        os.rename(temporary, target)  # noqa: PTH104
    except OSError:
        os.unlink(temporary)  # noqa: PTH108
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
