"""The chat: plain answers, and questions that a stated rule hands over to the pipeline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from agent import audit
from agent.collab.roles import load
from agent.collab.rules import hand_over

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLAIN = "what does the acronym DNS stand for?"
COMPLEX = "my disk is full, what can I delete?"
HOSTILE = "<script>document.title='owned'</script> **bold** [here](javascript:alert(1))"

expect.set_options(timeout=60_000)


def ask(page: Page, question: str) -> Any:
    """Ask with the keyboard, and return the bubble of the answer."""
    before = page.locator(".bubble.theirs").count()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    return page.locator(".bubble.theirs").nth(before)


def test_a_plain_question_is_answered_by_one(pages: Any, host: Any, brain: Any, serious: Any) -> None:
    """One model is asked, once; who answered, its cost and why it stayed are shown; no task is dropped."""
    page = pages.open("/chat")
    answer = ask(page, PLAIN)
    expect(answer).to_contain_text("A plain answer.")
    expect(answer).to_contain_text("11 + 7 tokens")
    answer.get_by_text("rules looked at it").click()
    expect(answer.locator(".rules li")).to_have_count(len(load(host.ws).rules))
    assert brain.counts() == {"ask": 1}
    assert list(host.ws.results.glob("[!.]*")) == []
    assert [e.details["type"] for e in audit.entries(host.ws) if e.event == "asked"] == ["chat"]
    assert serious(page) == []


def test_a_rule_hands_over_and_is_named(pages: Any, host: Any, serious: Any) -> None:
    """The rule that fired is shown with what it found; the run's standing and result appear by themselves."""
    rule = hand_over(COMPLEX, load(host.ws)).rule
    assert rule is not None
    page = pages.open("/chat")
    answer = ask(page, COMPLEX)
    expect(answer).to_contain_text(f"by the rule {rule}")
    answer.get_by_text("rules looked at it").click()
    expect(answer.locator(".rules .fired strong")).to_have_text(rule)
    expect(answer.locator("[data-run=succeeded]")).to_be_visible()
    expect(answer).to_contain_text("It is to be done.")
    expect(answer).to_contain_text("uncalibrated")
    assert serious(page) == []
    answer.get_by_role("link", name="The whole run").click()
    page.wait_for_url("**/collab/*")
    expect(page.get_by_text(f"handed over by the rule {rule}", exact=True)).to_be_visible()


def test_never_handed_over_when_the_person_says_so(pages: Any, host: Any, brain: Any) -> None:
    """The same question, plainly: one model answers, and there is no run."""
    page = pages.open("/chat")
    page.get_by_role("checkbox", name="Never hand over").click()
    expect(ask(page, COMPLEX)).to_contain_text("A plain answer.")
    assert brain.counts() == {"ask": 1}
    assert list(host.ws.sessions.glob("collab-*")) == []


def test_what_the_model_writes_is_text(pages: Any, brain: Any) -> None:
    """Neither HTML nor links of an answer, or of the question, do anything."""
    brain.says["ask"] = HOSTILE
    page = pages.open("/chat")
    answer = ask(page, f"what is {HOSTILE}?")
    expect(answer.locator(".prose")).to_contain_text("<script>document.title='owned'</script>")
    expect(answer.locator(".prose strong")).to_have_text("bold")
    expect(page.locator(".bubble.mine")).to_contain_text("<script>")
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.title() != "owned"


def test_nobody_answers(pages: Any, brain: Any, fault: Any) -> None:
    """It says that and why, and the next question can be asked."""
    brain.says["ask"] = fault(status=401, body=b'{"error": {"message": "no such key"}}')
    page = pages.open("/chat")
    expect(ask(page, PLAIN)).to_contain_text(re.compile(r"Nobody answered: .*no such key"))
    del brain.says["ask"]
    expect(ask(page, PLAIN)).to_contain_text("A plain answer.")


def test_a_reload_loses_nothing(pages: Any) -> None:
    """The tab has what was said in it, and follows the run again; who logs in there next has none of it."""
    page = pages.open("/chat")
    expect(ask(page, PLAIN)).to_contain_text("A plain answer.")
    expect(ask(page, COMPLEX)).to_contain_text("by the rule")
    page.reload()
    expect(page.locator(".bubble.mine")).to_have_text([PLAIN, COMPLEX])
    expect(page.locator(".bubble.theirs").first).to_contain_text("A plain answer.")
    expect(page.locator(".bubble.theirs [data-run=succeeded]")).to_be_visible()
    expect(ask(page, PLAIN)).to_contain_text("A plain answer.")
    assert page.locator(".bubble.mine").count() == 3
    assert re.search("chat.*DNS", page.evaluate("JSON.stringify(sessionStorage)"))
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert not re.search("chat|DNS", page.evaluate("JSON.stringify(sessionStorage)"))


def test_reading_alone_asks_nobody(pages: Any) -> None:
    """A token without the scope submit sees why there is no field."""
    page = pages.as_token("/chat", "read")
    expect(page.get_by_text("Asking takes a token with the scope submit.")).to_be_visible()
    assert page.get_by_label("Your question").count() == 0


def test_on_a_phone(pages: Any, serious: Any) -> None:
    """The field stays in reach, and nothing is too wide."""
    page = pages.open("/chat", viewport={"width": 390, "height": 844})
    expect(ask(page, PLAIN)).to_contain_text("A plain answer.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("button", name="Ask")).to_be_in_viewport()
    assert serious(page) == []
