"""The server dies and comes back: the page says so, then goes on by itself; no task notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect
from web.browser import logged_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from web.browser import Site


def test_a_page_comes_back_with_its_server(site: Site, page: Page) -> None:
    """Killed and started again on its port: the banner comes and goes, the login stands, changes are seen."""
    site.host.drop("through-it", "gate", "go-on")
    site.host.wait_for_state("through-it", "running")
    page.goto("/tasks?text=through")
    chip = page.locator('tr[data-task="through-it"] .chip')
    expect(chip).to_have_text("running")
    banner = page.get_by_role("alert").filter(has_text="Connection lost")
    expect(banner).to_be_hidden()
    site.kill()
    expect(banner).to_be_visible()
    site.host.open_gate("go-on")
    assert site.host.result("through-it")["state"] == "succeeded"
    site.start()
    expect(chip).to_have_text("succeeded", timeout=30_000)
    expect(banner).to_be_hidden()
    assert page.url.endswith("/tasks?text=through")


def test_what_was_asked_for_before_the_death_is_done(site: Site, page: Page) -> None:
    """An action is a file before it is acknowledged: killed right after, the server has forgotten nothing."""
    site.host.drop("cancelled-first", "hang")
    site.host.wait_for_state("cancelled-first", "running")
    page.goto("/task/cancelled-first")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_text("cancelled-first: ").first).to_be_visible()
    site.kill()
    assert site.host.result("cancelled-first")["state"] == "cancelled"
    site.start()
    expect(page.locator("h1 + .chip")).to_have_text("cancelled", timeout=30_000)


def test_a_session_that_ends_shows_nothing_more(site: Site, page: Page) -> None:
    """Logged out in one tab, the other one leaves for the login page, and lets go of its terminal."""
    site.host.drop("watched", "gate", "watched-on")
    site.host.wait_for_state("watched", "running")
    page.goto("/task/watched")
    page.get_by_role("tab", name="Terminal").click()
    expect(page.locator(".xterm-rows")).to_contain_text("task-watc")
    other = page.context.new_page()
    other.goto("/tasks")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url("**/login**")
    site.state = None
    page.wait_for_url("**/login**")

    def attached() -> list[str]:
        return [line for line in site.host.processes().values() if "attach-session" in line]

    site.host.wait(lambda: not attached(), "nobody is attached any more", 30)
    site.host.open_gate("watched-on")


def test_an_address_that_is_none(site: Site, browser: Browser) -> None:
    """It says so, escaped, and shows the way back."""
    context = logged_in(browser, site)
    page = context.new_page()
    response = page.goto("/<b>nowhere</b>")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_text("There is no page")).to_contain_text("nowhere")
    assert page.locator("b").count() == 0
    page.get_by_role("link", name="All tasks").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    context.close()


def test_a_token_that_may_not_look(site: Site, browser: Browser) -> None:
    """It is told which scope it lacks, and can be changed for another."""
    context = logged_in(browser, site, storage_state={"cookies": [], "origins": []})
    page = context.new_page()
    page.goto("/tasks")
    page.get_by_label("Token").fill(site.token("submit"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("no scope 'read'")
    page.get_by_role("button", name="Log in with another token").click()
    page.get_by_label("Token").fill(site.token("read"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    context.close()
