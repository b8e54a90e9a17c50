from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from agent.collab.policy.rules import Policy

CORPUS = Path(__file__).parent / "corpus"


class Case(NamedTuple):
    """One labelled command."""

    label: str
    category: str
    command: str


def cases(name: str) -> list[Case]:
    """Read a list of the corpus; corpus/README.md explains the form."""
    found = []
    label = category = ""
    for line in (CORPUS / f"{name}.txt").read_text("utf-8").split("\n"):
        if line.startswith("## "):
            _, label, category, *_ = line.split()
        elif line and not line.startswith("# "):
            found.append(Case(label, category, line.replace("⏎", "\n")))
    return found


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The policy that comes with the package."""
    return Policy.shipped()


@pytest.fixture(scope="session")
def heldout() -> list[Case]:
    return cases("heldout")


@pytest.fixture(scope="session")
def tuning() -> list[Case]:
    return cases("tuning")


@pytest.fixture(scope="session")
def evasions() -> list[Case]:
    return cases("evasions")


@pytest.fixture(scope="session")
def corpus_file() -> Path:
    """The folder of the lists."""
    return CORPUS
