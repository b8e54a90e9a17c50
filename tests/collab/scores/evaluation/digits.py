"""scikit-learn's digits, voted on by classifiers of different families: real raters that make real mistakes.

Four keyed questions with closed answers; each classifier learns each question by itself, from few images, and
sees the others' answers only where conformity is asked for. The validator is a classifier of yet another
family: it checks each response against its own answers, and the response's answers against one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from collab.scores.evaluation.case import Case, conforming
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from agent.collab.scores import Factors, Item, confidence, consensus, passed_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.scores.evaluation.parameters import Digits

TRUTH: dict[str, Callable[[int], str]] = {
    "digit": str,
    "even": lambda digit: "yes" if digit % 2 == 0 else "no",
    "over_four": lambda digit: "yes" if digit > 4 else "no",
    "loop": lambda digit: "yes" if digit in {0, 6, 8, 9} else "no",
}
CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "linear": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed)
    ),
    "trees": lambda seed: RandomForestClassifier(100, random_state=seed),
    "kernel": lambda seed: make_pipeline(
        StandardScaler(), CalibratedClassifierCV(SVC(random_state=seed), cv=3, ensemble=False)
    ),
    "bayes": lambda _: make_pipeline(StandardScaler(), GaussianNB(var_smoothing=0.05)),
    "neighbours": lambda _: make_pipeline(StandardScaler(), KNeighborsClassifier(5, weights="distance")),
    "neural": lambda seed: make_pipeline(
        StandardScaler(), MLPClassifier((32,), max_iter=600, random_state=seed)
    ),
    "discriminant": lambda _: make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    ),
}


@dataclass(frozen=True, slots=True)
class Votes:
    """All answers of one repeat: rater → question → for each image an answer and how sure it is."""

    digits: list[int]
    by_rater: dict[str, dict[str, list[tuple[str, float]]]]
    draws: list[list[float]]


def repeat(parameters: Digits, seed: int) -> Votes:
    """Let every family learn, in two copies, and answer for the images that nobody learned from."""
    data = load_digits()
    source = np.random.default_rng(seed)
    order = source.permutation(len(data.target))
    images = data.data + source.normal(0, parameters.noise, data.data.shape)
    train, test = order[: parameters.train], order[parameters.train :]
    families = {parameters.validator, *(family for each in parameters.raters.values() for family in each)}
    copies = max(each.count(family) for each in parameters.raters.values() for family in each)
    by_rater = {}
    for family in sorted(families):
        for copy in range(copies):
            # copies of a family differ as two calls of one model do: by chance, here by what they drew
            own = train if copy == 0 else source.choice(train, len(train))
            by_rater[f"{family}-{copy}"] = {
                key: _answers(CLASSIFIERS[family](seed + copy), key, images, data.target, own, test)
                for key in TRUTH
            }
    digits = [int(digit) for digit in data.target[test]]
    return Votes(digits, by_rater, source.random((len(test), 12)).tolist())


def _answers(
    model: Any, key: str, images: Any, target: Any, train: Any, test: Any
) -> list[tuple[str, float]]:
    model.fit(images[train], [TRUTH[key](int(digit)) for digit in target[train]])
    sure = model.predict_proba(images[test])
    best = sure.argmax(axis=1)
    return [(str(model.classes_[at]), float(row[at])) for row, at in zip(sure, best, strict=True)]


def _said(parameters: Digits, votes: Votes, rater: str, key: str, image: int) -> str | None:
    """Return an answer, or None when the rater is not sure enough of it."""
    answer, sure = votes.by_rater[rater][key][image]
    below = parameters.abstain_below if key == "digit" else parameters.abstain_below_closed
    return answer if sure >= below else None


def cases(parameters: Digits, votes: Votes, families: tuple[str, ...], conformity: float = 0.0) -> list[Case]:
    """Score each image as a run of these raters."""
    names = [f"{family}-{families[:at].count(family)}" for at, family in enumerate(families)]
    raters = dict(zip(names, families, strict=True))
    return [_case(parameters, votes, raters, image, conformity) for image in range(len(votes.digits))]


def _case(parameters: Digits, votes: Votes, raters: dict[str, str], image: int, conformity: float) -> Case:
    items = []
    for key in TRUTH:
        own = [_said(parameters, votes, name, key, image) for name in raters]
        said = conforming(own, votes.draws[image][: len(own)], conformity)
        items.append(Item(key, dict(zip(raters, said, strict=True)), parameters.weights[key]))
    found = consensus(items, raters)
    leading = {each.key: each.leading for each in found.agreements}
    validator = passed_share(_checks(parameters, votes, items, image)) or 0.0
    factors = Factors(
        checks=validator,
        answered=found.answered,
        evidence=None,  # images are not quoted
        consensus=None if found.percent is None else found.percent / 100,
    )
    raw = confidence(factors).raw
    assert raw is not None
    return Case(found, factors, raw, validator, leading["digit"] == TRUTH["digit"](votes.digits[image]))


def _checks(parameters: Digits, votes: Votes, items: list[Item], image: int) -> list[bool]:
    own = {key: _said(parameters, votes, f"{parameters.validator}-0", key, image) for key in TRUTH}
    verdicts: list[bool] = []
    for rater in items[0].votes:
        said = {item.key: item.votes[rater] for item in items}
        verdicts += [said[key] is not None and said[key] == own[key] for key in TRUTH]
        digit = said["digit"]
        if isinstance(digit, str):
            verdicts += [said[key] in {None, TRUTH[key](int(digit))} for key in TRUTH if key != "digit"]
    return verdicts
