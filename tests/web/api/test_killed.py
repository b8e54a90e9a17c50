"""The folder is the only state: a server that dies in the middle of submissions loses and repeats nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from web.browser import Site, site_of

from agent.client import Client, UnreachableError
from agent.web.context import SCOPES
from spool.view import finished, in_session, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.client.models import Submitted

pytestmark = pytest.mark.timeout(300)
WRITERS = 3
EACH = 8
KILLS = 3


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as one:
        yield one


def test_killed_in_the_middle_of_submissions(site: Site) -> None:
    """Some clients drop tasks while the server is killed again and again: each task runs exactly once."""
    token = site.token(*SCOPES)
    dropped: dict[str, Submitted] = {}
    problems: list[Exception] = []
    progress = threading.Semaphore(0)

    def write(writer: int) -> None:
        with Client(site.url, token, retries=40, timeout_s=10) as client:
            for number in range(EACH):
                task = {"tool": "shell", "command": f"echo {writer}-{number} >> {site.host.folder}/ran"}
                try:
                    dropped[f"{writer}-{number}"] = client.submit(task)
                except UnreachableError as error:
                    problems.append(error)
                progress.release()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        for _ in range(WRITERS * EACH // (KILLS + 2)):
            assert progress.acquire(timeout=60)
        site.kill()
        site.start()
    for writer in writers:
        writer.join()
    assert problems == []
    assert len({each.task_id for each in dropped.values()}) == WRITERS * EACH
    for each in dropped.values():
        assert site.host.result(each.task_id, limit_s=60)["state"] == "succeeded"
    workspace = site.host.ws
    everywhere = (*waiting(workspace), *in_session(workspace), *finished(workspace, None))
    assert sorted(view.task_id for view in everywhere) == sorted(each.task_id for each in dropped.values())
    ran = (site.host.folder / "ran").read_text().split()
    assert sorted(ran) == sorted(dropped)


def test_a_log_goes_on_where_it_broke(site: Site) -> None:
    """A stream is taken up at its last event by a server that was started anew."""
    token = site.token("read", "submit")
    script = f"echo before; until [ -e {site.host.folder}/gate ]; do sleep 0.1; done; echo behind"
    with Client(site.url, token, retries=40) as client:
        task_id = client.submit({"tool": "shell", "command": script}).task_id
        text = ""
        for part in client.log(task_id):
            text += part.text
            if "before" in text and "behind" not in text and not (site.host.folder / "gate").exists():
                site.kill()
                site.start()
                (site.host.folder / "gate").touch()
    assert text == (site.host.ws.logs / f"shell-{task_id}.log").read_text()
    assert [line for line in text.splitlines() if line in {"before", "behind"}] == ["before", "behind"]
