"""The audit log on its page: searched, and its chain verified, intact and tampered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from agent import audit

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

expect.set_options(timeout=60_000)


@pytest.fixture
def log(host: Any) -> Path:
    """A log of some entries about several tasks and people."""
    for number in range(60):
        audit.append(
            host.ws, "asked", who="alice" if number % 2 else "bob", task_id=f"t{number}", number=number
        )
    audit.append(
        host.ws, "approved", who="carol", task_id="t7", command="<b>echo</b> \N{RIGHT-TO-LEFT OVERRIDE}x"
    )
    path: Path = host.ws.logs / "audit.jsonl"
    return path


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify the chain").click()


def test_a_chain_that_holds(pages: Any, host: Any, log: Path, serious: Any) -> None:
    """Its length and last digest are shown; with an anchor from elsewhere it must hold, too."""
    page = pages.open("/audit")
    verify(page)
    holds = page.locator("[data-chain=holds]")
    last = audit.verify(host.ws).last
    assert last is not None
    expect(holds).to_contain_text(f"{last.n} entries")
    expect(holds.locator(".sha256")).to_have_text(last.sha256)
    page.get_by_label("Digest noted earlier").fill("0" * 64)
    verify(page)
    expect(page.locator("[data-chain=broken]")).to_contain_text("no entry has the anchor's digest")
    page.get_by_label("Digest noted earlier").fill(last.sha256)
    verify(page)
    expect(holds).to_be_visible()
    assert serious(page) == []
    del log


def test_a_tampered_chain_shows_where(pages: Any, log: Path, serious: Any) -> None:
    """An edited line is named, and shown between its neighbours."""
    page = pages.open("/audit")
    lines = log.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"t30"' in line)
    lines[at] = lines[at].replace('"bob"', '"mallory"')
    log.write_text("".join(lines))
    verify(page)
    broken = page.locator("[data-chain=broken]")
    expect(broken).to_contain_text(f"audit.jsonl:{at + 1}:")
    expect(broken).to_contain_text(f"The {at} entries before it hold")
    bad = page.locator(".audit-lines li.bad")
    expect(bad).to_have_attribute("value", str(at + 1))
    expect(bad).to_contain_text("mallory")
    expect(page.locator(".audit-lines li")).to_have_count(5)
    assert serious(page) == []


def test_a_line_that_is_gone_and_an_end_that_was_cut(pages: Any, log: Path) -> None:
    """A removed line breaks the chain where it was; a cut end is told by what had been acknowledged."""
    page = pages.open("/audit")
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    log.write_text("".join(lines[:20] + lines[21:]))
    verify(page)
    expect(page.locator("[data-chain=broken]")).to_contain_text("entries are missing before it")
    log.write_text("".join(lines[:-3]))
    verify(page)
    expect(page.locator("[data-chain=broken]")).to_contain_text("had been acknowledged, and are gone")
    log.write_text(whole)
    verify(page)
    expect(page.locator("[data-chain=holds]")).to_be_visible()


def test_searching(pages: Any, log: Path, serious: Any) -> None:
    """By text, event, person, task and time, a page at a time, the latest first; hostile text is text."""
    page = pages.open("/audit")
    rows = page.locator("tr[data-n]")
    expect(rows.first).to_contain_text("login")
    expect(rows).to_have_count(50)
    expect(rows.nth(1)).to_contain_text(r"<b>echo</b> \u202ex")
    assert page.locator("table.audit b").count() == 0
    page.get_by_role("button", name="Older").click()
    expect(rows.last).to_contain_text("1")
    page.get_by_role("button", name="Newer").click()
    expect(rows.first).to_contain_text("login")
    page.get_by_role("textbox", name="Task").fill("t7")
    expect(rows).to_have_count(2)
    page.get_by_label("Event").click()
    page.get_by_role("option", name="approved").click()
    expect(rows).to_have_count(1)
    rows.first.locator("summary").click()
    expect(rows.first).to_contain_text("its digest")
    page.get_by_role("textbox", name="Task").fill("")
    page.get_by_label("Event").click()
    page.get_by_role("option", name="all").click()
    page.get_by_label("Search").fill('"number": 59')
    expect(rows).to_have_count(1)
    page.get_by_label("Since").fill("tomorrow")
    expect(page.get_by_text("is not a time")).to_be_visible()
    assert serious(page) == []
    del log


def test_it_is_live_and_fits_a_phone(pages: Any, host: Any, log: Path, serious: Any) -> None:
    """What is logged meanwhile appears by itself."""
    page = pages.open("/audit", viewport={"width": 390, "height": 844})
    rows = page.locator("tr[data-n]")
    expect(rows.first).to_contain_text("login")
    audit.append(host.ws, "paused", who="dora")
    expect(rows.first).to_contain_text("dora")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []
    del log
