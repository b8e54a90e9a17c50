"""The plain chat: one provider answers, unless a stated rule hands the question over to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import audit
from agent.collab.roles import load
from agent.collab.rules import hand_over
from agent.service.collab.explaining import why
from agent.service.collab.starting import start
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from agent.collab.providers.base import Reply
    from agent.service.places import Desk
    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Chatted:
    """What became of a question.

    Args:
        why: the fields of `agent.service.collab.explaining.why`.
        text, provider, model, usage: the plain answer; None when it was handed over.
        task_id: of the run that it was handed over to; None when it was answered.
        warnings: about the task that was dropped.
    """

    why: dict[str, Any]
    text: str | None = None
    provider: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    task_id: str | None = None
    warnings: tuple[str, ...] = ()


def chat(
    desk: Desk, text: str, *, by: str, plain: bool = False, may_submit: bool = True, key: str | None = None
) -> Chatted:
    """Answer a question plainly, or hand it over. It waits for the provider: call it in a thread.

    Args:
        desk: whose own workspace is used.
        text: the question.
        by: who asks, for the audit.
        plain: never hand over.
        may_submit: whether who asks may have it handed over; else that is refused.
        key: an idempotency key for the run.

    Raises:
        ServiceError: nobody answered, or it cannot be handed over.
        ConfigError: roles.toml cannot be used.
    """
    if not text.strip():
        raise ServiceError("invalid", "there is no question: write one", field="text")
    roles = load(desk.workspace)
    said = hand_over(text, roles)
    reason = why(said, roles)
    if plain or said.rule is None:
        reply = answer_plainly(desk.workspace, text, by=by)
        return Chatted(reason, reply.text, reply.provider, reply.model, reply.usage.model_dump(mode="json"))
    if not may_submit:
        raise ServiceError(
            "conflict",
            f"the rule {said.rule} hands this over to the collaborative pipeline, which needs the scope "
            "submit: ask with another token, or ask for a plain answer",
            rule=said.rule,
        )
    dropped = start(desk, text, by=by, kind=said.type, rule=said.rule, key=key)
    return Chatted(reason, task_id=dropped.task_id, warnings=tuple(dropped.warnings))


def answer_plainly(workspace: Workspace, text: str, *, by: str) -> Reply:
    """Return the answer of whoever `[ask]` of roles.toml names.

    Raises:
        ServiceError: nobody answered.
        ConfigError: roles.toml or a provider's definition cannot be used.
    """
    from agent.collab import chat as plain_chat  # noqa: PLC0415 - HTTP is slow to import
    from agent.collab.credentials import CredentialError  # noqa: PLC0415
    from agent.collab.providers.base import ProviderError  # noqa: PLC0415
    from agent.collab.providers.registry import open_providers  # noqa: PLC0415

    audit.append(workspace, "asked", who=by, type="chat")
    try:
        with open_providers(workspace) as providers:
            return plain_chat.answer(text, load(workspace), providers).reply
    except (ProviderError, CredentialError) as error:
        raise ServiceError("unavailable", str(error)) from None
