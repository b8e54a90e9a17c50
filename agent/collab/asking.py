"""Asking one role once: its prompt goes out, its answer is a step on disk before anything else happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from agent.collab import prompts
from agent.collab.providers.base import Message, ProviderError, Request
from agent.collab.providers.caller import GaveUpError, Patience
from agent.collab.records import StepRecord
from agent.tools.calls import usage_of
from spool.names import child_id
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from agent.collab.definitions import DomainDefinition, RoleDefinition
    from agent.collab.evidence import Site
    from agent.collab.progress import Progress
    from agent.collab.providers.caller import Answered
    from agent.collab.providers.ready import Providers
    from agent.collab.records import QuestionRecord
    from agent.collab.roles import Roles
    from agent.collab.steps import Steps

MOST_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Run:
    """One run at work.

    Args:
        site: where it collects evidence; also its clock, its id and its folder.
        read_only: nothing that is proposed is run.
        marker: the file that says that a person is waited for; None when nobody could see it.
        patience_s: so long a person is waited for.
    """

    site: Site
    question: QuestionRecord
    roles: Roles
    providers: Providers
    steps: Steps
    progress: Progress
    read_only: bool = False
    marker: Path | None = None
    patience_s: float = 0.0

    @property
    def domain(self) -> DomainDefinition | None:
        """The field of knowledge, when the question has one."""
        return self.roles.domains.get(self.question.domain or "")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one role is asked in one phase.

    Args:
        name: of the step.
        role: who is asked.
        schema: what its answer must be.
        template: of the prompt.
        values: for the template, beside those that every prompt has.
        saw: names of the steps whose content is in the prompt.
    """

    name: str
    phase: int
    role: str
    schema: type[BaseModel]
    template: str
    values: Mapping[str, Any]
    saw: tuple[str, ...] = ()


def ask(run: Run, turn: Turn) -> StepRecord:
    """Return the step: the one that is on disk, else what the role answers now.

    A role that nobody can play is a step that failed; it is no exception.

    Raises:
        OSError: the disk; what was answered may have to be asked again.
    """
    found = run.steps.read(turn.name)
    if found is not None:
        run.progress.known(found)
        return found
    role = run.roles.roles[turn.role]
    system = prompts.filled(role.prompt, prompts.common(run.question, run.roles, turn.role))
    values = {**prompts.common(run.question, run.roles, turn.role), **turn.values}
    prompt = prompts.filled(turn.template, values)
    step = StepRecord(
        name=turn.name,
        phase=turn.phase,
        role=turn.role,
        state="failed",
        prompt_sha256=prompts.digest(system, prompt),
        saw=run.steps.digests(turn.saw),
        started_at=run.site.now(),
        finished_at=run.site.now(),
    )
    try:
        answered = _call(run, turn, role, (Message("system", system), Message("user", prompt)))
    except ProviderError as error:
        made = _failed(step, run, error)
    else:
        made = _answered(step, run, answered)
    written = run.steps.write(made)
    run.progress.made(written)
    return written


def ask_all(run: Run, turns: Sequence[Turn]) -> tuple[StepRecord, ...]:
    """Ask several roles at once; none sees what another says."""
    if not turns:
        return ()
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE, thread_name_prefix="role") as pool:
        return tuple(pool.map(partial(ask, run), turns))


def _call(run: Run, turn: Turn, role: RoleDefinition, messages: tuple[Message, ...]) -> Answered:
    cast = run.roles.cast(turn.role, run.question.domain)
    choices = run.providers.choices(cast.providers, fallback=cast.fallback, model=cast.model)
    run.progress.begins(turn.name, turn.role, role.does, choices[0].provider)
    request = Request(
        messages=messages,
        schema=turn.schema,
        temperature=role.temperature,
        max_tokens=role.max_tokens,
        timeout_s=role.timeout_s,
        key=child_id(run.site.task_id, turn.name),
    )
    return run.providers.caller.ask(choices, request, Patience(total_s=run.roles.limits.call_budget_s))


def _answered(step: StepRecord, run: Run, answered: Answered) -> StepRecord:
    reply = answered.reply
    assert reply.parsed is not None, "the caller checked it against the schema"
    return step.model_copy(
        update={
            "state": "ok",
            "provider": reply.provider,
            "model": reply.model,
            "family": reply.family,
            "finished_at": run.site.now(),
            "calls": answered.calls,
            "usage": usage_of([call.usage for call in answered.calls]),
            "response": reply.parsed.model_dump(mode="json"),
            "text": reply.text,
        }
    )


def _failed(step: StepRecord, run: Run, error: ProviderError) -> StepRecord:
    calls = error.calls if isinstance(error, GaveUpError) else ()
    return step.model_copy(
        update={
            "reason": error.message,
            "kind": error.kind,
            "retry_after_s": error.retry_after_s,
            "provider": calls[-1].provider if calls else None,
            "finished_at": run.site.now(),
            "calls": calls,
            "usage": usage_of([call.usage for call in calls]) if calls else Usage(),
        }
    )
