"""Makes corpus.jsonl: hostile task files, one a line, as base64. Run it again after a change.

Each line: name (of the dropped file, base64 too, for names that are no text), content, kind.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = {"tool": "shell", "command": "exit 0"}
ESCAPES = (
    "\x1b[2J\x1b[H",
    "\x1b]0;pwned\x07",
    "\x1b]52;c;cHduZWQ=\x07",
    "\x9b31m",
    "\u202etxt.exe",
    "\x1bP+q\x1b\\",
    "\r\nFAKE",
)
CODE = (
    *("; touch {canary}", "$(touch {canary})", "`touch {canary}`", "| touch {canary}", "&& touch {canary}"),
    *(
        "\n touch {canary}\n",
        "' ; touch {canary} ; '",
        '" ; touch {canary} ; "',
        "%0atouch {canary}",
        "#{{touch {canary}}}",
    ),
    *(
        "#(touch {canary})",
        "-o ProxyCommand=touch\\ {canary}",
        "--rsh=touch {canary}",
        "-e touch {canary}",
        "${{IFS}}touch${{IFS}}{canary}",
    ),
)
PATHS = (
    "../../etc/passwd",
    "/etc/shadow",
    "..",
    "~root/.ssh/id_rsa",
    "a/../../../b",
    "/proc/self/environ",
    "results/../x",
    "\0",
    "a" * 5000,
)
FIELDS = (
    *(
        "task_id",
        "tool",
        "command",
        "priority",
        "timeout",
        "waiting_timeout",
        "dependencies",
        "estimated_duration",
    ),
    *(
        "not_before",
        "expires_at",
        "labels",
        "group",
        "weight",
        "host",
        "idempotent",
        "interactive",
        "approval",
    ),
    *(
        "worktree",
        "resume",
        "review",
        "inputs",
        "launcher",
        "resources",
        "status",
        "created_at",
        "submitted_by",
    ),
    *("env", "metadata", "parameters", "retry_policy"),
)
TYPES: tuple[object, ...] = (
    None,
    True,
    -1,
    10**400,
    1.5,
    "",
    "x" * 3000,
    [],
    [[]],
    {},
    {"a": {"b": 1}},
    [None],
    "\ud800",
)


def entries() -> Iterator[tuple[bytes, bytes, str]]:
    """Yield name, content and kind of each file."""
    yield from broken()
    for field in FIELDS:
        for number, value in enumerate(TYPES):
            yield named(f"type-{field}-{number}", dumps(GOOD | {field: value}), "type")
    for field in FIELDS:
        for number, code in enumerate((*CODE, *ESCAPES)):
            tool = "crush" if field == "command" else GOOD["tool"]  # a shell's command is code, and runs
            yield named(
                f"inject-{field}-{number}", dumps(GOOD | {"tool": tool} | injected(field, code)), "injection"
            )
    for number, code in enumerate((*CODE, *ESCAPES, *PATHS)):
        for tool in ("crush", "qwen", "gemini", "blackbox"):
            fields = {"tool": tool, "parameters": {"prompt": code, "model": code}}
            yield named(f"prompt-{tool}-{number}", dumps(fields), "injection")
        yield named(f"args-{number}", dumps(GOOD | {"parameters": {"args": [code]}}), "injection")
        yield named(f"output-{number}", dumps(GOOD | {"parameters": {"output": code}}), "path")
        yield named(f"cwd-{number}", dumps(GOOD | {"parameters": {"cwd": code}}), "path")
        yield named(f"inputs-{number}", dumps(GOOD | {"inputs": [f"x:{code}"]}), "path")
        yield named(f"labels-{number}", dumps(GOOD | {"labels": [code], "metadata": {code: code}}), "escape")
        yield named(f"env-{number}", dumps(GOOD | {"env": {"X": code}}), "injection")
    for number, text in enumerate((*CODE, *ESCAPES)):
        name = text.replace("/", "-").replace("{canary}", "canary")[:60]
        yield (
            f"{number}{name}.json".encode(errors="surrogatepass"),
            dumps(GOOD | {"command": "exit 0"}),
            "name",
        )
    yield b"\xff\xfe.json", dumps(GOOD), "name"
    yield b"a" * 240 + b".json", dumps(GOOD), "name"


def injected(field: str, code: str) -> dict[str, object]:
    """Return a field that holds hostile text wherever its shape lets it hold any."""
    shapes: dict[str, object] = {
        **{name: [code] for name in ("labels", "dependencies")},
        "inputs": [f"{code}:{code}"],
        "env": {code: code, "LANG": code},
        "metadata": {code: code},
        "parameters": {code: code, "prompt": code, "model": code},
        "retry_policy": {"backoff": code, "on": [code]},
        "resources": dict.fromkeys(("partition", "account", "qos", "constraint", "gpus"), code),
    }
    return {field: shapes.get(field, code)}


def named(name: str, content: bytes, kind: str) -> tuple[bytes, bytes, str]:
    """Return one entry."""
    return f"{name}.json".encode(), content, kind


def dumps(fields: dict[str, object]) -> bytes:
    """Encode without judging what it says."""
    return json.dumps(fields).encode()


def broken() -> Iterator[tuple[bytes, bytes, str]]:
    """Yield what is no strict JSON object."""
    good = dumps(GOOD)
    texts = [
        *(
            b"",
            b" ",
            b"{",
            b"}",
            b"[]",
            b"null",
            b"0",
            b'"x"',
            b"\0",
            b"\0" * 4096,
            b"\xef\xbb\xbf" + good,
            good + good,
        ),
        *(
            good + b",",
            good[:-1],
            good.decode().encode("utf-16"),
            good.decode().encode("utf-32"),
            b"\x1f\x8b\x08" + good,
        ),
        *(
            b'{"tool":"shell","tool":"crush","command":"x"}',
            b'{"tool":"shell","command":NaN}',
            b'{"timeout":Infinity}',
        ),
        *(
            b'{"timeout":1e999}',
            b'{"timeout":-0}',
            b'{"timeout":01}',
            b"{'tool':'shell'}",
            b'{"tool":"shell",}',
            b"//x\n" + good,
        ),
        *(
            b'{"a":"\xff"}',
            b'{"a":"\xc0\x80"}',
            b'{"a":"\xed\xa0\x80"}',
            b'{"a":"\\ud800"}',
            b'{"a":"\\u0000"}',
            b'{"a":"\x01"}',
        ),
        *(
            b"[" * 100000,
            b'{"a":' * 70 + b"1" + b"}" * 70,
            b'{"a":' * 5000,
            b'{"a":"' + b"x" * 200000 + b'"}',
        ),
        *(
            b'{"metadata":{' + b",".join(b'"%d":0' % n for n in range(20000)) + b"}}",
            b'{"timeout":' + b"9" * 5000 + b"}",
        ),
        *(
            b'{"__proto__":{"tool":"shell"}}',
            b'{"tool":"shell","command":"x"}\x1a',
            b"<html>",
            b"#!/bin/sh\ntouch {canary}",
        ),
        *(
            b"---\ntool: shell\n",
            b"\r\n" * 1000,
            b'{"tool":"shell","command":"x"',
            b'{"tool":"shell" "command":"x"}',
        ),
    ]
    for number, text in enumerate(texts):
        yield named(f"broken-{number}", text, "broken")
    for number, size in enumerate(range(1, len(good), 3)):
        yield named(f"prefix-{number}", good[:size], "broken")


def main() -> None:
    """Write the corpus beside this file."""
    target = Path(__file__).with_name("corpus.jsonl")
    with target.open("w") as file:
        for name, content, kind in entries():
            if len(content) > 20000:
                repeated = {"pattern": base64.b64encode(content[:8]).decode(), "size": len(content)}
                if content[:8] * (len(content) // 8) != content[: len(content) // 8 * 8]:
                    continue
                line = {"name": base64.b64encode(name).decode(), "kind": kind, "repeat": repeated}
            else:
                line = {
                    "name": base64.b64encode(name).decode(),
                    "kind": kind,
                    "content": base64.b64encode(content).decode(),
                }
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
