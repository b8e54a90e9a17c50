"""The prompts of a run: templates from roles.toml, filled with what is known, others' words fenced as data.

A block of data stands between two marks with the digest of what they enclose: whoever wrote it cannot know
the mark, and so cannot end the block by itself. The same inputs give the same prompt, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from agent.collab.language import name_of
from agent.tools import template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from agent.collab.records import Question, QuestionRecord
    from agent.collab.roles import Roles

MARK_CHARS: Final = 12
NOTHING: Final = "(none)"


def fenced(label: str, text: str) -> str:
    """Return a block of data that nothing in it can end.

    Args:
        label: what it is, in one line.
        text: anything at all.
    """
    name = " ".join(label.split())
    mark = hashlib.sha256(f"{name}\0{text}".encode(errors="replace")).hexdigest()[:MARK_CHARS]
    return f"<<<data {name} {mark}\n{text}\ndata {mark}>>>"


def shortened(text: str, most_chars: int) -> str:
    """Return a text's beginning and end, when it is too long; what is left out is said."""
    if len(text) <= most_chars:
        return text
    half = most_chars // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[{left_out} characters are left out here]\n{text[-half:]}"


def evidence_block(texts: Mapping[str, str], roles: Roles, missing: Mapping[str, str]) -> str:
    """Return all evidence as the roles see it: each piece shortened, in all no more than the limits say."""
    if not texts and not missing:
        return NOTHING
    limits = roles.limits
    each = min(limits.evidence_chars, max(500, limits.prompt_chars // max(len(texts), 1)))
    blocks = []
    for name, text in texts.items():
        known = roles.evidence.get(name.removesuffix(".after"))
        about = f"({known.about})" if known else ""
        blocks.append(f"{name} {about}\n{fenced(name, shortened(text.strip() or NOTHING, each))}")
    blocks += [f"{name}: not collected: {why}" for name, why in missing.items()]
    return "\n\n".join(blocks)


def questions_block(questions: Sequence[Question]) -> str:
    """Return the closed questions, one a line."""
    return "\n".join(f"- {q.key}: {q.text} [{' | '.join(q.answers)}]" for q in questions)


def answer_block(label: str, value: BaseModel | Mapping[str, Any]) -> str:
    """Return what a role said, as data."""
    plain = value if isinstance(value, dict) else value.model_dump(mode="json")  # type: ignore[union-attr]
    return fenced(label, json.dumps(plain, ensure_ascii=False, indent=1))


def names_block(about: Iterable[tuple[str, str]]) -> str:
    """Return names with what each is for, one a line."""
    return "\n".join(f"- {name}: {what}" for name, what in about) or NOTHING


def common(question: QuestionRecord, roles: Roles, role: str | None = None) -> dict[str, Any]:
    """Return the values that every prompt may use; the field of knowledge may say more to one role."""
    domain = roles.domains.get(question.domain or "")
    said = [domain.prompt, domain.prompts.get(role or "", "")] if domain else []
    return {
        "question": fenced("question", question.text),
        "type": f"{question.type} ({roles.types[question.type].about})",
        "language": name_of(question.language),
        "host": question.host or "this one",
        "domain": "\n".join(text for text in said if text),
    }


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return a template with its values; a name that has none is left empty."""
    return template.fill(text.strip(), lambda name: values.get(name, "")).strip()


def digest(system: str, prompt: str) -> str:
    """Return the SHA-256 of a prompt as it is sent."""
    return hashlib.sha256(f"{system}\0{prompt}".encode(errors="replace")).hexdigest()
