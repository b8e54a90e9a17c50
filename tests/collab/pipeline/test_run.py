"""The whole run as the agent starts it, in a process of its own, with scripted models over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from spool.records import utc_now

if TYPE_CHECKING:
    from pathlib import Path

ALL = {
    "plan": 1,
    "analyst": 1,
    "executor": 1,
    "innovator": 1,
    "validation-analyst": 1,
    "validation-executor": 1,
    "validation-innovator": 1,
    "integration": 1,
}


def test_from_question_to_report(desk: Any, brain: Any) -> None:
    """Five roles, four phases, one answer: every step is a file, and the report says what they came to."""
    session = desk.ask()
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert brain.counts() == ALL
    steps = sorted(path.stem for path in (session / "collab" / "steps").iterdir())
    assert steps == [
        "1-plan", "2-analyst", "2-executor", "2-innovator", "3-validation-analyst", "3-validation-executor",
        "3-validation-innovator", "4-consensus", "4-integration",
    ]  # fmt: skip
    report = desk.report(session)
    assert report["state"] == "ok"
    assert report["integration"]["summary"] == "It is to be done."
    assert report["consensus"]["coverage_percent"] == 100
    assert report["consensus"]["families"] == ["gemini", "qwen"]
    assert not report["validator_independent"]
    assert done.stdout == (session / "collab" / "report.md").read_text()
    assert "The validator is of the same model family (qwen) as analyst, innovator" in done.stdout


def test_the_lines_for_people(desk: Any) -> None:
    """What a person reads who attaches, in this order; nothing of a prompt or an answer is in it."""
    done = desk.run(desk.ask("Why is my system slow? Secret word: xyzzy"))
    lines = done.stderr.splitlines()
    assert lines[0] == "Starting collaborative task: system_analysis"
    assert lines[1] == "Gemini (Coordinator): Generating response"
    assert "Qwen (Analyst): Analyzing with role-specific prompt" in lines
    assert lines[-1].startswith("Collaborative analysis completed - Consensus: ")
    assert ", Confidence: " in lines[-1]
    assert "xyzzy" not in done.stderr
    assert "says yes" not in done.stderr


def test_each_step_says_who_answered_what_when(desk: Any, server: Any) -> None:
    """Prompt digest, what was seen, model, times, usage and the raw answer are in the step's file."""
    server.usage = {"input": 100, "output": 20}
    session = desk.ask()
    desk.run(session)
    step = desk.step(session, "3-validation-analyst")
    assert step["provider"] == "qwen"
    assert step["model"] == "qwen3-max"
    assert step["family"] == "qwen"
    assert len(step["prompt_sha256"]) == 64
    assert step["saw"].keys() == {"1-plan", "2-analyst", "2-executor", "2-innovator"}
    assert step["started_at"] <= step["finished_at"]
    assert step["usage"]["input_tokens"] == 100
    assert json.loads(step["text"]) == step["response"]
    assert [call["error"] for call in step["calls"]] == [None]
    assert desk.report(session)["usage"]["input_tokens"] == 800


def test_nobody_sees_anothers_answer_before_its_own_is_frozen(desk: Any, brain: Any) -> None:
    """The specialists are asked with the plan and the evidence alone."""
    session = desk.ask()
    desk.run(session)
    for role in ("analyst", "executor", "innovator"):
        (call,) = brain.asked[role]
        assert "says yes" not in call.text
        assert desk.step(session, f"2-{role}")["saw"].keys() == {"1-plan"}
    assert "The executor says yes." in brain.asked["validation-analyst"][0].text


def test_roles_have_their_own_temperature_and_tokens(desk: Any, brain: Any) -> None:
    """As roles.toml says: the coordinator 0.3 and 2048."""
    desk.run(desk.ask())
    assert (brain.asked["plan"][0].temperature, brain.asked["plan"][0].max_tokens) == (0.3, 2048)
    assert brain.asked["innovator"][0].temperature == 0.7
    assert brain.asked["validation-analyst"][0].temperature == 0.0


def test_a_role_and_a_domain_are_data(desk: Any, brain: Any) -> None:
    """A new role and a new domain in roles.toml take part without code."""
    desk.configure(
        '[roles.lawyer]\nabout = "the law"\nproviders = ["gemini"]\nprompt = "You are the lawyer."\n'
        '[domains.law]\nroles = ["lawyer", "analyst"]\nprompt = "Field: law."\n'
    )
    brain.says["other"] = lambda _call: {"text": "No.", "answers": [{"key": "do_it", "answer": "no"}]}
    brain.says["plan"] = {
        "understanding": "law",
        "assignments": [{"role": "lawyer", "task": "say no"}, {"role": "analyst", "task": "look"}],
        "questions": [{"key": "do_it", "text": "Is it to be done?", "answers": ["yes", "no"]}],
    }
    session = desk.ask(domain="law")
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    (call,) = brain.asked["other"]
    assert "You are the lawyer." in call.system
    assert "Field: law." in call.text
    (row,) = desk.report(session)["answers"]
    assert row["answers"] == {"lawyer": "no", "analyst": "yes"}


@pytest.mark.parametrize(
    ("parameters", "command", "says"),
    [
        ({"prompt": ""}, "general", "there is no question"),
        ({"prompt": "x", "domain": "cooking"}, "general", "no domain 'cooking'"),
        ({"prompt": "x", "host": 5}, "general", "parameters.host is not a string"),
        ({}, "review", "there is nothing to review"),
        ({"of": "nowhere"}, "review", "no result of nowhere"),
        ({"of": "nowhere", "host": "web1"}, "review", "there is no host web1 here"),
    ],
)
def test_what_cannot_be_asked_is_said(
    desk: Any, brain: Any, parameters: dict[str, Any], command: str, says: str
) -> None:
    """A task that asks nothing fails at once, says what to write, and costs nothing."""
    text = parameters.pop("prompt", "")
    session = desk.ask(text, command=command, **parameters)
    done = desk.run(session)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Collaborative task failed (question): ")
    assert brain.counts() == {}


def test_a_broken_configuration_is_named(desk: Any) -> None:
    """With the file, the place and the remedy."""
    desk.configure("[roles.analyst]\ntemprature = 3\n")
    done = desk.run(desk.ask())
    assert done.returncode == 1
    assert "roles.toml" in done.stderr
    assert "did you mean 'temperature'" in done.stderr


def test_given_files_are_evidence(desk: Any, brain: Any, answers: Any, tmp_path: Path) -> None:
    """A file that came with the question is shown to all, and a quote of it is found."""
    source = tmp_path / "deploy.sh"
    source.write_text("#!/bin/sh\nrm -rf /srv/app && cp -r build /srv/app\n")
    brain.says["analyst"] = lambda call: {
        "text": "It deletes first.",
        "answers": answers(call, "file-deploy.sh", do_it="no", risk="high"),
    }
    session = desk.ask("Is this right?", command="code_review")
    done = desk.run(session, source)
    assert done.returncode == 0, done.stderr
    report = desk.report(session)
    assert report["evidence"] == ["file-deploy.sh"]
    assert (report["quotes_found"], report["quotes"]) == (2, 2)
    index = json.loads((session / "collab" / "evidence" / "index.json").read_text())
    assert index["items"][0]["size_bytes"] == source.stat().st_size
    assert "Field: code." in brain.asked["analyst"][0].text


def test_invented_evidence_lowers_confidence(desk: Any, brain: Any, tmp_path: Path) -> None:
    """A quote that stands nowhere is counted as such; nothing else has changed."""
    source = tmp_path / "a.log"
    source.write_text("disk sda is failing slowly\n")

    def said(quote: str) -> dict[str, Any]:
        evidence = [{"source": "file-a.log", "quote": quote}]
        keyed = [
            {"key": k, "answer": a, "evidence": evidence} for k, a in (("do_it", "yes"), ("risk", "low"))
        ]
        return {"text": "So it is.", "answers": keyed}

    confidence = {}
    for task_id, quote in (("true", "disk sda is failing"), ("false", "disk sda is in flames")):
        brain.says["analyst"] = said(quote)
        session = desk.ask(task_id=task_id)
        desk.run(session, source)
        confidence[task_id] = desk.report(session)["confidence"]["percent"]
    assert confidence["false"] == 0
    assert confidence["true"] > 80


def test_the_review_of_a_result(desk: Any, brain: Any) -> None:
    """What a task was asked, how it ended and what it said are the evidence; the language is the task's."""
    folder = desk.workspace.results / "nightly"
    folder.mkdir()
    now = utc_now().isoformat()
    (folder / "task.json").write_text(
        json.dumps(
            {
                "task_id": "nightly", "tool": "claude", "parameters": {"prompt": "¿Por qué falla la copia?"},
                "source_name": "n.json", "source_sha256": "0" * 64, "submitted_at": now,
            }
        )
    )  # fmt: skip
    (folder / "result.json").write_text(
        json.dumps(
            {
                "task_id": "nightly", "tool": "claude", "command": "", "state": "succeeded", "reason": "done",
                "host": "h", "source_name": "n.json", "submitted_at": now, "finished_at": now,
                "output": {"text": "El disco está lleno."},
            }
        )
    )  # fmt: skip
    session = desk.ask("", "nightly.review", "review", of="nightly")
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    report = desk.report(session)
    assert report["question"]["language"] == "es"
    assert set(report["evidence"]) == {"task", "outcome", "answer"}
    assert "El disco está lleno." in brain.asked["analyst"][0].text
    assert "all prose in Spanish" in brain.asked["analyst"][0].text
    assert "## Hallazgos" in done.stdout


def test_memory_of_earlier_runs_is_shown_and_cited(desk: Any, brain: Any) -> None:
    """What a run found is remembered, shown to the next plan, and cited there."""
    desk.run(desk.ask("Shall I upgrade the kernel?", task_id="first"))
    remembered = json.loads((desk.workspace.sessions / "first" / "collab" / "remembered.json").read_text())[
        "id"
    ]
    plan = brain._plan(None)
    brain.says["plan"] = {**plan, "cites": [remembered]}
    session = desk.ask("Shall I upgrade the kernel again?", task_id="second")
    done = desk.run(session)
    assert "It is to be done." in brain.asked["plan"][1].text
    assert desk.report(session)["cites"] == [remembered]
    assert remembered in done.stdout


def test_the_audit_log_knows_the_run(desk: Any) -> None:
    """Who asked, and what came of it."""
    desk.run(desk.ask())
    lines = (desk.workspace.logs / "audit.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["event"] for e in events if e["task_id"] == "q"] == ["asked", "remembered", "result"]
    assert events[0]["who"] == "a person"


def test_the_review_of_another_hosts_result(desk: Any, brain: Any) -> None:
    """On a collector, the result is taken from the host's mirror; the report is sent to the host."""
    mirror = desk.workspace.root / "fleet" / "web1"
    folder = mirror / "results" / "backup"
    folder.mkdir(parents=True)
    (mirror / "tasks").mkdir()
    now = utc_now().isoformat()
    (folder / "result.json").write_text(
        json.dumps(
            {
                "task_id": "backup", "tool": "shell", "command": "x", "state": "failed", "reason": "failed",
                "host": "web1", "source_name": "n.json", "submitted_at": now, "finished_at": now,
                "output": {"text": "tape drive not ready"},
            }
        )
    )  # fmt: skip
    session = desk.ask("Is it right?", command="review", of="backup", host="web1")
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    assert "tape drive not ready" in brain.asked["analyst"][0].text
    assert (mirror / "tasks" / "q.report.files" / "report.md").read_text() == done.stdout
