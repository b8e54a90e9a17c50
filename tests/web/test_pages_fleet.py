"""The page of hosts, and a task on another host: over real ssh, with a real collector and a real tmux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from fleet_agents import Agents, drop
from fleet_network import COLLECTOR, wait_for
from playwright.sync_api import expect
from web.browser import PHONE, TESTS, Site, Troubles, is_too_wide, load, logged_in, serious_findings, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet_network import Network
    from playwright.sync_api import Browser

network = load("aispool_fleet_for_web", TESTS / "fleet" / "conftest.py").network


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    """A server on the collector's workspace; a collector that works in the background."""
    site = Site(SimpleNamespace(folder=network.folder, ws=network.workspace, env=dict(os.environ)))
    site.start()
    yield site
    site.stop()


@contextmanager
def collecting(network: Network) -> Iterator[None]:
    """Run a collector as people do, as a process of its own."""
    options = 'name = "collector"\n[collector]\ninterval_s = 0.3\nslowest_retry_s = 2.0\nreserve_bytes = 0\n'
    (network.workspace.configs / "agent.toml").write_text(options.replace("collector", COLLECTOR, 1))
    words = [sys.executable, "-m", "agent", "-w", str(network.workspace.root), "collector"]
    with (network.folder / "collector.out").open("ab") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, cwd=TESTS.parent)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_another_hosts_task_is_watched_and_typed_to(
    network: Network, agents: Agents, site: Site, browser: Browser
) -> None:
    """The terminal of a task on another host runs its attach command through ssh."""
    agents.start(network.host("gpu-box"))
    drop(
        network,
        "gpu-box",
        "there",
        command='while read -r line; do echo "heard: $line"; done',
        interactive=True,
    )
    with collecting(network):
        status = network.mirror("gpu-box").workspace.sessions / "there" / "status.json"
        wait_for(lambda: status.exists() and json.loads(status.read_text())["attach"], "it runs there", 60)
        context = logged_in(browser, site)
        page = context.new_page()
        troubles = Troubles(page, site)
        page.goto("/tasks")
        row = page.locator('tr[data-task="there"]')
        expect(row).to_contain_text("gpu-box")
        row.get_by_role("link").click()
        page.get_by_role("tab", name="Terminal").click()
        screen = page.locator(".xterm-rows")
        expect(screen).to_contain_text("task-ther")
        page.get_by_role("button", name="Unlock").click()
        expect(page.get_by_text("what you type goes to the task")).to_be_visible()
        expect(screen).to_contain_text("task-ther")
        page.keyboard.type("over ssh\n")
        expect(screen).to_contain_text("heard: over ssh")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel it").click()
        expect(page.locator("h1 + .chip")).to_have_text("cancelled", timeout=60_000)
        context.close()
        troubles.check()


def test_hosts_are_shown_as_they_are(
    network: Network, agents: Agents, site: Site, browser: Browser, tmp_path: Path
) -> None:
    """A host that is there and one that is not; slots, disk, version, and what waits where."""
    agents.start(network.host("busy"), slots=3)
    network.host("away", serving=False)
    drop(network, "busy", "long", command="sleep 300")
    with collecting(network):
        state = network.mirror("busy").workspace.sessions / "long" / "status.json"
        wait_for(state.exists, "it runs there", 60)
        context = logged_in(browser, site)
        page = context.new_page()
        troubles = Troubles(page, site)
        page.goto("/fleet")
        busy = page.locator(".panel", has=page.get_by_role("link", name="busy", exact=True))
        away = page.locator(".panel", has=page.get_by_role("link", name="away", exact=True))
        expect(busy.get_by_text("reachable", exact=True)).to_be_visible(timeout=60_000)
        expect(busy).to_contain_text("1 of 3", timeout=60_000)
        expect(busy.get_by_text("1 running")).to_be_visible()
        expect(busy).to_contain_text("Disk free")
        expect(away.get_by_text("not reachable").first).to_be_visible(timeout=60_000)
        assert serious_findings(page) == []
        take(page, "fleet", tmp_path)
        page.set_viewport_size(PHONE)
        assert not is_too_wide(page)
        busy.get_by_text("1 running").click()
        expect(page.locator('tr[data-task="long"]')).to_be_visible()
        (network.hosts["busy"].workspace.sessions / "long" / "cancel").touch()
        context.close()
        troubles.check()
