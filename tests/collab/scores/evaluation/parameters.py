"""What parameters.toml holds, as values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Setting:
    """One world of simulated raters; the fields are explained in parameters.toml."""

    families: tuple[str, ...]
    items: int
    answers: int
    skill: float
    case_spread: float
    item_spread: float
    lure: float
    family_copy: float
    conformity: float
    abstain: float
    good_from: float
    checks: int
    pass_right: float
    pass_wrong: float
    found_right: float
    found_wrong: float
    asks: float
    denied: float


@dataclass(frozen=True, slots=True)
class Swept:
    """One setting of the sweep: which parameter was changed, and to what."""

    parameter: str
    value: object
    setting: Setting


@dataclass(frozen=True, slots=True)
class Digits:
    """How scikit-learn's digits are voted on."""

    repeats: int
    train: int
    noise: float
    abstain_below: float
    abstain_below_closed: float
    weights: dict[str, float]
    labels: tuple[int, ...]
    conformity: tuple[float, ...]
    abstention: tuple[float, ...]
    validator: str
    base: str
    raters: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The whole file."""

    seed: int
    cases: int
    test_cases: int
    draws: int
    labels: tuple[int, ...]
    auroc_goal: float
    ece_goal: float
    base: Setting
    sweep: tuple[Swept, ...]
    digits: Digits


def load() -> Parameters:
    """Read parameters.toml."""
    raw = tomllib.loads((HERE / "parameters.toml").read_text())
    base = _setting(raw["base"])
    sweep = [
        Swept(name, value, replace(base, **_changed(raw.get("with", {}).get(name, {}) | {name: value})))
        for name, values in raw["sweep"].items()
        for value in values
    ]
    return Parameters(
        seed=raw["seed"],
        cases=raw["cases"],
        test_cases=raw["test_cases"],
        draws=raw["draws"],
        labels=tuple(raw["labels"]),
        auroc_goal=raw["goals"]["auroc_independent"],
        ece_goal=raw["goals"]["ece_calibrated"],
        base=base,
        sweep=tuple(sweep),
        digits=_digits(raw["digits"]),
    )


def _changed(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _setting(fields: dict[str, Any]) -> Setting:
    return Setting(**_changed(fields))


def _digits(fields: dict[str, Any]) -> Digits:
    raters = {name: tuple(families) for name, families in fields["raters"].items()}
    return Digits(**{**_changed(fields), "raters": raters})
