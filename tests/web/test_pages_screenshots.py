"""The pictures of the README: made from the real pages, and kept with AISPOOL_SCREENSHOTS=1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from web.browser import PHONE, Troubles, logged_in, site_of, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from web.browser import Site

REPORT = """# Why the nightly build is slow

1. **`make -j1`** uses one of sixteen cores.
2. The cache in `~/.ccache` is cold: `ccache -s` shows 4 % hits.

| step | before | after |
| --- | --- | --- |
| compile | 41 min | 4 min |
| test | 12 min | 12 min |
"""
BUILD = r"""printf '\033[1mConfiguring\033[0m project\n'
for i in $(seq 12); do
    printf '[%3d%%] \033[32mBuilding\033[0m src/module_%02d.c\n' $((i * 8)) $i
done
printf '\033[33mwarning:\033[0m unused variable `count` in src/module_07.c:41\n'
printf '[100%%] \033[1;32mLinking\033[0m bin/project\n'
sleep 300"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A workspace as one looks on a working day."""

    def prepare(host: Any) -> None:
        host.program("analyst", f"#!/bin/sh\ncat <<'END'\n{REPORT}\nEND\n")
        tool = f'[tools.analyst]\npath = "{host.folder}/bin/analyst"\nargv = ["$executable", "$command"]\n'
        host.tools(tool)

    with site_of(prepare=prepare) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def tasks(site: Site) -> None:
    host = site.host
    host.drop("analyse-build-times", tool="analyst", command="report", labels=["review"])
    for day in ("mon", "tue", "wed"):
        host.shell(f"backup-{day}", "echo 41 files saved", labels=["nightly"])
    host.drop("migrate-database", "fail", "9", "3", labels=["release"])
    host.drop("upgrade-packages", "ask", labels=["nightly"])
    host.shell("build-project", BUILD, labels=["ci"], timeout=3600)
    host.drop("publish-docs", "finish", dependencies=["build-project"], labels=["ci"])
    host.results("analyse-build-times", "backup-mon", "backup-tue", "backup-wed", "migrate-database")
    host.wait_for_state("upgrade-packages", "waiting_input")
    host.wait_for_state("build-project", "running")


@pytest.fixture(params=["light", "dark", "phone"])
def look(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[tuple[str, Page]]:
    name = str(request.param)
    options = {"viewport": PHONE} if name == "phone" else {}
    scheme = "dark" if name == "dark" else "light"
    context = logged_in(browser, site, color_scheme=scheme, reduced_motion="reduce", **options)
    page = context.new_page()
    troubles = Troubles(page, site)
    yield name, page
    context.close()
    troubles.check()


def test_tasks(look: tuple[str, Page], tmp_path: Path) -> None:
    name, page = look
    page.goto("/tasks")
    expect(page.locator('tr[data-task="build-project"] .chip')).to_have_text("running")
    take(page, f"tasks-{name}", tmp_path)


def test_task(look: tuple[str, Page], tmp_path: Path) -> None:
    name, page = look
    page.goto("/task/build-project")
    expect(page.get_by_role("log")).to_contain_text("Linking")
    take(page, f"task-{name}", tmp_path)


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_terminal(look: tuple[str, Page], tmp_path: Path) -> None:
    _, page = look
    page.goto("/task/build-project")
    page.get_by_role("tab", name="Terminal").click()
    expect(page.locator(".xterm-rows")).to_contain_text("Linking")
    take(page, "terminal", tmp_path)


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_question(look: tuple[str, Page], tmp_path: Path) -> None:
    _, page = look
    page.goto("/task/upgrade-packages")
    expect(page.get_by_role("region", name="Question")).to_be_visible()
    take(page, "question", tmp_path)


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_result(look: tuple[str, Page], tmp_path: Path) -> None:
    _, page = look
    page.goto("/task/analyse-build-times")
    page.get_by_role("tab", name="Result").click()
    expect(page.get_by_role("heading", name="Why the nightly build is slow")).to_be_visible()
    take(page, "result", tmp_path)


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_submit(look: tuple[str, Page], tmp_path: Path) -> None:
    _, page = look
    page.goto("/tasks")
    page.get_by_role("button", name="New task").click()
    page.get_by_label("Command").fill('make -C "$1" test')
    page.get_by_label("Arguments").fill("~/project")
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".q-dialog .notice").first).to_be_visible()
    take(page, "submit", tmp_path)
