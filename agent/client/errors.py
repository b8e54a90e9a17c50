"""What can go wrong: the server said no, or could not be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.client.models import Problem


class ClientError(Exception):
    """Anything that went wrong; the message says what to do."""


class UnreachableError(ClientError):
    """The server did not answer, however often it was asked."""


class ProblemError(ClientError):
    """The server refused; `problem` is what it said (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    @property
    def status(self) -> int:
        """The answer's status."""
        return self.problem.status


class NotFoundError(ProblemError):
    """404: there is no such task, host or file."""


class ConflictError(ProblemError):
    """409 and 412: not as things stand; the same may be possible later."""


class DeniedError(ProblemError):
    """401 and 403: the token is none, or lacks a scope."""


def error_of(problem: Problem) -> ProblemError:
    """Return the exception for a problem."""
    kinds: dict[int, type[ProblemError]] = {
        401: DeniedError,
        403: DeniedError,
        404: NotFoundError,
        409: ConflictError,
        412: ConflictError,
    }
    return kinds.get(problem.status, ProblemError)(problem)
