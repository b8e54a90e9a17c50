"""The five tasks that real clients drop, from `cp` to their results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Host

SAMPLES = Path(__file__).parent.parent / "data" / "tasks"

STAND_IN = """#!{python} -IS
import json, os, sys
KNOWN = {known!r}
rest = sys.argv[1:]
if {subcommand!r} and rest.pop(0) != {subcommand!r}:
    sys.exit("unknown command")
words = []
while rest:
    word = rest.pop(0)
    if word in KNOWN:
        rest[:KNOWN[word]] = []
        if word in ("--prompt", "-p"):
            words.append(sys.argv[sys.argv.index(word) + 1])
    elif word.startswith("-"):
        sys.exit("unknown flag: " + word)
    else:
        words.append(word)
if len(words) != 1:
    sys.exit("not exactly one prompt")
answer = json.dumps({{"prompt": words[0], "cwd": os.getcwd()}})
print({form!r} % json.dumps(answer) if {form!r} else answer)
"""

FORMS = {
    "qwen": '{"type":"result","is_error":false,"result":%s}',
    "gemini": (
        '{"type":"message","role":"assistant","content":%s,"delta":true}\n{"type":"result","status":"success"}'
    ),
}

KNOWN = {
    "crush": ("run", {"-q": 0, "-m": 1}),
    "blackbox": ("", {"--prompt": 1, "--model": 1, "--yolo": 0}),
    "qwen": (
        "",
        {
            "--model": 1,
            "--approval-mode": 1,
            "--session-id": 1,
            "--resume": 1,
            "--auth-type": 1,
            "--output-format": 1,
        },
    ),
    "gemini": (
        "",
        {
            "-m": 1,
            "-p": 1,
            "--approval-mode": 1,
            "--session-id": 1,
            "--resume": 1,
            "--output-format": 1,
        },
    ),
}

WORDS = {
    "task-001": ["/path/to/project"],
    "crush": ["/home/user/project", "full", "json"],
    "blackbox": ["openapi-spec.yaml", "python", "fastapi"],
    "qwen": ["documents", "summarization", "10"],
    "gemini": ["assets", "text", "image", "video", "detailed_report"],
}


@pytest.fixture
def ready(host: Host) -> Host:
    """A host with the tools and the inputs of the five tasks."""
    for name, (subcommand, known) in KNOWN.items():
        form = FORMS.get(name, "")
        text = STAND_IN.format(python=sys.executable, subcommand=subcommand, known=known, form=form)
        host.program(name, text)
    (host.ws.root / "openapi-spec.yaml").write_text("openapi: 3.1.0\n")
    for name in ("documents", "assets"):
        (host.ws.root / name).mkdir()
    (host.ws.root / "documents" / "one.md").write_text("one\n")
    (host.ws.root / "assets" / "one.png").write_bytes(b"")
    return host


@pytest.fixture
def made_inputs() -> Iterator[None]:
    """The two folders that the samples name by absolute paths, there for one test at a time."""
    made: list[Path] = []
    with FileLock("/tmp/aispool-test-samples.lock", is_singleton=False):
        for wanted in (Path("/path/to/project"), Path("/home/user/project")):
            for part in (*reversed(wanted.parents), wanted):
                if not part.exists():
                    try:
                        part.mkdir()
                    except OSError:
                        pytest.skip(f"cannot run here: {part} cannot be made")
                    made.append(part)
        yield
        for part in reversed(made):
            part.rmdir()


@pytest.mark.parametrize("launcher", ["tmux", "screen", "process"])
@pytest.mark.usefixtures("made_inputs")
def test_all_five_finish(ready: Host, launcher: str) -> None:
    """`cp *.json tasks/`, and each tool gets every parameter; task-001 leaves its answer where it asked."""
    ready.configure(
        launcher=launcher,
        allowed_paths=[str(ready.ws.root), "/path/to/project", "/home/user/project"],
    )
    ready.start()
    files = sorted(SAMPLES.glob("*.json"))
    subprocess.run(["cp", *map(str, files), str(ready.ws.tasks)], check=True)

    def over() -> bool:
        return len([p for p in ready.ws.results.iterdir() if (p / "result.json").exists()]) == len(files)

    ready.wait(over, f"all five are over\n{ready.agent_log()}")
    for path in ready.ws.results.iterdir():
        if not (path / "result.json").exists():
            continue
        result = json.loads((path / "result.json").read_text())
        assert result["state"] == "succeeded", result
        assert result["session"] == f"task-{path.name}".replace(".", "~") or launcher != "tmux"
        said = json.loads(result["output"]["text"])
        key = result["task_id"] if result["task_id"] == "task-001" else result["tool"]
        for word in WORDS[key]:
            assert word in said["prompt"], (key, word)
    answer = json.loads((ready.ws.results / "analysis-001.json").read_text())
    assert "/path/to/project" in answer["prompt"]
    assert not list(ready.ws.tasks.glob("*.json"))
    assert not list(ready.ws.rejected.iterdir())
