"""Collaborative runs as pages and the API see them: asked for, half way, counted, approved, elsewhere."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent import audit
from agent.collab.commands import CommandRecord, CommandsRecord, OutcomeRecord
from agent.collab.progress import ProgressRecord, StepProgress
from agent.collab.records import StepRecord
from agent.collab.steps import Steps
from agent.service import collab
from agent.service.collab.approving import session_of, waiting
from agent.service.errors import ServiceError
from spool.control import parse_control
from spool.files import make_folder
from spool.records import State, Status, Usage, utc_now
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk
    from spool.workspace import Workspace

PLAN: dict[str, Any] = {
    "understanding": "whether",
    "assignments": [{"role": role, "task": f"what the {role} does"} for role in ("analyst", "executor")],
    "questions": [
        {"key": "do_it", "text": "Is it to be done?", "answers": ["yes", "no"], "weight": 2},
        {"key": "risk", "text": "How risky?", "answers": ["low", "high"]},
    ],
}


def session(workspace: Workspace, task_id: str = "q", state: State = State.RUNNING) -> Path:
    """Make the session of a run, as an agent leaves it."""
    folder = workspace.sessions / task_id
    make_folder(folder / "collab")
    now = utc_now()
    task = AcceptedTask(
        task_id=task_id, tool="collab", command="general", source_name="q.json", source_sha256="0" * 64,
        submitted_at=now,
    )  # fmt: skip
    (folder / "task.json").write_text(task.model_dump_json())
    Status(
        task_id=task_id, tool="collab", command="general", state=state, reason="attempt 1 runs", since=now,
        attempt=1, agent="test", host="here", submitted_at=now, source_name="q.json",
    ).write(folder / "status.json")  # fmt: skip
    return folder


def step(folder: Path, name: str, role: str, response: Any = None, **more: Any) -> None:
    """Write one step of a run."""
    now = utc_now()
    fields: dict[str, Any] = {
        "state": "ok", "provider": "qwen", "model": "m", "family": "qwen", "response": response,
        "usage": Usage(input_tokens=11, output_tokens=7), "started_at": now - timedelta(seconds=2),
        "finished_at": now,
    }  # fmt: skip
    record = StepRecord(name=name, phase=int(name[0]), role=role, **{**fields, **more})
    Steps(folder / "collab").write(record)


def said(**answers: str | None) -> dict[str, Any]:
    return {"text": "prose", "answers": [{"key": key, "answer": answer} for key, answer in answers.items()]}


def proposed(folder: Path, *commands: str, decision: Any = "ask") -> None:
    rows = tuple(
        CommandRecord(number=n, role="executor", command=text, sha256=digest(text), decision=decision)
        for n, text in enumerate(commands, 1)
    )
    CommandsRecord(task_id=folder.name, host="here", commands=rows).write(folder / "collab" / "commands.json")


def digest(command: str) -> str:
    return hashlib.sha256(command.encode()).hexdigest()


def cells(found: dict[str, Any], key: str) -> dict[str, tuple[str | None, str]]:
    row = next(row for row in found["matrix"]["rows"] if row["key"] == key)
    return {role: (cell["answer"], cell["how"]) for role, cell in row["cells"].items()}


# ---- half way


def test_half_way_the_matrix_shows_what_is_there(desk: Desk) -> None:
    """Who has not answered is waited for, who failed failed; nothing is counted yet."""
    folder = session(desk.workspace)
    step(folder, "1-plan", "coordinator", PLAN)
    step(folder, "2-analyst", "analyst", said(do_it="YES ", risk=None))
    found = collab.run(desk, "q")
    assert cells(found, "do_it") == {"analyst": ("yes", "answered"), "executor": (None, "waiting")}
    assert cells(found, "risk")["analyst"] == (None, "abstained")
    assert all(row["share"] is None for row in found["matrix"]["rows"])
    assert found["scores"]["consensus_percent"] is None
    step(folder, "2-executor", "executor", state="failed", reason="no key")
    assert cells(collab.run(desk, "q"), "do_it")["executor"] == (None, "failed")


def test_cards_fill_in_from_steps_and_progress(desk: Desk) -> None:
    """A role that is being asked is running; one that the plan leaves out has no card."""
    folder = session(desk.workspace)
    step(folder, "1-plan", "coordinator", PLAN)
    asking = StepProgress(name="2-analyst", role="analyst", state="running", provider="qwen", since=utc_now())
    ProgressRecord(doing="asking", since=utc_now(), steps=(asking,)).write(
        folder / "collab" / "progress.json"
    )
    cards = {card["role"]: card for card in collab.run(desk, "q")["cards"]}
    assert list(cards) == ["coordinator", "analyst", "executor", "validator"]
    assert {name: card["state"] for name, card in cards.items()} == {
        "coordinator": "ok", "analyst": "running", "executor": "waiting", "validator": "waiting",
    }  # fmt: skip
    assert cards["analyst"]["task"] == "what the analyst does"
    (part,) = cards["coordinator"]["parts"]
    assert part["said"]["understanding"] == "whether"
    assert (part["input_tokens"], part["duration_s"]) == (11, 2.0)
    assert cards["analyst"]["parts"][0]["said"] is None


def test_a_run_that_has_not_begun_has_a_page(desk: Desk) -> None:
    """Its state is known, and all else is empty."""
    dropped = collab.start(desk, "Shall I?", by="me")
    found = collab.run(desk, str(dropped.task_id))
    assert found["state"] == "queued"
    assert found["question"] is None
    assert found["matrix"]["rows"] == found["rated"] == []
    assert [card["state"] for card in found["cards"]] == ["waiting"] * 5


# ---- approving


def test_the_command_is_rated_and_waits(desk: Desk) -> None:
    """Only what asks, in a session that goes on, and until somebody has spoken."""
    folder = session(desk.workspace, state=State.WAITING_INPUT)
    proposed(folder, "touch x", "touch \N{RIGHT-TO-LEFT OVERRIDE}y")
    one, other = collab.rated(desk, "q")
    assert one["waits"]
    assert (one["exact"], one["size_bytes"]) == ("touch x", 7)
    assert other["exact"] == r"'touch \u202ey'  (escaped)"
    assert collab.say(desk, "q", 1, digest("touch x"), approved=True, by="token:me").endswith("approved")
    one, other = collab.rated(desk, "q")
    assert (one["waits"], one["word"]) == (False, "approved")
    make_folder(folder / "collab" / "commands")
    OutcomeRecord(number=2, fate="declined", reason="nobody", finished_at=utc_now()).write(
        folder / "collab" / "commands" / "2.json"
    )
    assert [row["waits"] for row in collab.rated(desk, "q")] == [False, False]


def test_a_word_is_audited_under_the_name_of_who_gave_it(desk: Desk) -> None:
    """The file's owner is the server; the log says who asked, and for which bytes."""
    proposed(session(desk.workspace), "touch x", "touch y")
    collab.say(desk, "q", 1, digest("touch x"), approved=True, by="token:alice")
    collab.say(desk, "q", 2, digest("touch y"), approved=False, by="token:bob")
    found = {entry.event: entry for entry in audit.entries(desk.workspace)}
    assert (found["approve"].who, found["approve"].details["sha256"]) == ("token:alice", digest("touch x"))
    assert (found["decline"].who, found["decline"].details["number"]) == ("token:bob", 2)
    assert (desk.workspace.sessions / "q" / "approve" / "1").read_text().strip() == digest("touch x")
    assert (desk.workspace.sessions / "q" / "approve" / "2").read_text().strip() == "no"


@pytest.mark.parametrize("approved", [True, False])
def test_other_bytes_are_not_answered(desk: Desk, approved: bool) -> None:  # noqa: FBT001 - parametrized
    """A digest that is not the command's, a second word, an unknown number: nothing is written."""
    folder = session(desk.workspace)
    proposed(folder, "touch x")
    with pytest.raises(ServiceError, match="nothing was approved"):
        collab.say(desk, "q", 1, digest("touch y"), approved=approved, by="me")
    with pytest.raises(ServiceError, match="does not wait"):
        collab.say(desk, "q", 2, digest("touch x"), approved=approved, by="me")
    assert not (folder / "approve").exists()
    assert list(audit.entries(desk.workspace)) == []
    collab.say(desk, "q", 1, digest("touch x"), approved=not approved, by="me")
    with pytest.raises(ServiceError, match="does not wait") as refused:
        collab.say(desk, "q", 1, digest("touch x"), approved=approved, by="me")
    assert refused.value.kind == "conflict"


def test_what_was_changed_is_neither_shown_nor_approved(desk: Desk) -> None:
    """A command that does not have the digest beside it: the page says so, and shows no command."""
    folder = session(desk.workspace)
    proposed(folder, "touch x")
    file = folder / "collab" / "commands.json"
    file.write_text(file.read_text().replace("touch x", "touch z"))
    found = collab.run(desk, "q")
    assert "was changed" in found["trouble"]
    assert found["rated"] == []
    with pytest.raises(ServiceError, match="was changed"):
        collab.say(desk, "q", 1, digest("touch z"), approved=True, by="me")


def test_on_another_host_the_word_is_asked_for(desk: Desk, mirror: Callable[[str], Mirror]) -> None:
    """It becomes a request that the collector takes there; to decline it names no command's bytes."""
    there = mirror("web1")
    proposed(session(there.workspace), "touch x", "touch y")
    collab.say(desk, "q", 1, digest("touch x"), approved=True, by="me", host="web1")
    collab.say(desk, "q", 2, digest("touch y"), approved=False, by="me", host="web1")
    asked = [
        parse_control(path.read_bytes(), path.stem) for path in sorted(there.outbox_controls.glob("*.json"))
    ]
    numbers = {control.number: control.sha256 for control in asked}  # type: ignore[union-attr]
    assert numbers == {1: digest("touch x"), 2: "0" * 64}
    assert not (there.workspace.sessions / "q" / "approve").exists()


def test_only_runs_that_go_on_are_approved(desk: Desk, make: Any) -> None:
    """A task of another tool, one that is over: it says what it is instead."""
    del make
    folder = session(desk.workspace)
    proposed(folder, "touch x")
    found = desk.find("q")
    assert [one.number for one in waiting(session_of(found.place.workspace, found.view, "q"))] == [1]
    document = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps(document | {"tool": "shell"}))
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps(status | {"tool": "shell"}))
    with pytest.raises(ServiceError, match="no collaborative run"):
        collab.say(desk, "q", 1, digest("touch x"), approved=True, by="me")
    with pytest.raises(ServiceError, match="no collaborative run"):
        collab.run(desk, "q")


# ---- asking


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"question": "  "}, "there is no question"),
        ({"kind": "poetry"}, "no kind of question 'poetry'"),
        ({"domain": "nowhere"}, "no domain 'nowhere'"),
        ({"host": "nowhere"}, "no host 'nowhere'"),
        ({"host": "../sessions"}, "no host '../sessions'"),
        ({"of": "x", "kind": "security"}, "a review has no other kind"),
    ],
)
def test_what_cannot_be_asked_is_said_at_once(desk: Desk, asked: dict[str, str], message: str) -> None:
    """And nothing is dropped."""
    given = {"question": "Shall I?", **asked}
    with pytest.raises(ServiceError, match=message) as refused:
        collab.start(desk, given.pop("question"), by="me", **given)
    assert refused.value.kind == "invalid"
    assert list(desk.workspace.tasks.glob("*.json")) == []


def test_a_question_becomes_a_task(desk: Desk) -> None:
    """With its kind from its words, who asks, and nothing that was not given; a key drops it once."""
    first = collab.start(desk, "why is my laptop so slow?", by="token:me", read_only=True, key="k1")
    again = collab.start(desk, "why is my laptop so slow?", by="token:me", read_only=True, key="k1")
    assert again.replayed
    assert again.task_id == first.task_id
    (path,) = desk.workspace.tasks.glob("*.json")
    task = json.loads(path.read_text())
    assert task["tool"] == "collab"
    assert task["command"] in collab.TYPES
    assert task["parameters"] == {"prompt": "why is my laptop so slow?"}
    assert (task["submitted_by"], task["approval"]) == ("token:me", "read-only")


def test_the_chat_hands_over_only_for_who_may_submit(desk: Desk) -> None:
    """The rule is named; nobody was asked, and nothing was dropped."""
    with pytest.raises(ServiceError, match="needs the scope") as refused:
        collab.chat(desk, "my disk is full, what can I delete?", by="me", may_submit=False)
    assert refused.value.fields["rule"]
    with pytest.raises(ServiceError, match="there is no question"):
        collab.chat(desk, " ", by="me")
    assert list(desk.workspace.tasks.glob("*.json")) == []
    handed = collab.chat(desk, "my disk is full, what can I delete?", by="me")
    assert handed.why["rule"] == refused.value.fields["rule"]
    assert handed.task_id
