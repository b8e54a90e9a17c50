"""The page of one task in a real browser: its log, terminal, answer, result, files, and hostile output."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from web.browser import PHONE, is_too_wide, logged_in, serious_findings, site_of

from agent.audit import entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from web.browser import Site

ECHO = 'while read -r line; do echo "heard: $line"; done'
HOSTILE = r"""printf '<script>document.title="owned"</script>\n'
printf '<img src=x onerror=document.title=1>\n'
printf '\033]0;title\007\033]52;c;cm0gLXJm\007\033[2J\033[31mred\033[0m \033[38;5;208morange\033[0m\n'
printf '\377\376 not UTF-8 \342\200\256evil\n'
head -c 300000 /dev/zero | tr '\0' w; echo
printf '{{7*7}} ${7*7} `7` </textarea> &lt;b&gt;\n'
echo the end"""


PROSE = "# Findings\n\n`code` and [a link](javascript:alert(1)) <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site with a tool besides that answers in Markdown."""

    def prepare(host: Any) -> None:
        host.program("md", f"#!/bin/sh\ncat <<'END'\n{PROSE}\nEND\n")
        host.tools(f'[tools.md]\npath = "{host.folder}/bin/md"\nargv = ["$executable", "$command"]\n')

    with site_of(prepare=prepare) as one:
        yield one


def test_the_log_grows_before_ones_eyes(site: Site, page: Page) -> None:
    site.host.drop("growing", "gate", "go-on")
    site.host.wait_for_state("growing", "running")
    page.goto("/task/growing")
    expect(page.get_by_role("log")).to_contain_text("attempt 1")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    site.host.open_gate("go-on")
    expect(page.get_by_role("log")).to_contain_text("let through")
    expect(page.locator("h1 + .chip")).to_have_text("succeeded")
    expect(page.get_by_text("this is all of it")).to_be_visible()


def test_a_question_is_answered(site: Site, page: Page) -> None:
    """What is typed is the answer that the tool reads, and it is noted who gave it."""
    site.host.drop("asking", "ask")
    site.host.wait_for_state("asking", "waiting_input")
    page.goto("/task/asking")
    expect(page.get_by_role("region", name="Question").get_by_text("may I go on?")).to_be_visible()
    page.get_by_label("Your answer").fill("yes, <b>do</b>")
    page.keyboard.press("Enter")
    result = site.host.result("asking")
    assert "yes, <b>do</b>" in result["output"]["text"]
    expect(page.get_by_label("Your answer")).to_be_hidden()
    page.get_by_role("tab", name="Result").click()
    expect(page.get_by_role("tabpanel", name="Result").get_by_text("yes, <b>do</b>")).to_be_visible()
    assert [e.who for e in entries(site.host.ws) if e.event == "answer" and e.task_id == "asking"] == [
        "tester"
    ]


def test_hostile_output_is_text(site: Site, page: Page) -> None:
    """Tags are shown, escapes but colours vanish, a very long line is cut, bytes that are no text marked."""
    site.host.shell("hostile", HOSTILE)
    site.host.result("hostile")
    page.goto("/task/hostile")
    log = page.get_by_role("log")
    expect(log).to_contain_text("the end")
    expect(log).to_contain_text('<script>document.title="owned"</script>')
    expect(log).to_contain_text("296,000 more characters on this line")
    expect(log).to_contain_text("{{7*7}} ${7*7} `7` </textarea> &lt;b&gt;")
    expect(log).to_contain_text("\ufffd\ufffd not UTF-8 evil")
    expect(log.get_by_text("red", exact=True)).to_have_css("color", "rgb(255, 123, 114)")
    expect(log.get_by_text("orange", exact=True)).to_have_css("color", "rgb(255, 135, 0)")
    text = log.inner_text()
    assert "\x1b" not in text
    assert "title\x07" not in text
    assert len(max(text.splitlines(), key=len)) < 5000
    page.get_by_role("tab", name="Result").click()
    expect(page.get_by_role("tabpanel", name="Result")).to_contain_text("the end")
    assert page.locator("img[src=x]").count() == 0
    assert "owned" not in page.title()
    assert page.title() != "1"


def test_an_answer_in_markdown_is_rendered_without_what_acts(site: Site, page: Page) -> None:
    """Headings and code are drawn; HTML stays text, links lead nowhere."""
    site.host.drop("prose", tool="md", command="x")
    site.host.result("prose")
    page.goto("/task/prose")
    page.get_by_role("tab", name="Result").click()
    panel = page.get_by_role("tabpanel", name="Result")
    expect(panel.get_by_role("heading", name="Findings")).to_be_visible()
    expect(panel.locator("code")).to_have_text("code")
    expect(panel).to_contain_text("<img src=x onerror=alert(1)>")
    assert panel.locator("a, img").count() == 0


def test_files_are_downloaded(site: Site, page: Page) -> None:
    site.host.shell("with-files", 'echo "to fetch" > "${AISPOOL_ATTEMPT%/attempts/*}/made file.txt"')
    site.host.result("with-files")
    page.goto("/task/with-files")
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="made file.txt").click()
    assert downloading.value.suggested_filename == "made file.txt"
    assert downloading.value.path().read_text() == "to fetch\n"


def test_attempts_stand_in_a_timeline(site: Site, page: Page) -> None:
    policy = {"max_retries": 2, "backoff": "none", "initial_delay_s": 0.1}
    site.host.drop("retried", "fail", "1", "3", retry_policy=policy)
    site.host.result("retried")
    page.goto("/task/retried")
    timeline = page.get_by_role("region", name="Attempts").get_by_role("listitem")
    expect(timeline).to_have_count(3)
    expect(timeline.nth(1)).to_contain_text("failed")
    expect(timeline.nth(1)).to_contain_text("exit code 3")
    expect(timeline.nth(2)).to_contain_text("succeeded")


def test_the_terminal_shows_and_types_only_when_unlocked(site: Site, page: Page) -> None:
    """Looking on, no key arrives; unlocked, what is typed reaches the program, and the audit log says who."""
    site.host.shell("typing", ECHO, interactive=True)
    site.host.wait_for_state("typing", "running")
    page.goto("/task/typing")
    page.get_by_role("tab", name="Terminal").click()
    screen = page.locator(".xterm-rows")
    expect(screen).to_contain_text("task-typing"[:9])  # tmux's own line
    expect(page.get_by_text("keys typed here go nowhere")).to_be_visible()
    page.locator(".xterm").click()
    page.keyboard.type("locked\n")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("what you type goes to the task")).to_be_visible()
    expect(screen).to_contain_text("task-typing"[:9])
    page.keyboard.type("open sesame\n")
    expect(screen).to_contain_text("heard: open sesame")
    expect(screen).not_to_contain_text("locked")
    assert [e.who for e in entries(site.host.ws) if e.event == "terminal"] == ["tester"]
    page.get_by_role("button", name="Lock").click()
    expect(page.get_by_text("keys typed here go nowhere")).to_be_visible()
    page.locator(".xterm").click()
    page.keyboard.type("again\n")
    page.get_by_role("tab", name="Log").click()
    expect(page.get_by_role("log")).to_contain_text("heard: open sesame")
    expect(page.get_by_role("log")).not_to_contain_text("again")
    site.host.cancel("typing")
    assert site.host.result("typing")["state"] == "cancelled"


@pytest.mark.parametrize("scopes", [("read",), ("read", "operate"), ("read", "submit")], ids="+".join)
def test_who_may_not_run_commands_cannot_unlock(
    site: Site, browser: Browser, scopes: tuple[str, ...]
) -> None:
    """Who types to tmux has a shell: that takes the scope that starts commands, too."""
    name = "-".join(("watched", *scopes))
    site.host.drop(name, "gate", f"{name}-on")
    site.host.wait_for_state(name, "running")
    context = logged_in(browser, site, storage_state={"cookies": [], "origins": []})
    page = context.new_page()
    page.goto(f"/task/{name}")
    page.get_by_label("Token").fill(site.token(*scopes))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("tab", name="Terminal").click()
    expect(page.locator(".xterm-rows")).to_contain_text("task-watc")
    expect(page.get_by_text("to type takes a token with the scopes operate and submit")).to_be_visible()
    expect(page.get_by_role("button", name="Unlock")).to_have_count(0)
    site.host.open_gate(f"{name}-on")
    context.close()


def test_leaving_the_page_leaves_the_session(site: Site, page: Page) -> None:
    """The attach command ends with its page; the task goes on."""
    site.host.drop("left", "gate", "left-on")
    site.host.wait_for_state("left", "running")
    page.goto("/task/left")
    page.get_by_role("tab", name="Terminal").click()
    expect(page.locator(".xterm-rows")).to_contain_text("task-left")

    def attached() -> list[str]:
        return [line for line in site.host.processes().values() if "attach-session" in line]

    assert attached()
    page.goto("/tasks")
    site.host.wait(lambda: not attached(), "nobody is attached any more")
    site.host.open_gate("left-on")
    assert site.host.result("left")["state"] == "succeeded"


def test_however_often_it_is_asked_for_there_is_one_terminal(site: Site, page: Page) -> None:
    """Clicks that come before the first is answered leave no attach command behind."""
    site.host.drop("pressed", "gate", "pressed-on")
    site.host.wait_for_state("pressed", "running")
    page.goto("/task/pressed")
    page.get_by_role("tab", name="Terminal").click()
    expect(page.locator(".xterm-rows")).to_contain_text("task-pres")
    page.get_by_role("button", name="Unlock").evaluate("it => { for (let n = 0; n < 8; n++) it.click() }")
    expect(page.get_by_text("what you type goes to the task")).to_be_visible()

    def attached() -> list[str]:
        return [line for line in site.host.processes().values() if "attach-session" in line]

    site.host.wait(
        lambda: len([e for e in entries(site.host.ws) if e.task_id == "pressed"]) >= 8, "all were heard"
    )
    site.host.wait(lambda: len([line for line in attached() if "setsid" not in line]) == 1, "one is left")
    page.goto("/tasks")
    site.host.wait(lambda: not attached(), "nobody is attached any more")
    site.host.open_gate("pressed-on")
    assert site.host.result("pressed")["state"] == "succeeded"


PRESS = """([page, element, listener]) => window.socket.emit(
    "event", {id: element, client_id: page, listener_id: listener, args: ["{}"]})"""
"""Presses a button as NiceGUI's own script does."""


def test_nobody_speaks_for_another_s_page(site: Site, browser: Browser, page: Page) -> None:
    """Who knows a page's ids cannot press its buttons from a session that may only look."""
    site.host.drop("another", "gate", "another-on", not_before="2099-01-01T00:00:00Z")
    page.goto("/task/another")
    hold = page.get_by_role("button", name="Hold")
    expect(hold).to_be_visible()
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: frames.append(str(frame))))
    page.reload()
    hold.click()
    expect(page.locator(".chip").first).to_have_text("held")
    sent = next(json.loads(each[each.index("[") :])[1] for each in reversed(frames) if '"event"' in each)
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".chip").first).not_to_have_text("held")
    before = [entry.event for entry in entries(site.host.ws) if entry.task_id == "another"]
    context = logged_in(browser, site, storage_state={"cookies": [], "origins": []})
    other = context.new_page()
    other.goto("/task/another")
    other.get_by_label("Token").fill(site.token("read"))
    other.get_by_role("button", name="Log in").click()
    expect(other.locator(".chip").first).to_be_visible()
    words = [sent["client_id"], sent["id"], sent["listener_id"]]
    other.evaluate(PRESS, words)
    other.get_by_role("tab", name="Files").click()  # what is sent later is done: so was what was sent before
    expect(other.get_by_role("tabpanel", name="Files")).to_be_visible()
    assert [entry.event for entry in entries(site.host.ws) if entry.task_id == "another"] == before
    page.evaluate(PRESS, words)
    expect(page.locator(".chip").first).to_have_text("held")
    context.close()


def test_a_task_that_is_not_there(site: Site, browser: Browser) -> None:
    context = logged_in(browser, site)
    page = context.new_page()
    response = page.goto("/task/no-such-task")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_text(re.compile("no task no-such-task"))).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(site: Site, page: Page, scheme: str) -> None:
    site.host.drop(f"seen-{scheme}", "ask")
    site.host.wait_for_state(f"seen-{scheme}", "waiting_input")
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/task/seen-{scheme}")
    for tab in ("Log", "Terminal", "Result", "Files", "Task"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert serious_findings(page) == []
    page.set_viewport_size(PHONE)
    assert not is_too_wide(page)
    site.host.cancel(f"seen-{scheme}")
