"""Changing one thing changes what rests on it, and nothing else."""

from __future__ import annotations

from typing import Any


def outcome(desk: Any, task_id: str, text: str = "Shall I do it?", **more: Any) -> dict[str, Any]:
    session = desk.ask(text, task_id=task_id, **more)
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = desk.report(session)
    return report


def saying(brain: Any, role: str, **given: str | None) -> None:
    answers = [{"key": key, "answer": answer} for key, answer in given.items()]
    brain.says[role] = {"text": f"{role} says {given}", "answers": answers}


def test_one_answer_changes_consensus_and_integration(desk: Any, brain: Any) -> None:
    """The innovator's dissent is counted, shown to the coordinator, and stands in the report."""
    saying(brain, "innovator", do_it="yes", risk="low")
    agreed = outcome(desk, "agreed")
    assert agreed["consensus"]["percent"] == 100
    assert (
        "do_it (Is it to be done?): yes (analyst, executor, innovator)" in brain.asked["integration"][0].text
    )
    saying(brain, "innovator", do_it="no", risk="low")
    differing = outcome(desk, "differing")
    assert differing["consensus"]["percent"] < agreed["consensus"]["percent"]
    assert differing["confidence"]["percent"] < agreed["confidence"]["percent"]
    shown = brain.asked["integration"][1].text
    assert "yes (analyst, executor); no (innovator)" in shown
    assert differing["answers"][0]["answers"]["innovator"] == "no"
    text = (desk.workspace.sessions / "differing" / "collab" / "report.md").read_text()
    assert "Is it to be done?: yes (analyst, executor); no (innovator)" in text


def test_agreement_within_a_family_counts_less(desk: Any, brain: Any) -> None:
    """Analyst and innovator are of one family: when the executor alone differs, little agreement is left."""
    saying(brain, "executor", do_it="no", risk="high")
    saying(brain, "analyst", do_it="yes", risk="low")
    saying(brain, "innovator", do_it="yes", risk="low")
    within = outcome(desk, "within")["consensus"]["percent"]
    saying(brain, "executor", do_it="yes", risk="low")
    saying(brain, "innovator", do_it="no", risk="high")
    across = outcome(desk, "across")["consensus"]["percent"]
    assert within < across


def test_an_abstention_lowers_coverage_and_no_agreement(desk: Any, brain: Any) -> None:
    """Who abstains neither agrees nor differs."""
    for role in ("analyst", "executor", "innovator"):
        saying(brain, role, do_it="yes", risk="low")
    full = outcome(desk, "full")["consensus"]
    saying(brain, "innovator", do_it="yes", risk=None)
    part = outcome(desk, "part")["consensus"]
    assert part["percent"] == full["percent"] == 100
    assert part["coverage_percent"] < full["coverage_percent"] == 100


def test_an_answer_that_is_none_of_the_closed_ones_abstains(desk: Any, brain: Any) -> None:
    """Only what was offered counts; case and white space do not matter."""
    saying(brain, "analyst", do_it=" YES ", risk="perhaps")
    report = outcome(desk, "odd")
    assert report["answers"][0]["answers"]["analyst"] == "yes"
    assert report["answers"][1]["answers"]["analyst"] is None


def test_prose_changes_no_score(desk: Any, brain: Any) -> None:
    """Scores are made of closed answers: what is written around them does not move them."""
    first = outcome(desk, "first")
    brain.says["analyst"] = lambda call: {**brain._analyst(call), "text": "Completely other words. " * 50}
    second = outcome(desk, "second")
    for name in ("consensus", "confidence"):
        assert first[name]["percent"] == second[name]["percent"]


def test_failed_checks_lower_the_confidence_alone(desk: Any, brain: Any, validation: Any) -> None:
    """The validator judges; how far the others agree is not its business."""
    good = outcome(desk, "good")
    brain.says["validation"] = validation("accuracy", "risks")
    bad = outcome(desk, "bad")
    assert bad["confidence"]["percent"] < good["confidence"]["percent"]
    assert bad["consensus"] == good["consensus"]


def test_the_order_of_roles_changes_nothing(desk: Any, brain: Any) -> None:
    """A plan that names them in another order comes to the same figures."""
    first = outcome(desk, "first")
    plan = brain._plan(None)
    brain.says["plan"] = {**plan, "assignments": plan["assignments"][::-1]}
    second = outcome(desk, "second")
    assert first["consensus"]["percent"] == second["consensus"]["percent"]
    assert first["integration"] == second["integration"]


def test_the_language_follows_the_question(desk: Any, brain: Any) -> None:
    """Asked in Spanish, models are told so and our own words are Spanish; the figures stay the same."""
    english = outcome(desk, "english", "Shall we upgrade the server?")
    spanish = outcome(desk, "spanish", "¿Actualizamos el servidor?")
    assert "all prose in English" in brain.asked["integration"][0].text
    assert "all prose in Spanish" in brain.asked["integration"][1].text
    text = (desk.workspace.sessions / "spanish" / "collab" / "report.md").read_text()
    assert "## Recomendaciones" in text
    assert "Consenso: 81% (cobertura 100%)" in text
    assert english["consensus"]["percent"] == spanish["consensus"]["percent"]
    forced = outcome(desk, "forced", "Shall we upgrade the server?", language="fr")
    assert forced["question"]["language"] == "fr"
    assert "all prose in French" in brain.asked["integration"][2].text
