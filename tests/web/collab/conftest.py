"""Runs of the project's scripted models, on the real server and agent, in a real browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from web.browser import TESTS, Troubles, load, logged_in, serious_findings, site_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from web.browser import Site

LIMIT_MS = 60_000
"""Until a run is over on a busy machine; what is awaited mostly comes at once."""

_stages: Any = load("aispool_web_collab_stage", TESTS / "e2e" / "collab" / "conftest.py")
runs, fault = _stages.runs, _stages.fault


def _with_models(host: Any, server: Any) -> None:
    (host.ws.configs / "roles.toml").write_text(
        f'[providers.qwen]\nbase_url = "{server.base_url("openai")}"\n'
        f'[providers.gemini]\nbase_url = "{server.base_url("gemini")}"\n'
        "[limits]\nevidence_wait_s = 60.0\ncall_budget_s = 30.0\n"
    )
    env = host.ws.configs / "env" / "collab.env"
    env.write_text("QWEN_API_KEY=k-qwen\nGEMINI_API_KEY=k-gemini\n")
    env.chmod(0o600)


@pytest.fixture
def brain() -> Any:
    """What the scripted models say."""
    return _stages.brains.Brain()


@pytest.fixture
def site(brain: Any) -> Iterator[Site]:
    """A workspace with an agent and a server; it knows the scripted models as qwen and gemini."""
    with (
        _stages.servers.ScriptedServer(brain) as server,
        site_of(prepare=lambda host: _with_models(host, server)) as one,
    ):
        yield one
        assert "Traceback" not in one.error_log.read_text(), one.error_log.read_text()


@pytest.fixture
def host(site: Site) -> Any:
    """The workspace, and what people do to it: see tests/e2e."""
    return site.host


@dataclass
class Pages:
    """Opens pages, each in a browser window of its own; none of them may meet an error."""

    browser: Browser
    site: Site
    opened: list[Page] = field(default_factory=list)
    troubles: list[Troubles] = field(default_factory=list)

    def open(self, path: str, **options: Any) -> Page:
        """Open a page as the person who started the server."""
        return self._page(path, logged_in(self.browser, self.site, **options))

    def as_token(self, path: str, *scopes: str) -> Page:
        """Open a page, logged in by a token that has these scopes and no other."""
        page = self._page("/login", self.browser.new_context(base_url=self.site.url))
        page.locator("input[name=token]").fill(self.site.token(*scopes))
        page.get_by_role("button").click()
        page.wait_for_url(lambda url: "/login" not in url)
        page.goto(path)
        return page

    def _page(self, path: str, context: Any) -> Page:
        context.set_default_timeout(LIMIT_MS)
        page: Page = context.new_page()
        self.troubles.append(Troubles(page, self.site))
        self.opened.append(page)
        page.goto(path)
        return page


@pytest.fixture
def pages(browser: Browser, site: Site) -> Iterator[Pages]:
    """Opens pages of the site."""
    one = Pages(browser, site)
    yield one
    for page in one.opened:
        page.context.close()
    for trouble in one.troubles:
        trouble.check()


@pytest.fixture
def serious() -> Any:
    """A function that returns what the accessibility checker finds serious on a page."""
    return serious_findings
