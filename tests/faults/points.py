"""What counts as one fault point: process, phase, call site, fault. Seeds of one count once."""

from __future__ import annotations

from typing import NamedTuple

SITE_LINES = 3
"""A call site is the call and the innermost product lines: the shared writers alone tell nothing apart."""

PHASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("prune", ("prune_now", "clean_command", "finish_pruning", "_finish_interrupted")),
    ("retry", ("rerun", "reopen", "retry_command", "reclaim_result")),
    ("cancel", ("cancel_command", "_cancel_unstarted", "end_unstarted")),
    ("hold", ("hold_command", "release_command")),
    ("submit", ("submit_command",)),
    ("refuse", ("refuse", "reject")),
    ("launch", ("_begin", "prepare", "start", "start_all", "warm_up")),
    ("settle", ("_settle", "_finish", "settle", "result_of", "move_finished")),
    ("claim", ("take", "claim", "proceed", "take_over", "_take_all", "take_and_end")),
    ("observe", ("observe", "_running", "_lost", "answer_bell")),
    ("accept", ("examine", "judge", "look")),
    ("run", ("pump", "run_attempt", "launch", "hold")),
    ("watch", ("check", "stop", "beat", "deliver", "_run", "write_some")),
    ("fork", ("serve", "_become_wrapper")),
    ("begin", ("take_agent_lock", "run", "load", "<module>")),
)

FLEET_PHASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("send", ("give", "prepare", "send")),
    ("let go", ("settle",)),
    ("show", ("show",)),
    ("collect", ("_collect", "fetch", "fetch_logs", "gather_logs", "forget_logs")),
    ("connect", ("connect",)),
)
PIPELINE_PHASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("execute", ("carry_out", "execute")),
    ("report", ("_finish", "write")),
    ("integrate", ("integrate",)),
    ("judge", ("validate",)),
    ("answer", ("collect_answers",)),
    ("collect", ("collect",)),
    ("plan", ("make_plan",)),
    ("begin", ("_run", "main")),
)
PIPELINE_LINES = 1
PROGRAMS = frozenset({"rsync", "ssh", "host-rsync"})
"""What is not ours: a call of it is known by the folder that it is about."""


class Point(NamedTuple):
    """One fault point."""

    process: str
    phase: str
    site: str
    fault: str


def point_of(row: list[str]) -> Point:
    """Read a point from a line of the shim's log."""
    role, _pid, fault, _n, call, path, stack = row[:7]
    lines = stack.split(" < ") if stack else []
    functions = [line.rpartition(":")[2].rpartition(".")[2] for line in lines]
    phases = FLEET_PHASES if role.startswith("collector") else PHASES
    phases = PIPELINE_PHASES if role == "pipeline" else phases
    phase = next((name for name, among in phases if any(f in among for f in functions)), "loop")
    if role in PROGRAMS:
        return Point(role, "transfer", f"{call} in {path.rpartition('/')[0].rpartition('/')[2]}", fault)
    process = "agent in recovery" if role.startswith("recovery") else role.removesuffix("-again")
    if role == "tmux":
        return Point(role, "launch", "exec of the wrapper", fault)
    if role == "pipeline" and lines:
        return Point(role, phase, f"{call} at {pipeline_site(stack)}", fault)
    place = " < ".join(lines[:SITE_LINES]) or f"interpreter, on {kind_of_path(path)}"
    return Point(process, phase, f"{call} at {place}", fault)


def pipeline_site(stack: str) -> str:
    """Return the lines of the spool, and one more: all steps of a run are written by the same few."""
    lines = stack.split(" < ")
    inner = next((n for n, line in enumerate(lines) if not line.startswith("spool/")), len(lines))
    return " < ".join(lines[: inner + PIPELINE_LINES])


def kind_of_path(path: str) -> str:
    """Name what a call without product lines was about."""
    return path.rpartition("/")[2].split(".")[-1][:20] or "no path"
