"""What is wrong with one task ends that task, and keeps no other from running."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Host


def test_an_input_that_cannot_be_copied_fails_its_task_alone(host: Host) -> None:
    """A FIFO among another's artifacts is no input; the next task starts at once."""
    host.shell("maker", 'mkfifo "$AISPOOL_ARTIFACTS/pipe"')
    host.shell("taker", "true", inputs=["maker:artifacts/pipe"])
    host.start()
    result = host.result("taker")
    assert result["state"] == "failed"
    assert "pipe" in result["reason"]
    host.shell("other", "true")
    assert host.result("other")["state"] == "succeeded"


def test_an_input_with_an_endless_name_is_refused(host: Host) -> None:
    """A name that no file can have is found when the task is accepted."""
    host.shell("base", "true")
    host.shell("taker", "true", inputs=["base:" + "a" * 300])
    host.start()
    assert "longer than a path can be" in host.refusal("taker.json")["what"]
    assert host.result("base")["state"] == "succeeded"


def test_read_only_files_travel(host: Host) -> None:
    """A folder without write permission, as `cp -a` leaves it, comes along all the same."""
    files = host.ws.tasks / "reader.files"
    files.mkdir()
    (files / "text").write_text("read me")
    files.chmod(0o555)
    host.shell("reader", 'cat "$AISPOOL_FILES/text"')
    host.start()
    assert host.result("reader")["output"]["text"] == "read me"


def test_an_answer_is_made_anew_when_a_task_runs_again(host: Host) -> None:
    """The earlier answer is kept with the attempt that gave it."""
    host.shell("report", "echo run $(ls ..| wc -l); date +%N", parameters={"output": "results/report.txt"})
    host.start()
    assert host.result("report")["output"]["file"] == "report.txt"
    first = (host.ws.results / "report.txt").read_text()
    os.close(os.open(host.ws.results / "report" / "retry", os.O_CREAT))
    second = host.ws.results / "report" / "attempts" / "002" / "exit"
    host.wait(second.exists, "it ran again")
    assert host.result("report")["state"] == "succeeded"
    assert (host.ws.results / "report.txt").read_text() != first
    assert (host.ws.results / "report" / "attempts" / "001" / "answer").read_text() == first
