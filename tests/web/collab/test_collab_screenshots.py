"""The pictures of the README: a run that waits for an approval, the chat, a fortnight of figures, the log."""

from __future__ import annotations

import json
import random
import shutil
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from web.browser import PHONE, take

from agent.collab.labels import Label, write
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from pathlib import Path

expect.set_options(timeout=60_000)

TALL = {"width": 1280, "height": 980}
DESK = {"width": 1280, "height": 720}
QUESTION = "Why has the nightly build become so slow, and what should we change first?"
PLAN = {
    "understanding": "The build took 40 minutes last week, and takes 70 now. Where does the time go?",
    "assignments": [
        {"role": "analyst", "task": "Find where the time goes, from load, memory and the build's own log."},
        {"role": "executor", "task": "Say what to change first, with a check before and after."},
        {"role": "innovator", "task": "Look for a change that makes the problem impossible."},
    ],
    "questions": [
        {"key": "cause", "text": "What costs most of the time?", "answers": ["compiler", "disk", "network"],
         "weight": 3},
        {"key": "cache", "text": "Does the compiler cache work?", "answers": ["yes", "no"], "weight": 2},
        {"key": "parallel", "text": "Are all cores used?", "answers": ["yes", "no"]},
        {"key": "risk", "text": "How risky is the first step?", "answers": ["low", "medium", "high"]},
    ],
    "evidence": ["load", "memory"],
}  # fmt: skip
ANALYST = (
    "Most of the time goes into the compiler: the load stays at 1.0 on a machine with sixteen cores, and the "
    "disk is idle. The cache answers 4 of 100 requests, so nearly every file is compiled anew."
)
EXECUTOR = "Give the cache room again, then let make use all cores. Both can be taken back at once."
INNOVATOR = "A shared cache on the build host would make each branch's first build as fast as its second."
RESULT = {
    "summary": "The compiler costs most of the time: the cache is too small, it answers 4 of 100 requests, "
    "and one of sixteen cores is used. Give the cache room first; it is a small change.",
    "findings": [
        "The load is 1.0 on sixteen cores (analyst).",
        "The cache misses 96 of 100 (analyst, executor).",
    ],
    "recommendations": ["Raise the cache's limit (command 1).", "Then build with all cores."],
    "dissent": ["The innovator takes the first step to be riskier, since other users share the disk."],
}


@pytest.fixture
def waiting(host: Any, brain: Any, runs: Any) -> str:
    """A run that waits for the approval of a command."""
    says = partial(_says, brain)
    brain.says |= {
        "plan": PLAN,
        "integration": RESULT,
        "analyst": lambda c: says(c, ANALYST, cause="compiler", cache="no", parallel="no", risk="low"),
        "innovator": lambda c: says(c, INNOVATOR, cause="compiler", cache="no", risk="medium"),
        "executor": lambda c: {
            **says(c, EXECUTOR, cause="compiler", cache="no", parallel="no", risk="low"),
            "commands": [
                {"command": "ccache --max-size 20G", "purpose": "Give the compiler cache room",
                 "check_before": "uptime", "check_after": "cat /proc/loadavg"},
                {"command": "nproc", "purpose": "Count the cores"},
            ],
        },
    }  # fmt: skip
    runs.ask(QUESTION, task_id="slow-build", kind="performance")
    host.wait_for_state("slow-build", "waiting_input")
    return "slow-build"


def _says(brain: Any, call: Any, text: str, **answers: str | None) -> dict[str, Any]:
    return {"text": text, "answers": brain.answers(call, "load", **answers)}


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_run(pages: Any, waiting: str, tmp_path: Path, look: str) -> None:
    options: dict[str, Any] = {"viewport": PHONE if look == "phone" else TALL if look == "light" else DESK}
    page = pages.open(f"/collab/{waiting}", color_scheme="dark" if look == "dark" else "light", **options)
    expect(page.get_by_role("button", name="Approve command 1")).to_be_visible()
    expect(page.locator("[data-run=waiting_input]")).to_be_visible()
    take(page, f"collaborative-{look}", tmp_path)
    if look == "light":
        page.get_by_role("button", name="Approve command 1").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        take(page, "approve", tmp_path)


def test_chat(pages: Any, brain: Any, tmp_path: Path) -> None:
    brain.says["ask"] = (
        "**DNS** stands for *Domain Name System*: it turns names such as `example.org` into addresses."
    )
    page = pages.open("/chat")
    for question in ("what does the acronym DNS stand for?", "my disk is full, what can I delete?"):
        before = page.locator(".bubble.theirs p, .bubble.theirs .chip").count()
        page.get_by_label("Your question").fill(question)
        page.keyboard.press("Enter")
        expect(page.locator(".bubble.theirs p, .bubble.theirs .chip")).not_to_have_count(before)
    expect(page.locator("[data-run=succeeded]")).to_be_visible()
    take(page, "chat", tmp_path)


def test_metrics_and_audit(pages: Any, host: Any, runs: Any, tmp_path: Path) -> None:
    runs.ask(QUESTION, task_id="first")
    host.result("first", limit_s=60)
    _a_fortnight(host.ws.results, host.ws)
    page = pages.open("/metrics?span=month", viewport=DESK)
    expect(page.locator(".plot svg").first).to_be_visible()
    expect(page.locator(".tile").first).to_contain_text("43")
    take(page, "metrics", tmp_path)
    page.goto("/audit")
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.locator("[data-chain=holds]")).to_be_visible()
    take(page, "audit", tmp_path)


def _a_fortnight(results: Path, workspace: Any) -> None:
    """Copy a real run to other days, with other figures."""
    chance, now = random.Random(7), utc_now()  # noqa: S311 - a picture, no secret
    for number in range(42):
        folder = results / f"run-{number:02d}"
        shutil.copytree(results / "first", folder, ignore=shutil.ignore_patterns("status.json", ".*"))
        at = now - timedelta(days=number // 3, hours=number % 3 + 1)
        _change(folder / "collab" / "question.json", asked_at=iso(at), task_id=folder.name)
        usage = {"input_tokens": chance.randint(9_000, 30_000), "output_tokens": chance.randint(900, 4_000),
                 "cost_usd": round(chance.uniform(0.01, 0.09), 4)}  # fmt: skip
        _change(folder / "result.json", task_id=folder.name, finished_at=iso(at), usage=usage, attempts=[])
        consensus, raw = chance.uniform(55, 100), chance.uniform(0.3, 0.98)
        report = json.loads((folder / "collab" / "report.json").read_text())
        report["consensus"] |= {"percent": consensus, "coverage_percent": chance.uniform(70, 100)}
        report["confidence"] |= {"percent": 100 * raw, "raw": raw}
        _change(folder / "collab" / "report.json", **report)
        for step in (folder / "collab" / "steps").glob("*.json"):
            calls = json.loads(step.read_text())["calls"]
            for call in calls:
                call["duration_s"] = chance.lognormvariate(1.1, 0.5) * (1.6 if "2-" in step.name else 0.8)
                call["error"] = chance.choice([None] * 14 + ["rate_limit", "timeout"])
            _change(step, calls=calls)
        write(
            workspace,
            Label(task_id=folder.name, good=chance.random() < raw, by="person", who="tester", labelled_at=now,
                  asked_at=datetime.fromisoformat(iso(at)), raw=raw, root=raw, safety=1.0,
                  shown_percent=100 * raw, consensus_percent=consensus),
        )  # fmt: skip


def _change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
