"""Telling people: hooks in configs/hooks/ and a webhook, from a folder of notices that survives us.

A notice is written before its event is final and removed after it was delivered, so a hook hears of every
event at least once. A hook that fails, hangs or is missing harms nothing: it is logged, a webhook that
does not answer is tried again for a while, and the next agent delivers what is left.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent import log
from spool.files import put_new, read_regular, remove
from spool.names import new_ulid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.host.site import Site

Event = Literal["on-start", "on-finish", "on-waiting"]
WEBHOOK_TRIES = 5
WEBHOOK_FIRST_DELAY_S = 1.0
HOOK_OUTPUT_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Notice:
    """One event to be told."""

    event: str
    path: Path


class Outbox:
    """The notices of one agent, delivered one after the other by a thread of its own."""

    def __init__(self, site: Site) -> None:
        self._folder = site.outbox
        self._hooks = site.workspace.configs / "hooks"
        self._config = site.config
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def reload(self, config: AgentConfig) -> None:
        """Use other options from now on."""
        self._config = config

    def add(self, event: Event, document: Callable[[], bytes]) -> None:
        """Write a notice down, when anybody wants to hear of such events."""
        if self._wanted(event):
            put_new(self._folder / f"{new_ulid()}.{event}", document())

    def deliver(self) -> None:
        """Begin to deliver what lies there, if anything does."""
        if not any(self._folder.iterdir()):
            return
        self._idle.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self, patience_s: float) -> None:
        """Stop; notices that were not delivered in time stay for the next agent."""
        self._idle.wait(patience_s)
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _wanted(self, event: str) -> bool:
        webhook = self._config.webhook_url is not None and event in self._config.webhook_events
        return webhook or os.path.lexists(self._hooks / event)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._deliver_all()
            except OSError:
                log.error("notices are not delivered", folder=self._folder)
            finally:
                if not self._wake.is_set():
                    self._idle.set()

    def _deliver_all(self) -> None:
        for name in sorted(n for n in os.listdir(self._folder) if not n.startswith(".")):
            if self._stopping.is_set():
                return
            notice = Notice(name.rpartition(".")[2], self._folder / name)
            self._run_hook(notice)
            self._post(notice.event, read_regular(notice.path))
            remove(notice.path)

    def _run_hook(self, notice: Notice) -> None:
        event, hook = notice.event, self._hooks / notice.event
        if not os.path.lexists(hook):
            return
        limit_s = self._config.hook_timeout_s
        try:
            exit_code, said = _run_hook_to_its_end(hook, notice.path, limit_s)
        except subprocess.TimeoutExpired:
            log.warning("hook took too long and was ended", hook=event, limit_s=limit_s)
        except OSError as error:
            log.warning("hook cannot be run: make it executable", hook=event, what=str(error))
        else:
            if exit_code != 0:
                log.warning("hook failed", hook=event, exit_code=exit_code, said=said)

    def _post(self, event: str, document: bytes) -> None:
        url = self._config.webhook_url
        if url is None or event not in self._config.webhook_events:
            return
        import httpx  # noqa: PLC0415 - half a second that most agents never need

        delay_s = WEBHOOK_FIRST_DELAY_S
        for number in range(1, WEBHOOK_TRIES + 1):
            try:
                answer = httpx.post(
                    url,
                    content=document,
                    headers={"content-type": "application/json", "x-aispool-event": event},
                    timeout=self._config.hook_timeout_s,
                )
                if not answer.is_server_error:
                    if answer.is_error:
                        log.warning("webhook refused", http_status=answer.status_code)
                    return
                said = f"HTTP {answer.status_code}"
            except httpx.HTTPError as error:
                said = type(error).__name__
            log.warning("webhook failed", what=said, try_number=number)
            if number == WEBHOOK_TRIES or self._stopping.wait(delay_s):
                return
            delay_s *= 2


def _run_hook_to_its_end(hook: Path, notice: Path, limit_s: float) -> tuple[int, str]:
    """Run a hook and return its exit code and the end of what it said.

    A child of it that keeps its output open holds nobody up; one that takes too long ends with its group.

    Raises:
        subprocess.TimeoutExpired: it was ended.
        OSError: it cannot be run.
    """
    end_s = time.monotonic() + limit_s
    said = b""
    with notice.open("rb") as given, selectors.DefaultSelector() as selector:
        process = subprocess.Popen(
            [str(hook)],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as output, os.fdopen(os.pidfd_open(process.pid), closefd=True) as gone:
            selector.register(output, selectors.EVENT_READ)
            selector.register(gone, selectors.EVENT_READ)
            while (left_s := end_s - time.monotonic()) > 0:
                ready = {key.fileobj for key, _ in selector.select(left_s)}
                if output in ready:
                    chunk = os.read(output.fileno(), 1 << 16)
                    said = (said + chunk)[-HOOK_OUTPUT_BYTES:]
                    if not chunk:
                        selector.unregister(output)
                if gone in ready:
                    return process.wait(), said.decode(errors="replace")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise subprocess.TimeoutExpired(str(hook), limit_s)
