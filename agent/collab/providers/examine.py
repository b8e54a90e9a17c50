"""How each provider stands: whether it answers, and whether it still lists its default model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agent.collab.providers.base import ProviderError
from agent.collab.providers.remote import RemoteProvider, default_of, is_listed

if TYPE_CHECKING:
    from agent.collab.providers.ready import Providers, Ready

State = Literal["answers", "ready", "no key", "absent", "trouble"]


@dataclass(frozen=True, slots=True)
class Found:
    """One provider.

    Args:
        state: `answers` when it was asked; `ready` when it was not, or has nothing to be asked for; `absent`
            for a server that is not on this machine.
        model: the default one.
        models: what it lists.
        problem: in words, with what to do.
    """

    name: str
    kind: str
    state: State
    where: str = ""
    credential: str = ""
    model: str | None = None
    family: str | None = None
    models: tuple[str, ...] = ()
    problem: str = ""


def examine(providers: Providers, *, ask: bool = True) -> list[Found]:
    """Return every provider, in the order of the definitions.

    Args:
        providers: of the workspace.
        ask: each ready one for its list of models, which costs nothing; and look for servers on this machine.
    """
    if ask:
        providers.look_for_local()
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="examine") as pool:
        return list(pool.map(lambda name: _look(providers, name, ask=ask), providers.definitions))


def _look(providers: Providers, name: str, *, ask: bool) -> Found:
    definition = providers.definitions[name]
    ready = providers.ready.get(name)
    if ready is None:
        return Found(
            name=name,
            kind=definition.kind,
            state="absent" if definition.local else "no key" if name in providers.keyless else "trouble",
            where=definition.base_url or "",
            model=definition.model,
            problem=providers.missing[name],
        )
    found = _found(ready, "ready")
    if ask and isinstance(ready.provider, RemoteProvider):
        found = _ask(ready, ready.provider)
    left_s = providers.caller.standings[name].open_for_s()
    if left_s > 0 and not found.problem:
        return replace(found, problem=f"it failed several times in a row: no run asks it for {left_s:.0f} s")
    return found


def _ask(ready: Ready, provider: RemoteProvider) -> Found:
    try:
        listed = provider.models()
    except ProviderError as error:
        return _found(ready, "trouble", problem=error.message)
    model = provider.definition.model or default_of(listed)
    problem = ""
    if listed and not is_listed(str(model), listed):
        problem = provider.unknown_model(str(model), listed)
    return _found(ready, "trouble" if problem else "answers", model=model, models=listed, problem=problem)


def _found(
    ready: Ready,
    state: State,
    *,
    model: str | None = None,
    models: tuple[str, ...] = (),
    problem: str = "",
) -> Found:
    definition = ready.definition
    model = model or definition.model
    return Found(
        name=definition.name,
        kind=definition.kind,
        state=state,
        where=ready.where,
        credential=ready.credential,
        model=model,
        family=ready.provider.family(model),
        models=models,
        problem=problem,
    )
