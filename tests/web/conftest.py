from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from web.browser import Site, Troubles, chromium, logged_in, site_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; Playwright keeps an event loop running meanwhile, which no other test may meet."""
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A workspace, an agent and a server, shared by the tests of one file."""
    with site_of() as one:
        yield one


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A logged-in page, which must not fail in the browser, nor ask anything of another machine."""
    context = logged_in(browser, site)
    page = context.new_page()
    troubles = Troubles(page, site)
    yield page
    context.close()
    troubles.check()
