from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.fleet.route import WAITING_PER_SLOT, Capacity, Wanted, route

TOOLS = ("shell", "gemini", "crush")
LABELS = ("gpu", "big", "nightly")
NAMES = ("h1", "h2", "h3", "h4")


def task(task_id: str = "t", **fields: Any) -> Wanted:
    return Wanted(**{"task_id": task_id, "tool": "shell", "submitted_at_s": 0.0, **fields})


def host(name: str = "h1", **fields: Any) -> Capacity:
    return Capacity(**{"name": name, "slots": 2, **fields})


hosts = st.lists(
    st.builds(
        Capacity,
        name=st.sampled_from(NAMES),
        slots=st.integers(1, 4),
        aliases=st.frozensets(st.sampled_from(("box", "node")), max_size=1),
        labels=st.frozensets(st.sampled_from(LABELS[:2])),
        tools=st.none() | st.frozensets(st.sampled_from(TOOLS)),
        problem=st.none() | st.just("is not reachable"),
        taken=st.integers(0, 8),
        backlog_s=st.floats(0, 1e5),
    ),
    max_size=4,
    unique_by=lambda one: one.name,
)
tasks = st.lists(
    st.builds(
        Wanted,
        task_id=st.text("abc", min_size=1, max_size=3),
        tool=st.sampled_from(TOOLS),
        submitted_at_s=st.floats(0, 1e6),
        priority=st.integers(-1000, 1000),
        weight=st.integers(1, 6),
        duration_s=st.none() | st.floats(0, 1e5),
        labels=st.frozensets(st.sampled_from(LABELS)),
        host=st.none() | st.sampled_from((*NAMES, "box", "elsewhere")),
        not_on=st.frozensets(st.sampled_from(NAMES), max_size=2),
    ),
    max_size=12,
    unique_by=lambda one: one.task_id,
)


@given(tasks, hosts)
def test_every_task_goes_to_one_fitting_host_or_says_why_it_stays(
    wanted: list[Wanted], fleet: list[Capacity]
) -> None:
    """No task is lost or doubled; none goes to a host that is closed, lacks something, or had it before."""
    routes = route(wanted, fleet)
    by_name = {one.name: one for one in fleet}
    words = {label for one in fleet for label in one.labels}
    assert set(routes.to) | set(routes.why) == {one.task_id for one in wanted}
    assert not set(routes.to) & set(routes.why)
    for one in wanted:
        if one.task_id not in routes.to:
            assert routes.why[one.task_id]
            continue
        chosen = by_name[routes.to[one.task_id]]
        assert chosen.problem is None
        assert chosen.tools is None or one.tool in chosen.tools
        assert one.labels & words <= chosen.labels
        assert one.host in {None, chosen.name, *chosen.aliases}
        assert chosen.name not in one.not_on


@given(tasks, hosts)
def test_no_host_is_given_more_than_it_can_soon_run(wanted: list[Wanted], fleet: list[Capacity]) -> None:
    """Before its last task, each host that was given some had room."""
    routes = route(wanted, fleet)
    by_id = {one.task_id: one for one in wanted}
    for one in fleet:
        given_here = [by_id[name] for name, chosen in routes.to.items() if chosen == one.name]
        if given_here:
            before_last = one.taken + sum(t.weight for t in given_here) - given_here[-1].weight
            assert before_last < one.slots * (1 + WAITING_PER_SLOT)


@given(tasks, hosts)
def test_the_order_of_asking_changes_nothing(wanted: list[Wanted], fleet: list[Capacity]) -> None:
    """Tasks and hosts may come in any order."""
    assert route(wanted, fleet) == route(wanted[::-1], fleet)
    assert route(wanted, fleet).to == route(wanted, fleet[::-1]).to


@given(tasks, hosts)
def test_nothing_stays_that_has_a_place(wanted: list[Wanted], fleet: list[Capacity]) -> None:
    """What was left over finds no room on what the others have left."""
    routes = route(wanted, fleet)
    given_to = {one.name: [t for t in wanted if routes.to.get(t.task_id) == one.name] for one in fleet}
    after = [
        Capacity(
            name=one.name, slots=one.slots, aliases=one.aliases, labels=one.labels, tools=one.tools,
            problem=one.problem, taken=one.taken + sum(t.weight for t in given_to[one.name]),
            backlog_s=one.backlog_s + sum(t.work_s for t in given_to[one.name]),
        )
        for one in fleet
    ]  # fmt: skip
    assert not route([t for t in wanted if t.task_id in routes.why], after).to


def test_what_can_start_at_once_is_spread() -> None:
    """Four tasks on two empty hosts of two slots: two each."""
    routes = route([task(f"t{n}") for n in range(4)], [host("h1"), host("h2")])
    assert sorted(routes.to.values()) == ["h1", "h1", "h2", "h2"]


def test_the_least_expected_backlog_is_chosen_when_all_are_busy() -> None:
    """Behind one long task a slot is free later than behind two short ones."""
    long, short = host("h1", slots=1, taken=1, backlog_s=7200), host("h2", slots=1, taken=1, backlog_s=60)
    assert route([task()], [long, short]).to == {"t": "h2"}


def test_the_urgent_goes_first() -> None:
    """One place, two tasks: the one of higher priority gets it."""
    routes = route([task("a"), task("b", priority=30)], [host(slots=1, taken=1)])
    assert routes.to == {"b": "h1"}
    assert "h1 is busy" in routes.why["a"]


def test_a_label_that_no_host_has_is_the_tasks_own() -> None:
    """`nightly` marks a task for people; `gpu` chooses, because a host has it."""
    fleet = [host("h1"), host("h2", labels=frozenset({"gpu"}))]
    assert route([task(labels=frozenset({"nightly", "gpu"}))], fleet).to == {"t": "h2"}
    assert route([task(labels=frozenset({"nightly"}))], [host("h1")]).to == {"t": "h1"}


def test_the_reason_names_each_host_and_its_problem() -> None:
    """What a person reads at night says which host lacks what."""
    lacking = route(
        [task(tool="gemini")], [host("h1", tools=frozenset({"shell"})), host("h2", tools=frozenset())]
    )
    assert lacking.why["t"] == (
        "no host of the fleet will do: h1 lacks the tool gemini; h2 lacks the tool gemini"
    )
    dark = route([task()], [host("h1", problem="is not reachable")])
    assert dark.why["t"] == "waits for a host: h1 is not reachable"
    assert "fleet add" in route([task()], []).why["t"]
    many = route([task(host="x")], [host(f"h{n}") for n in range(9)])
    assert many.why["t"].endswith("; and 4 more")
