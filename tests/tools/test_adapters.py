"""Every adapter against what the real tools printed: tests/tools/golden."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from agent.config import ConfigError
from agent.tools.adapter import Need, Said
from agent.tools.adapters import ADAPTERS, adapter_of
from agent.tools.definition import ADAPTER_NAMES, ToolDefinition
from agent.tools.limits import retry_after_s
from agent.tools.registry import Registry
from agent.tools.report import SENTENCES, Outcome, Report
from spool.records import Usage
from spool.task import Task

if TYPE_CHECKING:
    from spool.workspace import Workspace

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/expected.json"))
WHEN_UNSAID = datetime(2026, 11, 22, 0, 33, tzinfo=UTC)
CLOCK_SLACK_S = 90.0

SAID_ELSEWHERE_S = {
    "codex/usage-limit": 7200.0,
    "gemini/http-429-retry-after": 7.0,
    "gemini/quota": 8 * 3600 + 24 * 60 + 32.0,
    "qwen/http-429-retry-after": 7.0,
}
"""Waits that stand in a sentence or on stderr, which expected.json leaves out."""


def case_name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def said_of(case: Path, config_dir: Path | None = None, **changes: Any) -> Said:
    exit_ = json.loads((case / "exit.json").read_text())
    expected = json.loads((case / "expected.json").read_text())
    started = exit_.get("started_utc")
    began = datetime.fromisoformat(started) if started else WHEN_UNSAID
    fields: dict[str, Any] = {
        "exit_code": exit_["exit_code"],
        "signal": exit_["signal"],
        "ended_by": "timeout" if exit_["killed_by_us"] and expected["outcome"] == "timed_out" else None,
        "stdout": (case / "stdout").read_bytes(),
        "stderr": (case / "stderr").read_bytes(),
        "interactive": False,
        "finished_at": began + timedelta(seconds=exit_["duration_s"]),
        "config_dir": config_dir,
        **changes,
    }
    return Said(**fields)


def kept_by_the_tool(case: Path, folder: Path) -> Path:
    """Lay the files that the tool left behind to where it leaves them."""
    if (case / "rollout.jsonl").exists():
        session = json.loads((case / "expected.json").read_text())["session_id"]
        target = folder / "sessions/2026/11/22" / f"rollout-2026-11-22T00-00-00-{session}.jsonl"
        target.parent.mkdir(parents=True)
        shutil.copy(case / "rollout.jsonl", target)
    if (case / "api-log.json").exists():
        (folder / "api").mkdir()
        shutil.copy(case / "api-log.json", folder / "api")
    return folder


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_what_a_real_run_came_to(case: Path, tmp_path: Path) -> None:
    """Outcome, answer, usage, conversation and wait of every recorded run."""
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, kept_by_the_tool(case, tmp_path)))
    assert report.outcome == expected["outcome"], report.reason
    assert report.text == (expected["text"] or "")
    usage = report.usage
    known = (usage.input_tokens, usage.output_tokens)
    assert known == (expected["input_tokens"], expected["output_tokens"])
    assert usage.cost_usd == (None if expected["cost_usd"] is None else pytest.approx(expected["cost_usd"]))
    assert report.tool_session_id == expected["session_id"]
    wait_s = SAID_ELSEWHERE_S.get(case_name(case), expected["retry_after_s"])
    slack_s = 1.0 if wait_s is not None and wait_s < 60 else CLOCK_SLACK_S
    assert report.retry_after_s == (None if wait_s is None else pytest.approx(wait_s, abs=slack_s))


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_reason_is_one_sentence_for_people(case: Path) -> None:
    report = ADAPTERS[case.parent.name].read(said_of(case))
    assert report.reason
    assert report.reason.isprintable(), "no line breaks and no control characters"
    assert len(report.reason) <= 400
    if report.outcome in SENTENCES and report.outcome is not Outcome.FAILED:
        assert report.reason.startswith(SENTENCES[report.outcome])


@pytest.mark.parametrize("case", CASES, ids=case_name)
@pytest.mark.parametrize(
    ("ended_by", "outcome"),
    [
        ("cancel", Outcome.CANCELLED),
        ("timeout", Outcome.TIMED_OUT),
        ("waiting_timeout", Outcome.TIMED_OUT),
        ("shutdown", Outcome.LOST),
        ("lost", Outcome.LOST),
    ],
)
def test_why_we_ended_it_wins(case: Path, ended_by: str, outcome: Outcome) -> None:
    """Whatever it had printed: gemini exits 0 when it is killed, and may have answered already."""
    report = ADAPTERS[case.parent.name].read(said_of(case, ended_by=ended_by))
    assert report.outcome is outcome
    assert report.retry_after_s is None


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_signal_is_never_success(case: Path) -> None:
    report = ADAPTERS[case.parent.name].read(said_of(case, exit_code=None, signal=9, ended_by=None))
    assert report.outcome not in (Outcome.SUCCESS, Outcome.REFUSED)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_an_error_with_exit_code_0_is_no_success(case: Path) -> None:
    """The exit codes of these tools lie."""
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, exit_code=0, signal=None, ended_by=None))
    if expected["outcome"] not in ("success", "refused"):
        assert report.outcome not in (Outcome.SUCCESS, Outcome.REFUSED)


@pytest.mark.parametrize("case", CASES, ids=case_name)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_output_of_which_the_middle_is_missing(case: Path, share: float) -> None:
    """It is read as far as possible, and never taken for more than it was."""
    whole = (case / "stdout").read_bytes()
    begin, end = int(len(whole) * share), int(len(whole) * (share + 0.2))
    cut = whole[:begin] + b"\n[aispool: 999999 bytes were left out here]\n" + whole[end:]
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, stdout=cut))
    assert isinstance(report, Report)
    # where the answer itself is missing, nobody can tell that it was empty
    if expected["outcome"] not in ("success", "refused", "no_answer"):
        assert report.outcome is not Outcome.SUCCESS


def need_of(tool: str, folder: Path, **changes: Any) -> Need:
    fields: dict[str, Any] = {
        "task": Task.model_validate(
            {"tool": tool, "command": "x", "approval": changes.pop("approval", "ask")}
        ),
        "config_dir": folder / "private",
        "cwd": folder,
        "has": frozenset({"GEMINI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"}),
        "hook": ("/usr/bin/python3", "/a b/hook.py"),
        "headless": True,
        **changes,
    }
    return Need(**fields)


@pytest.mark.parametrize("tool", sorted(ADAPTERS))
@pytest.mark.parametrize("approval", ["read-only", "ask", "auto"])
def test_what_is_put_in_place(tool: str, approval: str, tmp_path: Path) -> None:
    """The files lie below the private folder, and are those of a task with a terminal as well."""
    headless = ADAPTERS[tool].seed(need_of(tool, tmp_path, approval=approval))
    person = ADAPTERS[tool].seed(need_of(tool, tmp_path, approval=approval, headless=False))
    for name in headless.files.keys() & person.files.keys():
        assert headless.files[name] == person.files[name], "a prepared folder is used for both"
    for name, content in headless.files.items():
        assert not Path(name).is_absolute()
        assert ".." not in Path(name).parts
        if name.endswith(".json"):
            json.loads(content)
        if name.endswith(".toml"):
            tomllib.loads(content.decode())
    for name, value in headless.env.items():
        assert "KEY" not in name
        assert "\0" not in value


@pytest.mark.parametrize("tool", ["claude", "codex", "gemini", "qwen"])
def test_hooks_say_when_it_waits(tool: str, tmp_path: Path) -> None:
    """Each hook runs as a shell command, and says nothing without a terminal."""
    program = tmp_path / "a b" / "hook"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >> {shlex.quote(str(tmp_path / "called"))}\n')
    program.chmod(0o755)
    seed = ADAPTERS[tool].seed(need_of(tool, tmp_path, hook=(str(program),), headless=False))
    (settings,) = [
        document
        for name, content in seed.files.items()
        if name.endswith(".json") and "hooks" in (document := json.loads(content))
    ]
    commands = {
        event: entry["command"]
        for event, entries in settings["hooks"].items()
        for entry in entries[0]["hooks"]
    }
    assert {"waiting", "working"} == {
        word for line in commands.values() for word in ("waiting", "working") if word in line
    }
    for command in commands.values():
        for silent in ({}, {"AISPOOL_HEADLESS": "1"}):
            env = {"PATH": "/usr/bin:/bin", **silent}
            subprocess.run(["/bin/sh", "-c", command], env=env, check=True, stdout=subprocess.DEVNULL)
    said = (tmp_path / "called").read_text().split()
    assert len(said) == len(commands), "with a terminal alone"


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("*/interactive*/hooks.jsonl")), ids=str)
def test_a_question_is_a_short_sentence(case: Path) -> None:
    adapter = ADAPTERS[case.parent.parent.name]
    for line in case.read_text().splitlines():
        sentence = adapter.question(line)
        assert sentence
        assert sentence.isprintable()
        assert len(sentence) <= 400


def test_what_a_permission_is_asked_for() -> None:
    raw = json.dumps({"hook_event_name": "PermissionRequest", "tool_name": "Bash"})
    assert ADAPTERS["claude"].question(raw) == "may it use Bash?"
    raw = json.dumps({"tool_name": "Bash", "tool_input": {"command": "make\ttest", "description": "Test it"}})
    assert ADAPTERS["codex"].question(raw) == "may it use Bash (make test)? Test it"
    raw = json.dumps({"type": "permission.asked", "properties": {"permission": "bash", "patterns": ["ls"]}})
    assert ADAPTERS["opencode"].question(raw) == "may it use bash (ls)?"
    for raw in ("", "{", "[]", "[" * 100_000, json.dumps("x")):
        assert ADAPTERS["qwen"].question(raw)


@pytest.mark.parametrize(
    ("tool", "case", "waits"),
    [
        ("gemini", "interactive/pane-permission-question.txt", True),
        ("gemini", "interactive/pane-done.txt", False),
        ("codex", "interactive/pane-permission-question.txt", True),
        ("codex", "interactive/pane-done.txt", False),
        ("claude", "interactive-untrusted/pane-trust.txt", True),
        ("claude", "interactive-new-key/pane-key.txt", True),
        ("claude", "interactive/pane-done.txt", False),
        ("qwen", "interactive/pane-permission-question.txt", True),
        ("qwen", "interactive/pane-done.txt", False),
        ("opencode", "interactive/pane-permission-question.txt", True),
        ("opencode", "interactive/pane-done.txt", False),
    ],
)
def test_signs_of_waiting(tool: str, case: str, *, waits: bool) -> None:
    title, _, screen = (GOLDEN / tool / case).read_text().partition("\n")
    signs = ADAPTERS[tool].SIGNS
    seen = bool(signs.title and re.search(signs.title, title)) or bool(
        signs.text and re.search(signs.text, screen)
    )
    assert seen is waits


@pytest.mark.parametrize(
    ("tool", "stdout", "stderr", "code", "outcome"),
    [
        ("crush", "Hello.\n", "", 0, "success"),
        ("crush", "", "", 0, "no_answer"),
        ("crush", "", "  ERROR  401 Unauthorized: invalid api key", 1, "auth"),
        ("crush", "", "  ERROR  agent processing failed: 429 Too Many Requests", 0, "rate_limit"),
        ("crush", "", "dial tcp 127.0.0.1:1: connect: connection refused", 1, "unreachable"),
        ("blackbox", "Hello.\n", "", 0, "success"),
        ("blackbox", "[API Error: 500 Internal Server Error]\n", "", 0, "server_error"),
        ("blackbox", "", "You have exhausted your daily quota on this model.", 1, "quota"),
        ("blackbox", "", "something else", 3, "failed"),
        (
            "aider",
            "Hello.\n\nTokens: 1.2k sent, 34 received. Cost: $0.02 message, $0.05 session.\n",
            "",
            0,
            "success",
        ),
        ("aider", "litellm.AuthenticationError: AnthropicException - invalid x-api-key\n", "", 0, "auth"),
        ("aider", "litellm.RateLimitError: try again in 20s\n", "", 0, "rate_limit"),
        ("aider", "litellm.ContextWindowExceededError: too long\n", "", 0, "context_too_long"),
        ("shell", "out\n", "", 0, "success"),
        ("shell", "", "", 0, "success"),
        ("shell", "429 Too Many Requests\n", "", 4, "failed"),
        ("generic", "out\n", "", 0, "success"),
        ("generic", "", "HTTP 503 Service Unavailable", 1, "server_error"),
        ("generic", "", "", None, "lost"),
    ],
)
def test_tools_that_print_plain_text(
    tool: str, stdout: str, stderr: str, code: int | None, outcome: str
) -> None:
    said = Said(
        code, None, None, stdout.encode(), stderr.encode(), interactive=False, finished_at=WHEN_UNSAID
    )
    report = ADAPTERS[tool].read(said)
    assert report.outcome == outcome, report.reason
    if tool == "aider" and outcome == "success":
        assert report.text == "Hello."
        assert (report.usage.input_tokens, report.usage.output_tokens) == (1200, 34)
        assert report.usage.cost_usd == 0.05


JSON_TOOL = {
    "name": "mine",
    "argv": ["/bin/mine", "$prompt"],
    "read": {
        "format": "jsonl",
        "text": "result.parts.-1.text",
        "error": "error.message",
        "session": "id",
        "input_tokens": "usage.in",
        "output_tokens": "usage.out",
        "cost": "usage.usd",
        "outcomes": [{"pattern": "^SLOW DOWN", "outcome": "rate_limit"}],
        "waiting_text": "y/n",
        "config_dir_variable": "MINE_HOME",
    },
}


@pytest.mark.parametrize(
    ("stdout", "stderr", "code", "outcome", "text"),
    [
        (
            '{"id":"a"}\n{"result":{"parts":[{"text":"x"},{"text":"y"}]},"usage":{"in":3,"out":4,"usd":0.5}}',
            "",
            0,
            "success",
            "y",
        ),
        ('{"error":{"message":"401 Unauthorized"}}', "", 0, "auth", ""),
        ("", "SLOW DOWN please, try again in 9s", 1, "rate_limit", ""),
        ('{"result":{"parts":[{"text":"x"}]}}', "", 7, "failed", "x"),
        ("[1, 2", "", 0, "no_answer", ""),
    ],
)
def test_a_tool_of_tools_toml_alone(
    stdout: str, stderr: str, code: int, outcome: str, text: str, tmp_path: Path
) -> None:
    """The generic adapter reads what its table says."""
    adapter = adapter_of(ToolDefinition.model_validate(JSON_TOOL))
    assert adapter.SIGNS.text == "y/n"
    assert adapter.seed(need_of("mine", tmp_path)).env == {"MINE_HOME": str(tmp_path / "private")}
    said = Said(
        code, None, None, stdout.encode(), stderr.encode(), interactive=False, finished_at=WHEN_UNSAID
    )
    report = adapter.read(said)
    assert report.outcome == outcome, report.reason
    assert report.text == text
    if outcome == "success":
        assert report.usage == Usage(input_tokens=3, output_tokens=4, cost_usd=0.5)
        assert report.tool_session_id == "a"
    if outcome == "rate_limit":
        assert report.retry_after_s == 9.0


@pytest.mark.parametrize(
    ("table", "place", "says"),
    [
        ('format = "xml"', "tools.x.read.format", "'text', 'json' or 'jsonl'"),
        ('text = "a.b"', "tools.x.read", "plain text has none"),
        ('format = "json"', "tools.x.read", "set `text`"),
        ('format = "json"\ntext = "a..b"', "tools.x.read.text", "names joined by dots"),
        (
            'outcomes = [{pattern = "(", outcome = "auth"}]',
            "tools.x.read.outcomes.0.pattern",
            "regular expression",
        ),
        (
            'outcomes = [{pattern = "x", outcome = "success"}]',
            "tools.x.read.outcomes.0.outcome",
            "another outcome",
        ),
        ('outcomes = [{pattern = "x", outcome = "no"}]', "tools.x.read.outcomes.0.outcome", "rate_limit"),
        ('config_dir_variable = "A-B"', "tools.x.read.config_dir_variable", "match"),
        ('txet = "a"', "tools.x.read.txet", "no option"),
    ],
)
def test_a_mistake_in_a_read_table_names_the_field(
    workspace: Workspace, table: str, place: str, says: str
) -> None:
    text = f"[tools.x]\nargv = ['/bin/x', '$prompt']\n[tools.x.read]\n{table}\n"
    (workspace.configs / "tools.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Registry.load(workspace)
    assert (caught.value.place or "").startswith(place)
    assert says in str(caught.value)


def test_the_adapter_of_a_tool() -> None:
    """Its own name's, unless it says another; a person's tool may be read as a known one."""
    assert set(ADAPTER_NAMES) == set(ADAPTERS)
    plain = {"argv": ["/bin/x", "$prompt"]}
    assert adapter_of(ToolDefinition.model_validate({"name": "claude", **plain})) is ADAPTERS["claude"]
    mine = ToolDefinition.model_validate({"name": "mine", "adapter": "claude", **plain})
    assert adapter_of(mine) is ADAPTERS["claude"]
    for wrong in ({"adapter": "cluade"}, {"adapter": "claude", "read": {"waiting_text": "x"}}):
        with pytest.raises(ValidationError):
            ToolDefinition.model_validate({"name": "mine", **plain, **wrong})


NOW = datetime(2026, 11, 22, 0, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Please try again in 7s.", 7),
        ("Please retry in 8h24m32s.", 30272),
        ("try again in 3 days 4 hours 5 minutes", 273900),
        ("Retry-After: 120", 120),
        ('"retryDelay": "34.5s"', 34.5),
        ("retry-after-ms: 1500", 1.5),
        ("Please try again in 250ms", 0.25),
        ("You've hit your limit · resets 2:33am (UTC)", 7200),
        ("resets 2:33am (Europe/Berlin)", 3600),
        ("resets 3am (UTC)", 8820),
        ("resets Nov 25 at 12:33am (UTC)", 3 * 86400),
        ("resets at 2026-11-22T01:33:00Z", 3600),
        (f"Claude AI usage limit reached|{int(NOW.timestamp()) + 60}", 60),
        ("try again later", None),
        ("try again in 999 days", None),
        ("resets 99:99 (Nowhere)", None),
        ("resets 25", None),
    ],
)
def test_when_a_limit_ends(text: str, wait_s: float | None) -> None:
    assert retry_after_s(text, NOW) == (None if wait_s is None else pytest.approx(wait_s))


def test_keys_and_control_characters_stay_out_of_reasons() -> None:
    said = b"\x1b[31mERROR\x1b[0m 401 invalid api key sk-ant-0123456789abcdef0123\x07\r\n"
    report = ADAPTERS["crush"].read(Said(1, None, None, b"", said, interactive=False, finished_at=NOW))
    assert "sk-ant" not in report.reason
    assert report.reason.isprintable()


def test_an_interactive_run_is_read_from_the_transcript(tmp_path: Path) -> None:
    """What a terminal showed is noise; without a transcript the exit code is all there is."""
    screen = b"\x1b[2J API Error: 401"
    said = Said(
        0, None, None, screen, b"", interactive=True, finished_at=NOW, config_dir=tmp_path, session_id="s-1"
    )
    for tool in ADAPTERS:
        assert ADAPTERS[tool].read(said).outcome is Outcome.SUCCESS, tool
    chats = tmp_path / "projects" / "x"
    chats.mkdir(parents=True)
    lines: list[dict[str, Any]] = [
        {
            "type": "assistant",
            "sessionId": "s-1",
            "message": {"id": "1", "content": [{"type": "text", "text": "Done."}]},
        },
    ]
    (chats / "s-1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert ADAPTERS["claude"].read(said).text == "Done."
    lines[0] |= {"isApiErrorMessage": True, "apiErrorStatus": 429}
    (chats / "s-1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert ADAPTERS["claude"].read(said).outcome is Outcome.RATE_LIMIT


def test_a_tool_that_was_stopped_after_it_called_a_tool_can_go_on() -> None:
    """The model had answered, though with no words: what gemini had printed when its session was killed."""
    lines = (GOLDEN / "gemini/stream-permission-denied/stdout").read_bytes().splitlines(keepends=True)
    for count, goes_on in ((2, False), (3, True)):
        said = Said(None, None, "lost", b"".join(lines[:count]), b"", interactive=False, finished_at=NOW)
        assert ADAPTERS["gemini"].read(said).can_resume is goes_on


def test_a_question_that_only_the_screen_shows() -> None:
    """What opencode asks, without the frame around it and what it offers."""
    screen = (GOLDEN / "opencode/interactive/pane-permission-question.txt").read_text()
    assert ADAPTERS["opencode"].question(screen) == "Permission required # Shell command $ touch made.txt"


def test_the_conversation_of_an_attempt_is_not_taken_from_another(tmp_path: Path) -> None:
    """Ids of codex begin with the minute: the usage of a retry was counted for the failure before it, too."""
    ours, other = ("01a200e9-89e3-7641-9b0b-8762a5439416", "01a200e9-9aaa-7000-8000-000000000002")
    folder = tmp_path / "sessions/2026/11/22"
    folder.mkdir(parents=True)
    for number, (session, tokens) in enumerate([(ours, 5), (other, 11)]):
        file = folder / f"rollout-2026-11-22T00-00-0{number}-{session}.jsonl"
        usage = {"input_tokens": tokens, "output_tokens": 1}
        file.write_text(json.dumps({"type": "event_msg", "payload": {"turn_token_usage": usage}}))
        os.utime(file, (number, number))
    started = json.dumps({"type": "thread.started", "thread_id": ours}).encode()
    said = Said(1, None, None, started, b"", interactive=False, finished_at=NOW, config_dir=tmp_path)
    assert ADAPTERS["codex"].read(said).usage == Usage(input_tokens=5, output_tokens=1)


def test_a_killed_tool_whose_child_had_the_last_word_was_killed() -> None:
    """Qwen's own child outlives it for a moment, and says that its request was aborted."""
    last = {"type": "result", "is_error": True, "error": {"message": "Request was aborted."}}
    said = Said(None, 9, None, json.dumps(last).encode(), b"", interactive=False, finished_at=NOW)
    report = ADAPTERS["qwen"].read(said)
    assert report.outcome is Outcome.KILLED
    assert "SIGKILL" in report.reason
