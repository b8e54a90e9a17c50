"""A whole collaborative run on its page, from the question to an approved command that ran."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from agent import audit

if TYPE_CHECKING:
    from playwright.sync_api import Page

HIDING = "touch \N{RIGHT-TO-LEFT OVERRIDE}gnp.x"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> [here](javascript:alert(1)) **bold**"
QUESTION = "Shall I make the file?"


expect.set_options(timeout=60_000)


def propose(brain: Any, *commands: str) -> None:
    proposed = [{"command": command, "purpose": f"purpose {n}"} for n, command in enumerate(commands, 1)]
    brain.says["executor"] = lambda call: {**brain._executor(call), "commands": proposed}


def asked(page: Page) -> str:
    """Ask by the form, and return the run's id."""
    page.get_by_label("Your question").fill(QUESTION)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/collab/*")
    return page.url.rpartition("/")[2]


def state(page: Page, name: str) -> None:
    expect(page.locator(f"[data-run={name}]")).to_be_visible()


def command(page: Page, number: int) -> Any:
    return page.locator(".command-card").nth(number - 1)


def test_from_the_question_to_an_approved_command_that_ran(
    pages: Any, host: Any, brain: Any, serious: Any
) -> None:
    """The form drops the task; cards fill in; the approved bytes run, the refused and the denied do not."""
    made, other = host.folder / "made", host.folder / "other"
    propose(brain, f"touch {made}", f"touch {other}", "rm -rf / --no-preserve-root")
    page = pages.open("/collab")
    task_id = asked(page)
    approve = page.get_by_role("button", name="Approve command 1")
    approve.wait_for()
    for role in ("coordinator", "analyst", "executor", "innovator", "validator"):
        card = page.locator(".role-card", has=page.get_by_role("heading", name=role.capitalize()))
        expect(card.locator("[data-state=ok]").first).to_be_visible()
    expect(page.locator("[data-step='2-analyst']")).to_contain_text("The analyst says yes.")
    expect(page.locator("[data-step='3-validation-executor']")).to_contain_text("5 of 5 checks")
    assert serious(page) == []
    assert page.get_by_role("button", name="Approve command 3").count() == 0
    expect(command(page, 3)).to_contain_text("denied")

    approve.click()
    dialog = page.get_by_role("dialog")
    digest = hashlib.sha256(f"touch {made}".encode()).hexdigest()
    expect(dialog.locator("pre.command")).to_have_text(f"touch {made}")
    expect(dialog.locator(".sha256")).to_have_text(digest)
    assert serious(page) == []
    dialog.get_by_role("button", name="Approve these").click()
    page.get_by_role("button", name="Refuse command 2").click()
    page.get_by_role("button", name="Refuse it").click()

    state(page, "succeeded")
    expect(command(page, 1).locator("[data-fate=ran]")).to_be_visible()
    expect(command(page, 2).locator("[data-fate=declined]")).to_be_visible()
    assert made.exists()
    assert not other.exists()
    expect(page.get_by_role("region", name="Report")).to_contain_text("Command 1 was run")
    said = {e.event: e for e in audit.entries(host.ws) if e.task_id == task_id}
    user = next(entry.who for entry in audit.entries(host.ws) if entry.event == "login")
    assert said["approve"].who == said["decline"].who == user
    assert said["approve"].details["sha256"] == digest
    assert said["approve"].details["number"] == 1
    assert said["decline"].details["number"] == 2
    assert serious(page) == []


def test_the_bytes_that_do_not_show_are_shown(pages: Any, host: Any, brain: Any, runs: Any) -> None:
    """A turn of the writing direction stands escaped, also in the dialog, and all bytes can be seen."""
    propose(brain, HIDING)
    runs.ask(QUESTION)
    page = pages.open("/collab/q")
    page.get_by_role("button", name="Approve command 1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre.command")).to_contain_text(r"'touch \u202egnp.x'")
    dialog.get_by_text("All bytes").click()
    expect(dialog.get_by_label("All bytes, in hexadecimal")).to_contain_text("e2 80 ae")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_have_count(0)
    assert not (host.ws.sessions / "q" / "approve" / "1").exists()


def test_nobody_approves_without_the_scope(pages: Any, host: Any, brain: Any, runs: Any) -> None:
    """Who may only read sees everything, and no button; the run goes on waiting."""
    propose(brain, f"touch {host.folder}/made")
    runs.ask(QUESTION)
    page = pages.as_token("/collab/q", "read")
    expect(command(page, 1)).to_contain_text("scope approve")
    assert page.get_by_role("button", name="Approve").count() == 0
    assert page.get_by_role("button", name="Right").count() == 0
    assert page.get_by_role("button", name="Cancel").count() == 0
    page.goto("/collab")
    expect(page.get_by_text("Asking takes a token")).to_be_visible()
    assert page.get_by_role("button", name="Run", exact=True).count() == 0


def test_what_was_changed_after_it_was_shown_is_not_approved(
    pages: Any, host: Any, brain: Any, runs: Any
) -> None:
    """Somebody puts other bytes into commands.json while the dialog is open: nothing is approved."""
    made = host.folder / "made"
    propose(brain, f"touch {made}")
    runs.ask(QUESTION)
    page = pages.open("/collab/q")
    page.get_by_role("button", name="Approve command 1").click()
    file = host.ws.sessions / "q" / "collab" / "commands.json"
    other = f"touch {made}.other"
    document = json.loads(file.read_text())
    document["commands"][0] |= {"command": other, "sha256": hashlib.sha256(other.encode()).hexdigest()}
    file.write_text(json.dumps(document))
    page.get_by_role("button", name="Approve these").click()
    expect(page.get_by_text("nothing was approved")).to_be_visible()
    assert not (host.ws.sessions / "q" / "approve" / "1").exists()
    runs.command_line("cancel", "q")
    host.result("q", limit_s=60)
    assert not made.exists()


def test_dissent_and_uncalibrated_are_said(pages: Any, brain: Any, runs: Any, serious: Any) -> None:
    """The matrix marks who differs; the scores stand beside their coverage, and say what they are worth."""
    brain.says["innovator"] = lambda call: {
        "text": "The innovator says no.",
        "answers": brain.answers(call, do_it="no", risk=None),
    }
    runs.ask(QUESTION)
    page = pages.open("/collab/q")
    state(page, "succeeded")
    row = page.locator("tr[data-key=do_it]")
    expect(row.locator(".answer.differs")).to_have_text("no")
    expect(row.locator(".answer:not(.differs)")).to_have_text(["yes", "yes"])
    expect(page.locator("tr[data-key=risk]")).to_contain_text("abstains")
    expect(page.locator("[data-dissent]")).to_contain_text("dissent on 1 question")
    expect(page.locator("[data-uncalibrated]")).to_be_visible()
    expect(page.locator("[data-confidence]")).to_contain_text("0 of 50 labelled runs")
    report = runs.report()
    shown = page.locator("[data-consensus]")
    expect(shown.locator(".big")).to_have_text(f"{report['consensus']['percent']:.0f}%")
    expect(shown).to_contain_text(f"Coverage {report['consensus']['coverage_percent']:.0f}%")
    expect(page.locator("[data-dependent]")).to_be_visible()
    differs = page.get_by_role("region", name="Who differs")
    expect(differs).to_contain_text("no — innovator")
    assert serious(page) == []


def test_what_models_write_is_text(pages: Any, brain: Any, runs: Any) -> None:
    """HTML and links in answers and in the report are shown, and do nothing."""
    brain.says["analyst"] = lambda call: {**brain._analyst(call), "text": HOSTILE}
    brain.says["integration"] = {**brain._integration(None), "summary": HOSTILE, "findings": [HOSTILE]}
    runs.ask(HOSTILE)
    page = pages.open("/collab/q")
    state(page, "succeeded")
    expect(page.locator("[data-step='2-analyst']")).to_contain_text("<img src=x onerror=")
    expect(page.get_by_role("region", name="Report").locator(".prose")).to_contain_text("<img src=x onerror=")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.title() != "owned"


def test_a_failed_run_says_why(pages: Any, brain: Any, runs: Any, fault: Any) -> None:
    """Nobody answers: each card says so, and there is no score."""
    for part in ("plan", "analyst", "executor", "innovator"):
        brain.says[part] = fault(status=401, body=b'{"error": {"message": "no such key"}}')
    runs.ask(QUESTION, retry_policy={"max_retries": 0})
    page = pages.open("/collab/q")
    state(page, "failed")
    expect(page.locator(".role-card [data-state=failed]").first).to_be_visible()
    expect(page.locator("[data-consensus]")).to_contain_text("n/a")


def test_labels_and_exports(pages: Any, host: Any, brain: Any, runs: Any) -> None:
    """Right, wrong and taking it back are labels on disk; the exports are the run's own files."""
    del brain
    runs.ask(QUESTION)
    page = pages.open("/collab/q")
    state(page, "succeeded")
    label = host.ws.root / "collab" / "labels" / "person" / "q.json"
    page.get_by_label("Why (optional)").fill("it was right")
    page.get_by_role("button", name="Right").click()
    expect(page.locator("[data-label=good]")).to_be_visible()
    assert json.loads(label.read_text())["why"] == "it was right"
    page.get_by_role("button", name="Wrong").click()
    expect(page.locator("[data-label=bad]")).to_be_visible()
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("[data-label]")).to_have_count(0)
    assert not label.exists()
    with page.expect_download() as download:
        page.get_by_role("button", name="Markdown").click()
    assert Path(download.value.path()).read_text() == (runs.folder() / "report.md").read_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    exported = json.loads(Path(download.value.path()).read_text())
    shown = json.loads(runs.command_line("collab", "show", "q", "--json").stdout)
    assert exported == shown


def test_who_would_answer_asks_nobody(pages: Any, host: Any, brain: Any, serious: Any) -> None:
    """The roles with their providers and the rules are shown; no model was asked, no task dropped."""
    page = pages.open("/collab")
    page.get_by_label("Your question").fill("my disk is full, what can I delete?")
    page.get_by_role("button", name="Who would answer?").click()
    form = page.get_by_role("form", name="Ask")
    expect(form).to_contain_text("qwen: ready")
    form.get_by_text("rules looked at it").click()
    expect(form.locator(".rules .fired")).to_contain_text("(this one decided)")
    assert brain.asked == {}
    assert list(host.ws.tasks.glob("*.json")) == []
    assert serious(page) == []


def test_the_list_is_live_and_searched(pages: Any, brain: Any, runs: Any) -> None:
    """A run that is dropped elsewhere appears by itself, with its figures when it is over."""
    del brain
    page = pages.open("/collab")
    expect(page.get_by_text("No run yet")).to_be_visible()
    runs.ask("Is the first one there?", task_id="first")
    row = page.locator("tr[data-task=first]")
    expect(row).to_contain_text("succeeded")
    expect(row).to_contain_text("Is the first one there?")
    expect(row).to_contain_text("coverage 100%")
    expect(row).to_contain_text("uncalibrated")
    page.get_by_label("Search").fill("nothing-like-it")
    expect(row).to_have_count(0)
    page.get_by_label("Search").fill("first")
    page.get_by_role("link", name="Is the first one there?").click()
    state(page, "succeeded")


def test_with_the_keyboard_alone(pages: Any, host: Any, brain: Any) -> None:
    """`g c` opens the page, Ctrl+Enter asks, and the dialog is answered without a mouse."""
    made = host.folder / "made"
    propose(brain, f"touch {made}")
    page = pages.open("/audit")
    page.get_by_role("heading", name="Audit").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/collab")
    page.get_by_label("Your question").focus()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/collab/*")
    approve = page.get_by_role("button", name="Approve command 1")
    approve.wait_for()
    approve.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Approve these")).to_be_focused()
    page.keyboard.press("Enter")
    state(page, "succeeded")
    assert made.exists()


@pytest.mark.parametrize("width", [390, 820])
def test_on_a_phone(pages: Any, brain: Any, runs: Any, serious: Any, width: int) -> None:
    """Nothing is wider than the screen, and the buttons can be hit."""
    propose(brain, "touch " + "a-long-name-" * 12)
    runs.ask("A question that is long enough to need several lines on a small screen, as real ones are")
    page = pages.open("/collab/q", viewport={"width": width, "height": 844})
    approve = page.get_by_role("button", name="Approve command 1")
    approve.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = approve.bounding_box()
    assert box is not None
    assert box["height"] >= 32
    assert serious(page) == []
    page.get_by_role("button", name="Refuse command 1").click()
    page.get_by_role("button", name="Refuse it").click()
    state(page, "succeeded")
    page.get_by_role("button", name="Ask again").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto("/collab")
    page.get_by_role("link", name="A question that is long").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_asking_again_and_then_it_is_gone(pages: Any, host: Any, brain: Any, runs: Any) -> None:
    """The page follows a second round of the run; when its result is pruned, it says so and stands still."""
    runs.ask(QUESTION)
    page = pages.open("/collab/q")
    state(page, "succeeded")
    brain.says["analyst"] = lambda call: {**brain._analyst(call), "text": "This time I am sure."}
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_text("q: ").first).to_be_visible()
    expect(page.locator("[data-step='2-analyst']")).to_contain_text("This time I am sure.")
    state(page, "succeeded")
    assert (runs.folder() / "before" / "001" / "steps" / "2-analyst.json").exists()
    (host.ws.results / "q").rename(host.folder / "pruned")
    expect(page.get_by_role("region", name="Commands")).to_contain_text("no task q in")
    expect(page.locator("[data-step='2-analyst']")).to_contain_text("This time I am sure.")


def test_an_id_that_nobody_knows(pages: Any) -> None:
    """It says so, and leads back."""
    page = pages.open("/collab/no-such-run")
    expect(page.get_by_role("heading", name="There is no such run")).to_be_visible()
    expect(page.get_by_role("link", name="All runs")).to_be_visible()
