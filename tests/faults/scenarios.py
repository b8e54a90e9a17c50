"""The workloads into which faults are injected; together they pass through every phase of a task.

A scenario is told once: what is dropped, which commands run, in which states its tasks may end. Each tool
appends to the ledger first of all, so that a run which was cut off still counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.checker import Expected, read_ledger
from faults.world import LEDGER_LINE, World

if TYPE_CHECKING:
    from collections.abc import Callable

LOST = ("succeeded", "lost")
"""What a task may come to when its wrapper may have been killed."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One workload.

    Args:
        play: runs it; faults may end any of its processes.
        template: makes what was there before, without faults.
        recoverer: the agent that recovers; another name takes over.
    """

    name: str
    play: Callable[[World], None]
    template: Callable[[World], None] | None = None
    recoverer: str = "A"


def agent(world: World, name: str = "A") -> None:
    """Run an agent until nothing is left to do, or until a fault ends it."""
    world.run("agent", "agent", "--name", name, "--slots", "2", "--drain", patience_s=world.patience_s)


def script(rest: str = "echo done", **fields: object) -> dict[str, object]:
    """Return a shell task that first writes its line into the ledger."""
    return {"tool": "shell", "command": LEDGER_LINE + rest, **fields}


def submit(world: World, task_id: str, rest: str = "echo done", *options: str, **expected: object) -> None:
    """Submit by the command line: certain only when it said so."""
    mark = f"mark-{task_id}-"
    command = f"{LEDGER_LINE}: {mark}; {rest}"
    expectation = Expected(mark, task_id, certain=False, **expected)  # type: ignore[arg-type]
    world.history.tasks.append(expectation)
    ran = world.run("submit", "submit", "-t", "shell", "-c", command, "--id", task_id, *options)
    expectation.certain = ran.code == 0 and task_id in ran.output.split()


# ------------------------------------------------------------------------------------------------- scenarios


def plain(world: World) -> None:
    """Submit with a file and an output, claim, launch, run, settle."""
    attached = world.base / "input.txt"
    attached.write_text("input")
    options = ("--attach", str(attached), "-p", "output=results/plain.txt")
    submit(
        world,
        "plain",
        'cat "$AISPOOL_FILES/input.txt"; echo x > "$AISPOOL_ARTIFACTS/a"',
        *options,
        states=LOST,
    )
    agent(world)


def idempotent(world: World) -> None:
    """A task that may run again after it was lost; without an id."""
    world.drop("idem", script(idempotent=True, timeout=20), states=("succeeded",), idempotent=True)
    agent(world)


def refused(world: World) -> None:
    """Everything that ends in rejected/: unknown tool, wrong field, torn JSON, a repeated id."""
    bad = {"tool": "no-such-tool", "command": "x"}
    world.drop("unknown", bad, refused=True)
    world.drop("field", script(timeout="soon"), refused=True)
    torn = b'{"tool": "shell", "command": "mark-torn-x-'
    (world.root / "tasks" / "torn.json").write_bytes(torn)
    os.sync()
    world.history.tasks.append(Expected("mark-torn-x-", refused=True, content=torn))
    files = world.root / "tasks" / "withfiles.files"
    files.mkdir()
    (files / "a").write_text("a")
    os.sync()
    world.drop("withfiles", {"tool": "shell"}, refused=True)
    agent(world)


def duplicate(world: World) -> None:
    """The same id twice, once with other bytes."""
    submit(world, "twice", states=LOST)
    agent(world)
    world.recover()  # two of one id that wait together are both new: whoever is looked at first is the first
    if world.history.tasks[0].certain:
        world.drop("again", script("echo again", task_id="twice"), refused=True)
    agent(world)


def retried(world: World) -> None:
    """Fails twice, then succeeds: three attempts by its own policy."""
    policy = {"max_retries": 2, "backoff": "none", "initial_delay_s": 0}
    rest = 'n=$(wc -l < "$LEDGER"); [ "$n" -ge 3 ]'
    world.drop(
        "retried",
        script(rest, task_id="retried", retry_policy=policy),
        states=("succeeded", "lost", "failed"),
        retries=2,
    )
    agent(world)


def cancelled(world: World) -> None:
    """Cancelled while it runs, by the command line; what it was told must come true."""
    world.drop("long", script("sleep 3", task_id="long"), states=("cancelled", "lost"))
    pid, output = world.start("agent", "agent", "--name", "A", "--slots", "2", "--drain")
    world.until(lambda: read_ledger(world.ledger) or _gone(pid), 8.0)
    told = world.run("cancel", "cancel", "long")
    if told.code != 0:
        world.history.tasks[0].states = ("cancelled", "lost", "succeeded")
    world.wait(pid, output, world.patience_s)


def _gone(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def cancelled_waiting(world: World) -> None:
    """Cancelled before any agent came: the command line claims and ends it itself."""
    world.drop("waiting", script(task_id="waiting"), states=("cancelled", "succeeded"), ledger=True)
    world.run("cancel", "cancel", "waiting")
    agent(world)


def held(world: World) -> None:
    """Held, released, edited by the command line."""
    submit(world, "held", states=LOST)
    world.run("hold", "hold", "held")
    world.run("release", "release", "held")
    world.run("release-again", "release", "held")
    agent(world)


def timed_out(world: World) -> None:
    """Ended by its wrapper at its time limit, ignoring TERM."""
    rest = "trap '' TERM; while :; do sleep 0.2; done"
    world.drop("slow", script(rest, task_id="slow", timeout=0.3), states=("timed_out", "lost"))
    agent(world)


def dependent(world: World) -> None:
    """A task that takes a file of another's result."""
    world.drop("first", script('echo x > "$AISPOOL_ARTIFACTS/a"', task_id="first"), states=LOST)
    world.drop(
        "second",
        script('cat "$AISPOOL_FILES/first/artifacts/a"', task_id="second", inputs=["first:artifacts/a"]),
        states=("succeeded", "lost", "dependency_failed"),
    )
    agent(world)


def expired(world: World) -> None:
    """Ends without ever being started."""
    fields = script(task_id="old", expires_at="2020-01-01T00:00:00Z")
    world.drop("old", fields, states=("expired",), ledger=False)
    fields = script(task_id="needy", dependencies=["old"])
    world.drop("needy", fields, states=("dependency_failed",), ledger=False)
    agent(world)


def three_results(world: World) -> None:
    """Make three results, without faults."""
    for name in ("one", "two", "three"):
        world.drop(name, script(task_id=name))
    agent(world)


def rerun(world: World) -> None:
    """A person asks for another run of a result."""
    world.run("retry", "retry", "one")
    (world.root / "results" / "one" / "retry").touch()
    agent(world)


def pruned(world: World) -> None:
    """Retention takes two of three results, leaving tombstones; then a repeated id is still refused."""
    with (world.root / "configs" / "agent.toml").open("a") as options:
        options.write("keep_count = 1\n")
    os.sync()
    for task in world.history.tasks:
        task.pruned = True
    world.run("clean", "clean")
    agent(world)


def taken_over(world: World) -> None:
    """Two tasks of a killed agent, which an agent of another name takes over."""
    world.drop("left", script(task_id="left"), states=LOST)
    world.drop("right", script(task_id="right", idempotent=True), idempotent=True)
    agent(world)


def hooked(world: World) -> None:
    """With hooks: notices go through the outbox."""
    hook = world.root / "configs" / "hooks" / "on-finish"
    hook.write_text(f'#!/bin/sh\ncat > /dev/null\necho told >> "{world.base}/told"\n')
    hook.chmod(0o700)
    world.drop("told", script(task_id="told"), states=LOST)
    agent(world)


LYING_TMUX = """\
#!/bin/sh
/usr/bin/tmux "$@"
code=$?
case " $* " in
*" new-session "*) echo x >> "$LEDGER.starts"; [ "$(wc -l < "$LEDGER.starts")" -eq 2 ] && exit 1 ;;
esac
exit $code
"""


def launch_lies(world: World) -> None:
    """The second start of a session is said to have failed, and has not; the attempt is still judged."""
    program = world.base / "bin" / "tmux"
    program.parent.mkdir()
    program.write_text(LYING_TMUX)
    program.chmod(0o700)
    policy = {"max_retries": 1, "backoff": "none", "initial_delay_s": 0}
    fields = script("exit 1", task_id="lied", retry_policy=policy)
    world.drop("lied", fields, states=("failed", "lost"), retries=1)
    agent(world)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain", plain),
        Scenario("idempotent", idempotent),
        Scenario("refused", refused),
        Scenario("duplicate", duplicate),
        Scenario("retried", retried),
        Scenario("cancelled", cancelled),
        Scenario("cancelled-waiting", cancelled_waiting),
        Scenario("held", held),
        Scenario("timed-out", timed_out),
        Scenario("dependent", dependent),
        Scenario("expired", expired),
        Scenario("rerun", rerun, three_results),
        Scenario("pruned", pruned, three_results),
        Scenario("taken-over", taken_over, recoverer="B"),
        Scenario("hooked", hooked),
        Scenario("launch-lies", launch_lies),
    )
}
