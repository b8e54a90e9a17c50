"""A real server on a workspace with a real agent, and a browser that is logged in to it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from playwright.sync_api import Browser, BrowserContext, Page

TESTS = Path(__file__).parents[1]
AXE = TESTS.parent / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = TESTS / "web" / "screenshots"
MOST_PICTURE_BYTES = 250_000
CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LOGIN = re.compile(r"http://127\.0\.0\.1:(\d+)/login\?key=\S+")
NOISE = re.compile(
    r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED|EMPTY_RESPONSE|CONNECTION_RESET|FAILED)|WebSocket"
)
"""What a browser says about a server that is away: some tests kill it."""
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


def load(name: str, path: Path) -> ModuleType:
    """Import a test module that is no package's."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


e2e = load("aispool_e2e_for_web", TESTS / "e2e" / "conftest.py")


@dataclass
class Site:
    """A workspace with an agent, and the server that shows it.

    Args:
        host: the workspace, what people do to it and the agents on it: see tests/e2e.
    """

    host: Any
    port: int = 0
    link: str = ""
    process: subprocess.Popen[str] | None = None
    state: Any = None
    _said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def error_log(self) -> Path:
        return Path(self.host.folder) / "server.err"

    def start(self) -> None:
        """Start the server, on the port it had before, and wait until it says how to log in."""
        words = [sys.executable, "-m", "agent", "--workspace", str(self.host.ws.root)]
        with self.error_log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*words, "serve", "--port", str(self.port)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self.host.folder,
                env={
                    **self.host.env,
                    "USER": "tester",
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONPATH": str(TESTS.parent),
                },
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.append(line)
            if found := LOGIN.search(line):
                self.port, self.link = int(found[1]), found[0]
                return
        pytest.fail(f"the server ended: {''.join(self._said)}{self.error_log.read_text()}")

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self._forget()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
            self._forget()

    def _forget(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()

    def token(self, *scopes: str) -> str:
        """Make a token with these scopes."""
        words = [sys.executable, "-m", "agent", "--workspace", str(self.host.ws.root), "token", "create"]
        options = [word for scope in scopes for word in ("--scope", scope)]
        done = subprocess.run(
            [*words, f"t{time.monotonic_ns()}", *options, "--json"],
            capture_output=True,
            text=True,
            check=True,
            cwd=TESTS.parent,
        )
        return str(json.loads(done.stdout)["token"])


@contextlib.contextmanager
def site_of(*, slots: int = 4, prepare: Any = None) -> Iterator[Site]:
    """Make a workspace with the scripted tool of tests/e2e, an agent and a server; end all of it.

    Args:
        slots: of the agent.
        prepare: called with the host before agent and server start.
    """
    folder = Path(tempfile.mkdtemp(prefix="aw-", dir="/tmp")).resolve()
    for name in ("bin", "home"):
        (folder / name).mkdir()
    env = {
        "HOME": str(folder / "home"),
        "PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
    }
    host = e2e.Host(folder, create(folder / "ws"), env)
    script = e2e.ACTOR.replace("@LEDGER@", str(folder / "ledger")).replace("@FOLDER@", str(folder))
    host.program("actor", script.replace("@PYTHON@", sys.executable))
    host.configure(allowed_paths=[str(folder)])
    host.tools()
    site = Site(host)
    try:
        if prepare is not None:
            prepare(host)
        host.start(slots=slots)
        site.start()
        yield site
    finally:
        site.stop()
        host.close()
        shutil.rmtree(folder)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


def logged_in(browser: Browser, site: Site, **options: Any) -> BrowserContext:
    """Open a browser window that is logged in; the printed link is used once, its cookie from then on."""
    options = {"viewport": WIDE, "base_url": site.url, "storage_state": site.state, **options}
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    if site.state is None:
        page = context.new_page()
        page.goto(site.link)
        page.wait_for_url(f"{site.url}/**")
        site.state = context.storage_state()
        page.close()
    return context


class Troubles:
    """What a page said went wrong, and what it asked of other machines: both must stay empty."""

    def __init__(self, page: Page, site: Site) -> None:
        self._site = site
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self._heard(said.text))
        page.on("request", lambda request: self._asked(request.url, site.url))

    def _heard(self, text: str) -> None:
        if not NOISE.search(text):
            self.errors.append(text)

    def _asked(self, url: str, own: str) -> None:
        if not url.startswith((own, own.replace("http", "ws", 1), "data:", "blob:")):
            self.elsewhere.append(url)

    def check(self) -> None:
        assert not self.errors, f"{self.errors}\n{self._site.error_log.read_text()[-3000:]}"
        assert not self.elsewhere, f"asked of other machines: {self.elsewhere}"


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical on a page, one line each."""
    if not AXE.exists():
        pytest.fail(f"{AXE} is missing: scripts/test installs it")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{finding['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for finding in found
        if finding["impact"] in {"serious", "critical"}
        for node in finding["nodes"]
    ]


def is_too_wide(page: Page) -> bool:
    """Tell whether the page itself scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"))


def take(page: Page, name: str, folder: Path) -> None:
    """Take a picture; with AISPOOL_SCREENSHOTS=1 it is kept where the README finds it."""
    page.mouse.move(0, 0)
    page.wait_for_function("document.fonts.status === 'loaded'")
    kept = SCREENSHOTS if os.environ.get("AISPOOL_SCREENSHOTS") == "1" else folder
    kept.mkdir(exist_ok=True)
    path = kept / f"{name}.png"
    page.screenshot(path=path, animations="disabled")  # a dialog that opens is shown open
    assert path.stat().st_size < MOST_PICTURE_BYTES
