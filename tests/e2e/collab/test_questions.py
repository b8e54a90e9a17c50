"""The collaborative pipeline through a real agent: tmux, shell evidence, kills, reviews, one slot for all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
# ---- the three use cases: a slow system, no internet, an application to be optimised


def slow_system(brain: Any) -> None:
    brain.says["plan"] = {
        "understanding": "Hay que averiguar qué recurso limita al sistema y qué proceso lo ocupa.",
        "assignments": [
            {"role": "analyst", "task": "Localiza el cuello de botella."},
            {"role": "executor", "task": "Di cómo aliviarlo."},
            {"role": "innovator", "task": "Propón cómo evitarlo."},
        ],
        "questions": [
            {"key": "bottleneck", "text": "¿Qué limita al sistema?",
             "answers": ["cpu", "memory", "disk", "nothing"], "weight": 3},
            {"key": "act_now", "text": "¿Hay que actuar ahora?", "answers": ["yes", "no"], "weight": 1},
        ],
        "evidence": ["load", "memory", "disk_space"],
    }  # fmt: skip
    brain.says["analyst"] = lambda call: {
        "text": "La carga supera el número de procesadores.",
        "answers": brain.answers(call, "load", bottleneck="cpu", act_now="yes"),
    }
    brain.says["executor"] = lambda call: {
        "text": "Primero mirar, después bajar la prioridad.",
        "answers": brain.answers(call, "load", bottleneck="cpu", act_now="yes"),
        "commands": [{"command": "uptime", "purpose": "Ver la carga actual."}],
    }
    brain.says["innovator"] = lambda call: {
        "text": "Un límite de recursos lo evitaría.",
        "answers": brain.answers(call, "memory", bottleneck="memory", act_now="yes"),
    }
    brain.says["integration"] = {
        "summary": "El procesador es el cuello de botella; la memoria no está descartada.",
        "findings": ["La carga supera el número de procesadores (analyst, load)."],
        "recommendations": ["Mirar la carga (comando 1) y bajar la prioridad del proceso; riesgo bajo."],
        "dissent": ["El innovador ve el límite en la memoria."],
    }


def no_internet(brain: Any) -> None:
    brain.says["plan"] = {
        "understanding": "Find the layer at which the connection ends.",
        "assignments": [
            {"role": "analyst", "task": "Find the layer."},
            {"role": "executor", "task": "Give the steps."},
            {"role": "innovator", "task": "Give a way around it."},
        ],
        "questions": [
            {"key": "cause", "text": "Where does the fault lie?",
             "answers": ["link", "routing", "name_resolution", "remote_side"], "weight": 3},
            {"key": "is_local", "text": "Can it be mended here?", "answers": ["yes", "no"], "weight": 2},
        ],
        "evidence": ["network", "dns"],
    }  # fmt: skip
    for role, cause in (
        ("analyst", "name_resolution"),
        ("executor", "name_resolution"),
        ("innovator", "routing"),
    ):
        brain.says[role] = lambda call, role=role, cause=cause: {
            "text": f"The {role} points at {cause}.",
            "answers": brain.answers(call, "dns", "network", cause=cause, is_local="yes"),
        }
    brain.says["validation-innovator"] = brain.validation(
        "accuracy", vetoes=(("answer:cause", "the routes are in the evidence and complete"),)
    )
    brain.says["integration"] = {
        "summary": "Names are not resolved; the link and the routes work.",
        "findings": ["The resolver does not answer (analyst, dns)."],
        "recommendations": ["Set a resolver that answers; nothing is lost by it."],
    }


def optimise(brain: Any) -> None:
    brain.says["plan"] = {
        "understanding": "Find where the time goes, measure, then change one thing.",
        "assignments": [
            {"role": "analyst", "task": "Find the hot spot."},
            {"role": "executor", "task": "Give measurements and changes."},
            {"role": "innovator", "task": "Avoid the work."},
        ],
        "questions": [
            {"key": "hot_spot", "text": "Where is most time lost?",
             "answers": ["computation", "disk", "database"], "weight": 3},
            {"key": "risk", "text": "How risky is the change?", "answers": ["low", "high"]},
        ],
        "evidence": [],
    }  # fmt: skip
    for role in ("analyst", "executor", "innovator"):
        brain.says[role] = lambda call, role=role: {
            "text": f"The {role} looked at the loop.",
            "answers": brain.answers(call, "file-app.py", hot_spot="computation", risk="low"),
        }
    brain.says["integration"] = {
        "summary": "The nested loop is quadratic; a set makes it linear.",
        "findings": ["All time is spent in one loop (analyst, file-app.py)."],
        "recommendations": ["Use a set; the risk is low, the result is the same."],
    }


CASES = {
    "slow-system": (slow_system, "¿Por qué mi sistema está lento?", "system_analysis"),
    "no-internet": (no_internet, "No internet on this machine since this morning", "problem_solving"),
    "optimise": (optimise, "Optimise my application, it takes ten seconds", "performance"),
}


def settled(text: str) -> str:
    """A report without what differs from machine to machine: which evidence could not be collected."""
    lines = [line for line in text.splitlines() if not re.match(r"- (?:no recogida|not collected): ", line)]
    kept = "\n".join(lines)
    return re.sub(
        r"\n## (?:Lo que falta en este resultado|What is missing from this result)\n\n(?=\n|$)",
        "",
        kept + "\n",
    )


@pytest.mark.parametrize("case", CASES)
def test_use_cases_from_question_to_report(host: Any, runs: Any, brain: Any, case: str) -> None:
    """A question is dropped, facts are collected by a shell task, and the report is the task's answer.

    There is one slot: the pipeline takes none while it waits for the task that collects its facts.
    """
    script, text, kind = CASES[case]
    script(brain)
    if case == "optimise":
        files = host.ws.tasks / "q.files"
        files.mkdir()
        (files / "app.py").write_text("for a in rows:\n    for b in rows:\n        compare(a, b)\n")
    host.start(slots=1)
    runs.ask(text, kind=kind)
    result = host.result("q", limit_s=90)
    assert result["state"] == "succeeded", result["reason"]
    assert result["usage"]["input_tokens"] == 11 * len(runs.report()["roles"])
    report = runs.report()
    if case != "optimise":
        assert host.result("q.facts")["state"] == "succeeded"
        assert report["evidence"], report["evidence_missing"]
    assert report["quotes_found"] == report["quotes"]
    assert result["output"]["text"].strip() == (runs.folder() / "report.md").read_text().strip()
    golden = GOLDEN / f"collab-{case}.md"
    shown = settled(result["output"]["text"])
    if os.environ.get("AISPOOL_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(shown)
    assert shown == golden.read_text()


def test_killed_under_the_agent_it_goes_on_by_itself(host: Any, runs: Any, brain: Any) -> None:
    """SIGKILL of the pipeline's process: another attempt follows at once, and asks nothing twice."""
    gate = host.folder / "gate"
    usual = brain._integration

    def waits(call: Any) -> Any:
        if len(brain.asked["integration"]) == 1:
            host.wait(gate.exists, "the test has killed it")
        return usual(call)

    brain.says["integration"] = waits
    host.start()
    runs.ask("Shall I do it?")
    step = host.ws.sessions / "q" / "collab" / "steps" / "4-consensus.json"
    host.wait(step.exists, "phase 4 is reached")
    host.wait(lambda: brain.asked["integration"], "the coordinator is asked")
    started = json.loads((host.ws.sessions / "q" / "attempts" / "001" / "started").read_text())
    os.kill(started["tool_pid"], signal.SIGKILL)
    host.wait((host.ws.sessions / "q" / "attempts" / "002").is_dir, "a second attempt")
    gate.touch()
    result = host.result("q", limit_s=60)
    assert result["state"] == "succeeded", result["reason"]
    assert [attempt["state"] for attempt in result["attempts"]] == ["lost", "succeeded"]
    counts = brain.counts()
    assert counts.pop("integration") == 2
    assert set(counts.values()) == {1}


def test_a_rate_limit_parks_the_task(host: Any, runs: Any, brain: Any, fault: Any) -> None:
    """When nobody can answer because of a limit, the task waits for its end instead of failing."""
    for role in ("analyst", "executor", "innovator"):
        brain.says[role] = fault(error="rate_limit", retry_after_s=600)
    host.start()
    runs.ask("Shall I do it?")
    status = host.wait_for_state("q", "deferred")
    assert "goes on when the limit ends" in status["reason"]
    host.cancel("q")
    assert host.result("q")["state"] == "cancelled"


def test_a_task_is_reviewed_by_exactly_one_other(host: Any, runs: Any, brain: Any) -> None:
    """`"review": true`: the result of a shell task is reviewed, with its own words as evidence."""
    host.start()
    host.shell("job", "echo The answer is 42", review=True)
    assert host.result("job")["state"] == "succeeded"
    review = host.result("job.review", limit_s=60)
    assert review["state"] == "succeeded", review["reason"]
    assert set(runs.report("job.review")["evidence"]) == {"task", "outcome", "answer"}
    assert "The answer is 42" in brain.asked["analyst"][0].text
    (host.ws.results / "job" / "retry").touch()
    host.wait((host.ws.results / "job" / "attempts" / "002").is_dir, "the job ran again")
    host.shell("after", "true")
    host.result("after")
    assert sorted(path.name for path in host.ws.results.glob("job*") if path.is_dir()) == [
        "job",
        "job.review",
    ]
    assert not list(host.ws.rejected.glob("job.review*"))


def test_a_report_goes_back_to_the_host_it_is_about(host: Any, runs: Any, brain: Any) -> None:
    """On a collector: facts are asked for in the host's mirror, the report is sent there as a task."""
    slow_system(brain)
    mirror = host.ws.root / "fleet" / "web1"
    for name in ("tasks", "results", "sessions", "rejected"):
        (mirror / name).mkdir(parents=True, exist_ok=True)
    host.start()
    runs.ask("¿Por qué va lento?", kind="system_analysis", approval="read-only", parameters={"host": "web1"})
    sent = mirror / "tasks" / "q.facts.json"
    host.wait(sent.exists, "the facts are asked for")
    fields = json.loads(sent.read_text())
    assert fields["tool"] == "shell"
    assert fields["idempotent"]
    # what the host does, and its collector brings back
    artifacts = mirror / "results" / "q.facts" / "artifacts"
    artifacts.mkdir(parents=True)
    env = {**os.environ, "AISPOOL_ARTIFACTS": str(artifacts)}
    argv = ["/bin/sh", "-c", fields["command"], "sh", *fields["parameters"]["args"]]
    subprocess.run(argv, env=env, check=True, timeout=60)
    sent.unlink()
    done = json.loads((GOLDEN / "result.json").read_text())
    (artifacts.parent / "result.json").write_text(json.dumps({**done, "task_id": "q.facts", "host": "web1"}))
    result = host.result("q", limit_s=60)
    assert result["state"] == "succeeded", result["reason"]
    report = runs.report()
    assert "load" in report["evidence"]
    index = json.loads((runs.folder() / "evidence" / "index.json").read_text())
    assert {item["host"] for item in index["items"]} == {"web1"}
    back = json.loads((mirror / "tasks" / "q.report.json").read_text())
    assert back["parameters"]["output"] == "results/q.report.md"
    assert (mirror / "tasks" / "q.report.files" / "report.md").read_text() == (
        runs.folder() / "report.md"
    ).read_text()


def test_from_the_command_line(host: Any, runs: Any, brain: Any) -> None:
    """`collab run` prints the report alone on standard output, and its steps on standard error."""
    host.start()
    done = runs.command_line("collab", "run", "Shall I do it?", "--id", "mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Report: mine\n")
    assert "2-analyst (qwen) ok" in done.stderr
    shown = runs.command_line("collab", "show", "mine")
    assert shown.stdout == done.stdout
    steps = runs.command_line("collab", "show", "mine", "--steps")
    assert "4-integration" in steps.stdout
    document = json.loads(runs.command_line("collab", "show", "mine", "--json").stdout)
    assert document["report"]["consensus"]["percent"] == runs.report("mine")["consensus"]["percent"]
    assert brain.counts()["plan"] == 1


def test_a_plain_question_is_answered_by_one(runs: Any, brain: Any) -> None:
    """No task, no agent: one call, one answer."""
    done = runs.command_line("ask", "What does the acronym DNS stand for?")
    assert done.stdout == "A plain answer.\n", done.stderr
    assert brain.counts() == {"ask": 1}


def test_a_question_is_handed_over_by_a_rule(host: Any, runs: Any, brain: Any) -> None:
    """The rule is named to the person, and written into the run."""
    host.start()
    done = runs.command_line("ask", "Should we migrate the mail server? Compare two options.")
    assert done.returncode == 0, done.stderr
    assert "handed over by the rule several_perspectives" in done.stderr
    assert "Handed over by the rule several_perspectives" in done.stdout
    assert brain.counts()["plan"] == 1
    plain = runs.command_line("ask", "--plain", "Should we migrate the mail server?")
    assert plain.stdout == "A plain answer.\n"


def test_a_dry_run_asks_nobody(host: Any, runs: Any, brain: Any) -> None:
    """It names the rule, the kind, and who would answer with which key; nothing is dropped."""
    done = runs.command_line("collab", "run", "--dry-run", "¿Por qué mi sistema está lento?")
    assert done.returncode == 0, done.stderr
    assert "handed over  yes, by the rule complex" in done.stdout
    assert "kind         system_analysis" in done.stdout
    assert "gemini: ready" in done.stdout
    assert "k-gemini" not in done.stdout
    assert brain.counts() == {}
    assert not list(host.ws.tasks.glob("*.json"))
    document = json.loads(runs.command_line("ask", "--dry-run", "--json", "What is a server?").stdout)
    assert document["hands_over"] is False


def test_what_cannot_be_asked_is_refused_before_it_is_dropped(host: Any, runs: Any, brain: Any) -> None:
    """A wrong domain or host, and a misspelt kind in a task file."""
    for arguments, says in (
        (("--domain", "cooking"), "there is no domain 'cooking'"),
        (("--host", "nowhere"), "there is no host 'nowhere'"),
    ):
        done = runs.command_line("collab", "run", "x", *arguments)
        assert done.returncode == 1
        assert says in done.stderr
    host.start()
    runs.ask("x", "odd", "securty")
    assert "'security'" in host.refusal("odd.json")["remedy"]
    assert brain.counts() == {}
