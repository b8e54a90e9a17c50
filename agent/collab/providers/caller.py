"""Asking with patience: which provider, how often, how long, and whether the answer may be used.

Until the time is up: take the choice that is least loaded (a `fallback` only when no other can) and call it;
after a passing failure wait as long as it asks, or a moment that doubles, and try the same one again, unless
that takes too long and another is ready; after other failures, or enough tries, go on without it. An answer
that does not fit the schema is sent back once with what is wrong, and after that its provider is out.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.collab.providers import schemas
from agent.collab.providers.base import OUTAGES, PASSING, Message, ProviderError, Reply, Request
from agent.collab.records import CallRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.collab.providers.base import Provider
    from agent.collab.providers.standing import End, Standing
    from spool.records import Usage

MOST_KEYS: Final = 20
MOST_JITTER_S: Final = 2.0
REPAIR_SUFFIX: Final = ".repair"


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider that may answer.

    Args:
        model: None for its default one.
        fallback: only when no other choice can.
    """

    provider: str
    model: str | None = None
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried.

    Args:
        tries: of each choice.
        total_s: from the first call until nothing is begun any more.
        wait_s: a choice that is ready sooner is waited for, though another is ready now.
        first_delay_s: after a failure that names no time; it doubles each time.
        longest_delay_s: at most.
    """

    tries: int = 3
    total_s: float = 600.0
    wait_s: float = 15.0
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and every call on the way to it."""

    reply: Reply
    calls: tuple[CallRecord, ...]


class GaveUpError(ProviderError):
    """Nobody answered; `calls` are all that were made."""

    def __init__(self, last: ProviderError, message: str, calls: tuple[CallRecord, ...]) -> None:
        super().__init__(last.kind, message, retry_after_s=last.retry_after_s)
        self.calls = calls


@dataclass(slots=True)
class _Runner:
    """One choice in one question's race."""

    choice: Choice
    order: int
    ready_at_s: float
    tries: int = 0
    other_keys: int = 0
    trouble: ProviderError | None = None
    out: bool = False


@dataclass(slots=True)
class Caller:
    """Asks the providers of one workspace. Threads may share it.

    Args:
        providers: by name.
        standings: of each.
        clock: monotonic seconds.
        sleep: for seconds.
        chance: between 0 and 1, for delays.
    """

    providers: Mapping[str, Provider]
    standings: Mapping[str, Standing]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random)

    def ask(self, choices: Sequence[Choice], request: Request, patience: Patience | None = None) -> Answered:
        """Return the first answer that can be used; `reply.parsed` fits the request's schema.

        Raises:
            GaveUpError: there is none; its message tells of each choice why.
        """
        patience = patience or Patience()
        begun_s = self.clock()
        runners = [_Runner(choice, order, begun_s) for order, choice in enumerate(choices)]
        calls: list[CallRecord] = []
        while (runner := self._next(runners, patience)) is not None:
            wait_s = runner.ready_at_s - self.clock()
            if self.clock() + max(wait_s, 0.0) > begun_s + patience.total_s:
                runner.out = True
                continue
            if wait_s > 0:
                self.sleep(wait_s)
            reply = self._try(runner, request, patience, calls)
            if reply is not None:
                return Answered(reply, tuple(calls))
        raise _gave_up(runners, tuple(calls))

    def _next(self, runners: list[_Runner], patience: Patience) -> _Runner | None:
        now_s = self.clock()

        def rank(runner: _Runner) -> tuple[bool, bool, bool, bool, float, float, int]:
            wait_s = max(0.0, runner.ready_at_s - now_s)
            load = self.standings[runner.choice.provider].load()
            fresh = runner.tries + runner.other_keys == 0
            late = wait_s > patience.wait_s
            return late, fresh, runner.choice.fallback, wait_s > 0, load, wait_s, runner.order

        return min((runner for runner in runners if not runner.out), key=rank, default=None)

    def _try(
        self, runner: _Runner, request: Request, patience: Patience, calls: list[CallRecord]
    ) -> Reply | None:
        """Call once, and once more to repair; None when it came to nothing, which the runner then knows."""
        given = replace(request, model=runner.choice.model or request.model)
        try:
            self._begin(runner.choice.provider)
        except ProviderError as error:
            runner.trouble, runner.ready_at_s = error, self.clock() + (error.retry_after_s or 0.0)
            return None
        try:
            return self._checked(runner.choice, given, calls)
        except ProviderError as error:
            self._learn(runner, error, patience)
            return None

    def _begin(self, provider: str) -> None:
        """Make room for one call.

        Raises:
            ProviderError: not now, and when.
        """
        wait_s = self.standings[provider].begin()
        if wait_s > 0:
            limit = f"{provider}: as many calls as its requests_per_minute allow were made in this minute"
            raise ProviderError("rate_limit", limit, retry_after_s=wait_s)

    def _checked(self, choice: Choice, request: Request, calls: list[CallRecord]) -> Reply:
        reply = self._call(choice, request, calls)
        if request.schema is None:
            return reply
        try:
            return replace(reply, parsed=schemas.parse(reply.text, request.schema))
        except schemas.SchemaError as error:
            calls[-1] = calls[-1].model_copy(update={"error": "invalid_answer"})
            problem = str(error) + ("; it was cut off: be shorter" if reply.cut else "")
        # the breaker and the limits count the second request as a call of its own
        self._begin(choice.provider)
        turns = (Message("assistant", reply.text), Message("user", schemas.repair(problem)))
        key = request.key + REPAIR_SUFFIX if request.key else None
        again = self._call(choice, replace(request, messages=(*request.messages, *turns), key=key), calls)
        try:
            return replace(again, parsed=schemas.parse(again.text, request.schema))
        except schemas.SchemaError as error:
            calls[-1] = calls[-1].model_copy(update={"error": "invalid_answer"})
            message = f"{choice.provider}: the answer is not what was asked for, not the second time either"
            raise ProviderError("invalid_answer", f"{message} ({error})") from None

    def _call(self, choice: Choice, request: Request, calls: list[CallRecord]) -> Reply:
        """Make one call, for which `begin` has made room."""
        begun_s = self.clock()
        how: End = "other"
        try:
            reply = self.providers[choice.provider].complete(request)
            how = "well"
        except ProviderError as error:
            how = "outage" if error.kind in OUTAGES else "other"
            calls.append(_record(choice, request, error.usage, self.clock() - begun_s, error))
            raise
        finally:
            self.standings[choice.provider].end(how)
        answered = replace(choice, model=reply.model)
        calls.append(_record(answered, request, reply.usage, self.clock() - begun_s))
        return reply

    def _learn(self, runner: _Runner, error: ProviderError, patience: Patience) -> None:
        """Decide when the choice may be tried again, if at all."""
        runner.trouble = error
        now_s = self.clock()
        if error.another_key and runner.other_keys < MOST_KEYS:
            runner.other_keys += 1
            runner.ready_at_s = now_s
            return
        runner.tries += 1
        delay_s = min(patience.first_delay_s * 2.0 ** (runner.tries - 1), patience.longest_delay_s)
        if error.retry_after_s is not None:
            delay_s = error.retry_after_s
        # a little later than asked for, and not all at the same moment
        runner.ready_at_s = now_s + delay_s + min(0.25 * delay_s, MOST_JITTER_S) * self.chance()
        runner.out = error.kind not in PASSING or runner.tries >= patience.tries


def _record(
    choice: Choice, request: Request, usage: Usage, duration_s: float, error: ProviderError | None = None
) -> CallRecord:
    return CallRecord(
        provider=choice.provider,
        model=choice.model or request.model,
        error=error.kind if error else None,
        duration_s=round(duration_s, 3),
        usage=usage,
    )


def _gave_up(runners: list[_Runner], calls: tuple[CallRecord, ...]) -> GaveUpError:
    """Return the error for a question that nobody answered; its kind is the likeliest to pass."""
    troubles = [runner.trouble for runner in runners if runner.trouble is not None]
    if not troubles:
        nobody = ProviderError("unavailable", "there is nobody to ask: name a provider for this role")
        return GaveUpError(nobody, nobody.message, calls)
    hopeful = next((trouble for trouble in troubles if trouble.kind in PASSING), troubles[0])
    return GaveUpError(hopeful, "; ".join(dict.fromkeys(trouble.message for trouble in troubles)), calls)
