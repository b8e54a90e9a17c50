"""The page of tasks in a real browser, over a real server and a real agent."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
import web_bench
from playwright.sync_api import expect
from web.browser import PHONE, Troubles, is_too_wide, logged_in, serious_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from web.browser import Site

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\u202etxt.exe"


@pytest.fixture(scope="module", autouse=True)
def tasks(site: Site) -> None:
    """Some tasks in several states."""
    host = site.host
    for number in range(3):
        host.drop(f"done-{number}", "finish", "well", labels=["nightly"] if number else ["docs"])
    host.drop("broken", "fail", "9", "7")
    host.drop("asking", "ask")
    host.drop("hanging", "hang")
    host.results("done-0", "done-1", "done-2", "broken")
    host.wait_for_state("asking", "waiting_input")
    host.wait_for_state("hanging", "running")


def row(page: Page, task_id: str) -> Any:
    return page.locator(f'tr[data-task="{task_id}"]')


def drop_files(page: Page, files: dict[str, str]) -> None:
    """Drop files on the page as a person does: a real DataTransfer, over the page's own body."""
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(files))
                transfer.items.add(new File([text], name, {type: "application/json"}));
            return transfer;
        }""",
        files,
    )
    for event in ("dragenter", "dragover"):
        page.dispatch_event("body", event, {"dataTransfer": transfer})
    expect(page.get_by_text("Drop to submit")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_states_are_counted_and_filtered(page: Page) -> None:
    """A filter shows its tasks alone, and stands in the address, so that it can be sent to somebody."""
    page.goto("/tasks")
    expect(row(page, "asking").get_by_text("waiting input")).to_be_visible()
    page.get_by_role("button", name="Failed 1").click()
    expect(row(page, "broken")).to_be_visible()
    expect(row(page, "done-0")).to_have_count(0)
    page.wait_for_url("**/tasks?state=failed")
    page.reload()
    expect(row(page, "broken")).to_be_visible()
    expect(row(page, "done-0")).to_have_count(0)


def test_words_are_searched_for(page: Page) -> None:
    page.goto("/tasks")
    page.get_by_label("Search").fill("done-1")
    expect(row(page, "broken")).to_have_count(0)
    expect(row(page, "done-1")).to_be_visible()
    page.get_by_label("Search").fill("nothing is like this")
    expect(page.get_by_text("No task is like that.")).to_be_visible()


def test_a_label_is_chosen(page: Page) -> None:
    page.goto("/tasks")
    page.get_by_label("Label").click()
    page.get_by_role("option", name="docs").click()
    expect(row(page, "done-1")).to_have_count(0)
    expect(row(page, "done-0")).to_be_visible()


def test_columns_sort(page: Page) -> None:
    page.goto("/tasks")
    page.get_by_role("button", name="Task", exact=True).click()
    expect(page.locator("a.task").first).to_have_text("asking")
    expect(page.get_by_role("columnheader", name="Task", exact=True)).to_have_attribute(
        "aria-sort", "ascending"
    )
    page.get_by_role("button", name="Task", exact=True).click()
    expect(page.locator("a.task").first).not_to_have_text("asking")


def test_a_change_on_disk_is_seen_without_a_reload(site: Site, page: Page) -> None:
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    site.host.shell("brand-new", "echo new")
    expect(row(page, "brand-new").locator(".chip")).to_have_text("succeeded")


def test_without_an_agent_the_page_says_who_would_start_it(site: Site, page: Page) -> None:
    """For as long as something waits and nobody is there."""
    notice = page.get_by_text("no agent works here now")
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    agent = site.host.agents[-1]
    agent.kill()
    expect(notice).to_be_hidden()
    site.host.shell("nobody-there", "echo at last")
    expect(notice).to_be_visible(timeout=30_000)
    site.host.start(slots=4)
    expect(row(page, "nobody-there").locator(".chip")).to_have_text("succeeded", timeout=30_000)
    expect(notice).to_be_hidden(timeout=30_000)


def test_a_dropped_file_is_shown_then_submitted(site: Site, page: Page) -> None:
    """Dropping shows what would run; submitting drops it into the folder."""
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    drop_files(
        page, {"dropped.json": json.dumps({"task_id": "dropped", "tool": "shell", "command": "echo hi"})}
    )
    expect(page.get_by_label("The task as JSON")).to_have_value(
        '{"task_id": "dropped", "tool": "shell", "command": "echo hi"}'
    )
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/task/dropped")
    assert site.host.result("dropped")["state"] == "succeeded"


def test_several_dropped_files_are_submitted_together(site: Site, page: Page) -> None:
    """One that is refused says why and stays; the others are submitted."""
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    good = {
        f"many-{n}.json": json.dumps({"task_id": f"many-{n}", "tool": "shell", "command": "true"})
        for n in range(2)
    }
    drop_files(page, {**good, "bad.json": '{"tool": "no-such-tool", "command": "x"}'})
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("bad.json: ")).to_contain_text("no-such-tool")
    assert site.host.results("many-0", "many-1") == {"many-0": "succeeded", "many-1": "succeeded"}


def test_a_task_is_submitted_by_form(site: Site, page: Page) -> None:
    page.goto("/tasks")
    page.get_by_role("button", name="New task").click()
    page.get_by_label("Command").fill("echo $1 and $2")
    page.get_by_label("Arguments").fill("one two")
    page.get_by_role("button", name="More").click()
    page.get_by_label("Task id").fill("by-form")
    page.get_by_label("Labels", exact=False).last.fill("a, b")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/task/by-form")
    result = site.host.result("by-form")
    assert result["output"]["text"].strip() == "one and two"
    assert result["labels"] == ["a", "b"]


def test_pasted_text_that_is_no_task_says_where(page: Page) -> None:
    page.goto("/tasks")
    page.get_by_role("button", name="New task").click()
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The task as JSON").fill('{"tool": "shell",\n "command": }')
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".notice.bad")).to_contain_text("line 2")


def test_rows_are_cancelled_and_run_again(site: Site, page: Page) -> None:
    """Actions of a row: cancel asks first."""
    page.goto("/tasks")
    row(page, "hanging").get_by_role("button", name="Actions for hanging").click()
    page.get_by_role("listitem").get_by_text("Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(row(page, "hanging").locator(".chip")).to_have_text("cancelled")
    assert site.host.result("hanging")["state"] == "cancelled"
    page.get_by_role("checkbox", name="Choose done-0").check()
    page.get_by_role("checkbox", name="Choose done-1").check()
    expect(page.get_by_text("2 chosen:")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    site.host.wait_for_run("done-0", 2)
    site.host.wait_for_run("done-1", 2)


def test_a_task_is_held_edited_and_released(site: Site, page: Page) -> None:
    site.host.shell("later", "echo before", not_before="2099-01-01T00:00:00Z")
    page.goto("/tasks")
    row(page, "later").get_by_role("button", name="Actions for later").click()
    page.get_by_role("listitem").get_by_text("Hold").click()
    expect(row(page, "later").locator(".chip")).to_have_text("held")
    assert (site.host.ws.held / "later.json").exists()
    row(page, "later").get_by_role("link").click()
    page.get_by_role("button", name="Edit").click()
    editor = page.get_by_label("The task as JSON")
    expect(editor).to_have_value(re.compile("echo before"))
    editor.fill(json.dumps({"task_id": "later", "tool": "shell", "command": "echo after"}))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.get_by_role("button", name="Release").click()
    assert site.host.result("later")["output"]["text"].strip() == "after"


def test_keys_alone_are_enough(page: Page) -> None:
    """`/` searches, j and k move, x chooses, Enter opens, g and a letter goes to a page."""
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("done-")
    expect(row(page, "broken")).to_have_count(0)
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    first = page.locator("a.task").first
    expect(first).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 chosen:")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/done-*")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/tasks")
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("dialog").get_by_text("search", exact=True)).to_be_visible()


def test_the_first_key_skips_to_the_page(page: Page) -> None:
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the page")).to_be_focused()


def test_names_from_elsewhere_are_text(site: Site, page: Page) -> None:
    """Labels and commands may be anything: they are shown, and steer nothing."""
    site.host.shell("hostile-fields", f"true # {HOSTILE}", labels=[HOSTILE])
    site.host.result("hostile-fields")
    page.goto("/tasks?text=hostile-fields")
    expect(row(page, "hostile-fields").get_by_title("</script>").first).to_contain_text("\\u202e")
    assert page.locator("img[src=x]").count() == 0
    assert page.title() != "owned"


def test_a_browser_gets_one_part_at_a_time(site: Site, page: Page) -> None:
    """A hundred and twenty tasks are three pages; the table never holds more than one of them."""
    chance = random.Random(7)  # noqa: S311 - sample data
    for number in range(120):
        result = web_bench.result_of(number, chance).model_copy(update={"labels": ("bulk",)})
        web_bench.publish(site.host.ws, result)
    page.goto("/tasks?label=bulk")
    expect(page.get_by_text("1 to 50 of 120")).to_be_visible()
    expect(page.locator("a.task")).to_have_count(50)
    first = page.locator("a.task").first.inner_text()
    page.get_by_role("button", name="Next page").click()
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("101 to 120 of 120")).to_be_visible()
    expect(page.locator("a.task")).to_have_count(20)
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    page.get_by_role("button", name="Page before").click()
    page.get_by_role("button", name="Page before").click()
    expect(page.locator("a.task").first).to_have_text(first)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    assert serious_findings(page) == []
    page.get_by_role("button", name="New task").click()
    expect(page.get_by_role("button", name="Submit")).to_be_visible()
    page.wait_for_function(
        "!document.querySelector('.q-transition--fade-enter-active, .q-transition--scale-enter-active')"
    )
    assert serious_findings(page) == []


def test_the_page_says_its_language_and_fits_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto("/tasks")
    expect(row(page, "asking")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en-US"
    assert not is_too_wide(page)
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Fleet")).to_be_in_viewport()


def test_the_theme_is_kept(page: Page) -> None:
    page.goto("/tasks")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))


@pytest.fixture
def reader(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of somebody who may only read."""
    token = site.token("read")
    context = logged_in(browser, site, storage_state={"cookies": [], "origins": []})
    page = context.new_page()
    page.goto("/tasks")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    troubles = Troubles(page, site)
    yield page
    context.close()
    troubles.check()


def test_who_may_only_read_gets_no_button(reader: Page) -> None:
    expect(row(reader, "asking")).to_be_visible()
    assert reader.get_by_role("button", name="New task").count() == 0
    assert reader.locator("tbody").get_by_role("checkbox").count() == 0
    reader.goto("/task/asking")
    expect(reader.get_by_text("may I go on?").first).to_be_visible()
    assert reader.get_by_role("button", name="Cancel").count() == 0
    assert reader.get_by_label("Your answer").count() == 0
