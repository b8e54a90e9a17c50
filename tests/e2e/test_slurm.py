"""The same folder in front of a real Slurm: a controller and two nodes of Debian's packages."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurm_cluster import Cluster

    from .conftest import Host

SUBMITTED = 60.0


@pytest.fixture
def slurm(host: Host, cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with nothing in it, to which the workspace's tasks go."""
    host.env["SLURM_CONF"] = str(cluster.conf)
    host.configure(launcher="slurm")
    yield cluster
    for node in cluster.nodes:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    for agent in host.agents:
        agent.stop()
    cluster.run("scancel", "--me")
    host.wait(lambda: not cluster.run("squeue", "-h"), "no job is left", 60)


def counted(host: Host, *programs: str) -> None:
    """Let calls of Slurm's commands be counted, in `calls`."""
    for name in programs:
        path = f'echo {name} >>"{host.folder}/calls"; exec /usr/bin/{name} "$@"'
        host.program(name, f"#!/bin/sh\n{path}\n")


def calls(host: Host, name: str) -> int:
    path = host.folder / "calls"
    return path.read_text().splitlines().count(name) if path.exists() else 0


def jobs(cluster: Cluster) -> list[list[str]]:
    """Every job that waits or runs: number, state, node, name."""
    lines = cluster.run("squeue", "-h", "-r", "-o", "%i|%T|%N|%j").splitlines()
    return [line.split("|") for line in lines]


def attached(host: Host, task_id: str) -> str:
    """Return how to join a running task, once its status says so."""
    host.wait(lambda: (host.status(task_id) or {}).get("attach"), "how to join it")
    return str((host.status(task_id) or {})["attach"])


def close(cluster: Cluster) -> None:
    for node in cluster.nodes:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")


def test_a_task_runs_on_a_node(host: Host, slurm: Cluster) -> None:
    """The result is what it is everywhere; while it runs, its status says how to join it there."""
    host.start()
    host.drop("t", "gate", "open")
    host.wait_for_run("t")
    host.wait_for_state("t", "running")
    # another test's job may still be COMPLETING
    (number,) = (number for number, state, _node, _name in jobs(slurm) if state == "RUNNING")
    assert attached(host, "t").startswith(f"srun --jobid={number} --overlap --pty tmux ")
    host.open_gate("open")
    result = host.result("t")
    assert result["state"] == "succeeded"
    assert result["output"]["text"].strip() == "let through"
    assert host.ledger() == ["t 001"]


def test_each_task_tool_and_group_has_its_launcher(host: Host, slurm: Cluster) -> None:
    host.configure(launcher="tmux", launcher_by_tool={"actor": "slurm"}, launcher_by_group={"here": "screen"})
    host.start(slots=8)
    where = {"plain": {}, "grouped": {"group": "here"}, "own": {"group": "here", "launcher": "slurm"}}
    for task_id, more in where.items():
        host.drop(task_id, "gate", "open", **more)
    host.shell("other", f"until [ -e {host.folder}/open ]; do sleep 0.05; done")
    for task_id in [*where, "other"]:
        host.wait_for_state(task_id, "running")
    joins = {task_id: attached(host, task_id) for task_id in [*where, "other"]}
    host.open_gate("open")
    assert {task_id: words.split()[0] for task_id, words in joins.items()} == {
        "plain": "srun",
        "grouped": "env",
        "own": "srun",
        "other": "tmux",
    }
    assert set(host.results(*where, "other").values()) == {"succeeded"}
    host.wait(lambda: not jobs(slurm), "their jobs are over")


@pytest.mark.usefixtures("slurm")
def test_a_burst_is_one_submission_and_takes_no_slot(host: Host) -> None:
    """Forty tasks at once on an agent with one slot: a few arrays, and state for all in one call."""
    counted(host, "sbatch", "squeue")
    names = [f"t{number}" for number in range(40)]
    for name in names:
        host.drop(name, "gate", "open")
    host.start(slots=1)
    host.wait(lambda: len(set(host.ledger())) == len(names), "all run at once", SUBMITTED)
    assert calls(host, "sbatch") <= 5
    before = calls(host, "squeue")
    host.open_gate("open")
    assert set(host.results(*names, limit_s=60).values()) == {"succeeded"}
    assert calls(host, "squeue") - before < len(names)
    assert sorted(host.ledger()) == sorted(f"{name} 001" for name in names)


def test_what_the_cluster_may_take_is_bounded(host: Host, slurm: Cluster) -> None:
    host.configure(slurm={"max_jobs": 3})
    close(slurm)
    for number in range(6):
        host.drop(f"t{number}")
    host.start()
    host.wait(lambda: len(jobs(slurm)) == 3, "three jobs wait")
    said = list(host.ws.tasks.glob("*.json"))
    assert len(said) == 3
    assert "the cluster (max_jobs) are busy" in host.why(said[0].stem, "slots")
    slurm.run("scontrol", "update", "NodeName=n1", "State=RESUME")
    assert set(host.results(*(f"t{n}" for n in range(6)), limit_s=60).values()) == {"succeeded"}


def test_one_that_waits_says_why_and_is_cancelled_there(host: Host, slurm: Cluster) -> None:
    close(slurm)
    host.start()
    host.drop("t")
    host.wait(lambda: len(jobs(slurm)) == 1, "its job waits")
    host.wait(lambda: "Slurm's queue (" in (host.status("t") or {}).get("reason", ""), "why it waits")
    assert (host.status("t") or {})["state"] == "queued"
    host.cancel("t")
    assert host.result("t")["state"] == "cancelled"
    host.wait(lambda: not jobs(slurm), "its job is cancelled")
    assert host.ledger() == []


def test_one_that_runs_is_cancelled(host: Host, slurm: Cluster) -> None:
    host.start()
    host.drop("t", "hang")
    host.wait_for_run("t")
    host.cancel("t")
    assert host.result("t")["state"] == "cancelled"
    host.wait(lambda: not jobs(slurm), "its job is over")


def test_a_job_that_the_controller_forgot_is_submitted_again(host: Host, slurm: Cluster) -> None:
    """A controller that is killed right after sbatch returned knows nothing of the job (it saves later)."""
    close(slurm)
    host.start()
    host.drop("t")
    host.wait(lambda: len(jobs(slurm)) == 1, "its job waits")
    (name,) = {job[3] for job in jobs(slurm)}
    slurm.stop_controller(signal.SIGKILL)
    for saved in (slurm.folder / "state").glob("job_state*"):
        saved.unlink()
    slurm.start_controller()
    close(slurm)
    host.wait(lambda: {job[3] for job in jobs(slurm)} not in (set(), {name}), "another job waits", SUBMITTED)
    for node in slurm.nodes:
        slurm.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    assert host.result("t", SUBMITTED)["state"] == "succeeded"
    assert host.ledger() == ["t 001"]


def test_of_two_jobs_of_an_attempt_one_runs(host: Host, slurm: Cluster) -> None:
    """Should a forgotten job turn up after all, the wrapper's own rule lets only one in."""
    host.start()
    host.drop("t", "gate", "open")
    host.wait_for_run("t")
    (batch,) = [path for path in (host.ws.root / ".aispool.slurm").iterdir() if not path.name.startswith(".")]
    slurm.run("sbatch", "--output=/dev/null", str(batch / "script"))
    host.wait(lambda: len(jobs(slurm)) == 1, "the other one is over", SUBMITTED)
    host.open_gate("open")
    assert host.result("t")["state"] == "succeeded"
    assert host.ledger() == ["t 001"]


def test_work_goes_on_without_the_controller(host: Host, slurm: Cluster) -> None:
    """What runs ends and is told; what is dropped meanwhile runs when the controller is back."""
    host.start()
    host.drop("before", "gate", "open")
    host.wait_for_run("before")
    slurm.stop_controller(signal.SIGKILL)
    host.open_gate("open")
    assert host.result("before", 60)["state"] == "succeeded"
    host.drop("meanwhile")
    host.wait(
        lambda: "does not answer" in host.agent_log() or (host.status("meanwhile") or {}).get("state"),
        "it is noticed",
        SUBMITTED,
    )
    slurm.start_controller()
    assert host.result("meanwhile", 90)["state"] == "succeeded"
    assert sorted(host.ledger()) == ["before 001", "meanwhile 001"]


def test_an_agent_that_is_killed_finds_its_jobs_again(host: Host, slurm: Cluster) -> None:
    first = host.start()
    close(slurm)
    host.drop("waiting")
    host.wait(lambda: len(jobs(slurm)) == 1, "its job waits")
    first.kill()
    host.start()
    host.wait(lambda: "Slurm's queue" in (host.status("waiting") or {}).get("reason", ""), "it is adopted")
    assert len(jobs(slurm)) == 1
    slurm.run("scontrol", "update", "NodeName=n1", "State=RESUME")
    assert host.result("waiting", SUBMITTED)["state"] == "succeeded"
    assert host.ledger() == ["waiting 001"]


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_requeued_job_is_told_truthfully(host: Host, slurm: Cluster, idempotent: bool) -> None:  # noqa: FBT001
    """What ran was interrupted: lost, and run again as a new attempt only when the task allows it."""
    host.start()
    host.drop("t", "gate", "open", idempotent=idempotent, retry_policy={"max_retries": 2, "on": ["lost"]})
    host.wait_for_run("t")
    slurm.run("scontrol", "requeue", jobs(slurm)[0][0])
    if idempotent:
        host.wait_for_run("t", 2)
        host.open_gate("open")
        assert host.result("t", SUBMITTED)["state"] == "succeeded"
        assert host.ledger() == ["t 001", "t 002"]
        return
    result = host.result("t", SUBMITTED)
    assert result["state"] == "lost"
    assert "Slurm" in result["reason"]
    assert host.ledger() == ["t 001"]


def test_a_preempted_job_is_lost_by_name(host: Host, slurm: Cluster) -> None:
    """A partition that goes first takes the only node; the reason names what Slurm did."""
    slurm.run("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
    host.start()
    host.drop("t", "hang", resources={"cpus": 32})
    host.wait_for_run("t")
    slurm.run("sbatch", "-p", "urgent", "-c", "32", "--output=/dev/null", "--wrap=sleep 1")
    result = host.result("t", SUBMITTED)
    assert result["state"] == "lost"
    assert "Slurm" in result["reason"]


@pytest.mark.timeout(300)
def test_slurms_own_time_limit_is_told(host: Host, slurm: Cluster) -> None:
    """Ours ends a task first; where an administrator shortens Slurm's, the result says who did it."""
    host.start()
    host.drop("t", "hang")
    host.wait_for_run("t")
    (job,) = jobs(slurm)
    limit = slurm.run("squeue", "-h", "-j", job[0], "-o", "%l").strip()
    assert limit.startswith("1:0")  # an hour and what is spared for our own end
    slurm.run("scontrol", "update", f"JobId={job[0]}", "TimeLimit=1")
    result = host.result("t", 240)
    assert result["state"] == "lost"
    assert "Slurm ended it while it ran" in result["reason"]
    assert "TimeLimit" in result["reason"]


def test_a_killed_job_is_lost(host: Host, slurm: Cluster) -> None:
    host.start()
    host.drop("t", "hang")
    host.wait_for_run("t")
    slurm.run("scancel", "--signal=KILL", "--full", jobs(slurm)[0][0])
    result = host.result("t", 90)
    assert result["state"] == "lost"
    assert "Slurm" in result["reason"]


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_node_that_dies(host: Host, slurm: Cluster, idempotent: bool) -> None:  # noqa: FBT001
    """Slurm starts its job again elsewhere, where the attempt refuses: it is lost, and tried by our rules."""
    host.start()
    host.drop("t", "gate", "open", idempotent=idempotent, retry_policy={"max_retries": 1, "on": ["lost"]})
    host.wait_for_run("t")
    (job,) = jobs(slurm)
    slurm.stop_node(job[2], signal.SIGKILL)
    for pid, line in host.processes().items():
        if "agent" not in line.split()[1:4] and "-m agent" not in line:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    slurm.run("scontrol", "update", f"NodeName={job[2]}", "State=DOWN", "Reason=test")
    if idempotent:
        host.wait_for_run("t", 2)
        host.open_gate("open")
    result = host.result("t", 90)
    slurm.start_node(job[2])
    assert result["state"] == ("succeeded" if idempotent else "lost")
    assert result["attempts"][0]["state"] == "lost"
    assert host.ledger() == (["t 001", "t 002"] if idempotent else ["t 001"])


def test_our_time_limit_holds(host: Host, slurm: Cluster) -> None:
    host.start()
    host.drop("t", "hang", timeout=1)
    assert host.result("t", SUBMITTED)["state"] == "timed_out"
    host.wait(lambda: not jobs(slurm), "its job is over")


@pytest.mark.usefixtures("slurm")
def test_more_memory_than_asked_for_ends_the_job(host: Host) -> None:
    """On a node whose tmux does not start; below one, this Slurm counts nothing (see its job.py)."""
    host.program("tmux", "#!/bin/sh\nexit 1\n")
    host.start()
    hog = 'import time; x = b"x" * (300 << 20); time.sleep(60)'
    host.shell("t", f"exec {sys.executable} -c '{hog}'", resources={"memory_mb": 100})
    result = host.result("t", 90)
    assert result["state"] == "lost"
    assert "Slurm" in result["reason"]


@pytest.mark.parametrize(
    ("resources", "part"),
    [
        ({"partition": "nowhere"}, "no partition 'nowhere'"),
        ({"cpus": 1000}, "cpus is 1000, and the largest node"),
        ({"memory_mb": 10**7}, "memory_mb is 10000000"),
        ({"gpus": 1}, "gpus is 1"),
        ({"constraint": "fast&slow"}, "feature 'slow'"),
        ({"constraint": "fast&&"}, "Slurm refuses to take a job"),
    ],
)
def test_what_no_node_has_is_refused(
    host: Host, slurm: Cluster, resources: dict[str, Any], part: str
) -> None:
    host.start()
    host.drop("t", resources=resources)
    result = host.result("t")
    assert result["state"] == "failed"
    assert part in result["reason"]
    assert not jobs(slurm)


def test_what_is_asked_for_reaches_slurm(host: Host, slurm: Cluster) -> None:
    host.configure(slurm={"partition": "urgent", "memory_mb": 64})
    host.start()
    host.drop("t", "gate", "open", resources={"cpus": 3, "constraint": "fast"}, timeout=120)
    host.wait_for_run("t")
    (job,) = jobs(slurm)
    said = slurm.run("squeue", "-h", "-j", job[0], "-o", "%P|%C|%m|%f|%l").strip()
    assert said == "urgent|3|64M|fast|5:00"
    host.open_gate("open")
    assert host.result("t")["state"] == "succeeded"


def test_dependencies_are_handed_over_and_judged_here(host: Host, slurm: Cluster) -> None:
    """A chain is in Slurm's queue at once; each begins when the one before has succeeded."""
    host.start()
    host.drop("a", "gate", "open")
    host.wait_for_run("a")
    host.drop("b", dependencies=["a"])
    host.drop("c", dependencies=["b"])
    host.wait(lambda: len(jobs(slurm)) == 3, "all three are with Slurm")
    host.wait(lambda: "(Dependency)" in (host.status("c") or {}).get("reason", ""), "Slurm holds c back")
    host.open_gate("open")
    assert set(host.results("a", "b", "c", limit_s=60).values()) == {"succeeded"}
    assert host.ledger() == ["a 001", "b 001", "c 001"]


def test_what_slurm_takes_for_success_is_not_enough(host: Host, slurm: Cluster) -> None:
    """Slurm sees that a job is over; whether the task succeeded is judged by what its tool said."""
    host.start()
    host.shell("a", f"until [ -e {host.folder}/open ]; do sleep 0.05; done; exit 3")
    host.wait_for_state("a", "running")
    host.drop("b", dependencies=["a"])
    host.drop("c", dependencies=["b"])
    host.wait(lambda: len(jobs(slurm)) == 3, "all three are with Slurm")
    host.open_gate("open")
    assert host.results("a", "b", "c", limit_s=60) == {
        "a": "failed",
        "b": "dependency_failed",
        "c": "dependency_failed",
    }
    assert "dependency a did not succeed: failed" in host.result("b")["reason"]
    assert host.ledger() == []


def test_one_that_follows_waits_for_the_retry(host: Host, slurm: Cluster) -> None:
    """The first attempt's job is over without a verdict: the next one's counts."""
    host.start()
    policy = {"max_retries": 1, "backoff": "fixed", "initial_delay_s": 3}
    host.drop("a", "fail", "1", retry_policy=policy)
    host.drop("b", dependencies=["a"])
    assert host.results("a", "b", limit_s=90) == {"a": "succeeded", "b": "succeeded"}
    assert host.ledger() == ["a 001", "a 002", "b 001"]
    assert not [job for job in jobs(slurm) if job[1] == "PENDING"]
