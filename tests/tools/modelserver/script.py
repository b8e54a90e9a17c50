"""What the server is to do next.

A script is a JSON object, read again for every request so that a test may change it between two:

    {"first": [STEP, ...], "tool": {"name": NAME, "arguments": {...}}, "then": STEP, "text": TEXT, ...}

`first` is played once, in order, by the first requests that offer tools (the main conversation); then the
object itself is the step. With `tool`, a request that offers tools and brings no result gets that call, and
the request that brings the result gets `then`. Requests that offer no tools (titles, summaries) are side
business: they get text, or the failure.

A STEP holds one of `text`; `tool`; `error` (a name in errors.json, in the words of the vendor asked);
`status` with `body` and `headers`; `hang`; `disconnect` ("before" or "midway"). `delay_s` slows a stream
down, `usage` sets `{"input": N, "output": N}`, and `retry_after_s` the wait a failure announces.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

FAILURES = json.loads(Path(__file__).with_name("errors.json").read_text(encoding="utf-8"))


class Script:
    """A script file, and how far its `first` steps were played."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._played = 0

    def step(self, *, offered: bool, answered: bool) -> dict[str, Any]:
        """Give the step for a request that offers tools, or brings a tool's result."""
        script: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        first = script.pop("first", [])
        if offered and self._played < len(first):
            self._played += 1
            return dict(first[self._played - 1])
        then = script.pop("then", {"text": "done"})
        if "tool" in script and not offered:
            return {"text": "side business"}
        if "tool" in script and answered:
            return dict(then)
        return script

    def failure(self, vendor: str, step: dict[str, Any]) -> dict[str, Any]:
        """Give status, headers and body of a failure, with the announced wait filled in."""
        if "status" in step:
            return {
                "status": step["status"],
                "body": step.get("body", {}),
                "headers": step.get("headers", {}),
            }
        wait_s = int(step.get("retry_after_s", 2))
        text = json.dumps(FAILURES[vendor][step["error"]])
        text = text.replace('"@WAIT_S@"', str(wait_s)).replace("@WAIT_S@", str(wait_s))
        text = text.replace('"@RESET@"', str(int(time.time()) + wait_s)).replace(
            "@RESET@", str(int(time.time()) + wait_s)
        )
        failure: dict[str, Any] = json.loads(text)
        if "headers" in failure:
            failure["headers"] = {name: str(value) for name, value in failure["headers"].items()}
        return failure
