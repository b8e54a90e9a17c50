from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spool.records import State, Usage
from spool.refusal import Refusal
from spool.reject import reject

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from spool.workspace import Workspace

    Run = Callable[..., Any]

STEERING = "\x1b]0;pwned\x07\x1b[2J\u202egnp.exe\x9b1m"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in "\x1b\x07\x9b\u202e")


def ids(document: dict[str, Any]) -> list[str]:
    return [task["task_id"] for task in document["tasks"]]


def test_everything_in_one_list(aispool: Run, dropped: Run, running: Run, over: Run) -> None:
    """What waits, what is on hold, what runs, and what is over, in this order."""
    dropped("waiting")
    dropped("kept", held=True)
    running("now")
    over("done")
    assert ids(aispool("ls", "--json").document) == ["waiting", "kept", "now", "done"]
    lines = aispool("ls").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["waiting", "queued"],
        ["kept", "held"],
        ["now", "running"],
        ["done", "succeeded"],
    ]


def test_only_the_latest_results_unless_all(aispool: Run, over: Run) -> None:
    """Twenty are enough for a glance."""
    for number in range(25):
        over(f"r{number}")
    assert len(ids(aispool("ls", "--json").document)) == 20
    assert len(ids(aispool("ls", "--all", "--json").document)) == 25


def test_filters(aispool: Run, dropped: Run, over: Run) -> None:
    """By state and by label; both must fit."""
    dropped("a", labels=["nightly"])
    dropped("b")
    over("c", State.FAILED, labels=("nightly",))
    assert ids(aispool("ls", "--label", "nightly", "--json").document) == ["a", "c"]
    assert ids(aispool("ls", "--state", "failed", "--state", "queued", "--json").document) == ["a", "b", "c"]
    assert ids(aispool("ls", "--state", "failed", "--label", "nightly", "--json").document) == ["c"]


def test_an_empty_workspace_says_how_to_begin(aispool: Run) -> None:
    """Nothing there is no error."""
    assert "submit" in aispool("ls").out


def test_names_and_reasons_cannot_steer_the_terminal(
    aispool: Run, workspace: Workspace, running: Run, over: Run
) -> None:
    """Escape sequences of file names, reasons, commands and answers never reach it."""
    (workspace.tasks / f"{STEERING}.json").write_text("{}")
    over("evil", State.FAILED, text=STEERING + "\nsecond", reason=STEERING, command=STEERING)
    running("asks", State.WAITING_INPUT, question=STEERING)
    for arguments in (
        ["ls"],
        ["show", "evil"],
        ["show", "asks"],
        ["ls", "--json"],
        ["show", "evil", "--json"],
    ):
        assert is_harmless(aispool(*arguments).out)
    assert "second" in aispool("show", "evil").out


def test_show_of_each_place(aispool: Run, dropped: Run, running: Run, over: Run) -> None:
    """A waiting task says why, a running one how to attach, a finished one what it said and cost."""
    dropped("waiting", dependencies=["other"])
    running("now", attach="tmux attach")
    over("done", text="the answer", usage=Usage(cost_usd=0.25, input_tokens=7))
    assert "no agent has looked at it yet" in aispool("show", "waiting").out
    assert "tmux attach" in aispool("show", "now").out
    said = aispool("show", "done").out
    assert "the answer" in said
    assert "0.2500 USD" in said
    document = aispool("show", "waiting", "--json").document
    assert document["task"]["dependencies"] == ["other"]
    assert document["result"] is None


def test_show_of_a_rejected_file_says_why(aispool: Run, workspace: Workspace) -> None:
    """By its name, with or without the suffix, and by the id it asked for."""
    path = workspace.tasks / "bad.json"
    path.write_text("{")
    reject(workspace, path, Refusal("it is cut off", "copy it again", task_id="wanted"), "test")
    for name in ("bad", "bad.json", "wanted"):
        assert "it is cut off" in aispool("show", name).out
    assert aispool("show", "bad", "--json").document["rejected"]["remedy"] == "copy it again"
    assert "1 rejected" in aispool("ls").out


def test_an_unknown_id_is_your_input(aispool: Run) -> None:
    """It says where to look."""
    assert "aispool ls --all" in aispool("show", "nobody", code=1).err


def test_a_table_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on a terminal, and only the last column."""
    from agent.cli import table  # noqa: PLC0415 - patched here

    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    lines = list(table.rows(("ID", "WHY"), [("a" * 10, "b" * 100)]))
    assert len(lines[1]) == 40
    assert lines[1].endswith("…")


def test_a_damaged_record_hides_nothing_else(aispool: Run, running: Run, over: Run) -> None:
    """It is listed with what is wrong, and so is all the rest."""
    for folder in (running("broken"), over("torn")):
        (folder / "task.json").write_text("{")
        for name in ("status.json", "result.json"):
            if (folder / name).exists():
                (folder / name).write_text("{")
    over("fine")
    assert ids(aispool("ls", "--json").document) == ["broken", "torn", "fine"]
    assert "damaged" in aispool("show", "broken").out
    assert "damaged" in aispool("show", "torn").out
    aispool("health", code=1)
