"""The plain chat: one provider answers one question, without roles, evidence or scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.collab import prompts
from agent.collab.language import detect, name_of
from agent.collab.providers.base import Message, Request
from agent.collab.providers.caller import Patience

if TYPE_CHECKING:
    from agent.collab.providers.caller import Answered
    from agent.collab.providers.ready import Providers
    from agent.collab.roles import Roles


def answer(text: str, roles: Roles, providers: Providers) -> Answered:
    """Return the answer of whoever `[ask]` of roles.toml names.

    Raises:
        ProviderError: nobody answered.
    """
    settings = roles.ask
    values = {"question": text, "language": name_of(detect(text))}
    request = Request(
        messages=(Message("user", prompts.filled(roles.prompts.ask, values)),),
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        timeout_s=settings.timeout_s,
    )
    choices = providers.choices(settings.providers, fallback=settings.fallback, model=settings.model)
    return providers.caller.ask(choices, request, Patience(total_s=roles.limits.call_budget_s))
