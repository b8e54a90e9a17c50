"""Errors as RFC 9457 has them: one document for every refusal, the framework's own included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from agent.audit import AuditError
from agent.client.models import FieldProblem, Problem
from agent.config import ConfigError
from agent.service.errors import ServiceError
from agent.web.context import ForbiddenError, LoggedOutError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_STATUS: Final = {"not_found": 404, "conflict": 409, "invalid": 422, "too_large": 413, "unavailable": 503}


class ProblemError(Exception):
    """A refusal that the API itself makes; the message says what, where, and what to do."""

    def __init__(self, status: int, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = fields


def respond(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: tuple[FieldProblem, ...] = (),
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that says what is wrong."""
    problem = Problem(
        title=TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=errors,
        fields=dict(fields or {}),
    )
    return Response(problem.model_dump_json(), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem."""

    @app.exception_handler(ServiceError)
    def _service(request: Request, error: ServiceError) -> Response:
        # a cursor names a page: one that cannot be used names none
        status = 404 if error.fields.get("field") == "cursor" else _STATUS[error.kind]
        return respond(request, status, error.message, fields=error.fields)

    @app.exception_handler(ProblemError)
    def _own(request: Request, error: ProblemError) -> Response:
        return respond(request, error.status, error.detail, fields=error.fields)

    @app.exception_handler(ForbiddenError)
    def _forbidden(request: Request, error: ForbiddenError) -> Response:
        return respond(request, 403, str(error), fields={"scope": error.scope})

    @app.exception_handler(LoggedOutError)
    def _logged_out(request: Request, error: LoggedOutError) -> Response:
        return respond(request, 401, str(error), headers={"WWW-Authenticate": 'Bearer realm="aispool"'})

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> Response:
        errors = tuple(_field(each) for each in error.errors())
        said = "; ".join(f"{each.where}: {each.message}" for each in errors[:3])
        return respond(
            request, 422, f"{said}: see {request.scope.get('root_path', '')}/openapi.json", errors=errors
        )

    @app.exception_handler(HTTPException)
    def _framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # noqa: PLR2004 - RFC 9110
            allowed = ", ".join(allowed_methods(app, request))
            headers["Allow"] = allowed
            return respond(request, 405, f"this can be asked for with {allowed}", headers=headers)
        detail = {
            400: "the body cannot be read: see its Content-Type",
            404: "there is nothing here: openapi.json lists all there is",
        }.get(error.status_code, str(error.detail))
        return respond(request, error.status_code, detail, headers=headers)

    _install_failures(app)


def _install_failures(app: FastAPI) -> None:
    """Answer what is not the request's fault."""

    @app.exception_handler(ConfigError)
    @app.exception_handler(AuditError)
    def _configuration(request: Request, error: Exception) -> Response:
        return respond(request, 503, str(error))

    @app.exception_handler(OSError)
    def _disk(request: Request, error: OSError) -> Response:
        where = f"{error.filename}: " if error.filename else ""
        return respond(request, 503, f"{where}{error.strerror or error}: look at the server's disk")

    @app.exception_handler(Exception)
    def _bug(request: Request, error: Exception) -> Response:
        del error  # uvicorn logs it
        return respond(
            request, 500, "this is a bug in aispool, not in your request: the server's output has the details"
        )


def allowed_methods(app: FastAPI, request: Request) -> list[str]:
    """Return the methods of all routes that have a request's path: a router looks at the first only."""
    methods: set[str] = set()
    for route in (*app.router.routes, *app.state.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _field(error: Mapping[str, Any]) -> FieldProblem:
    where = ".".join(str(part) for part in error["loc"]) or "body"
    message = str(error["msg"]).removeprefix("Value error, ")
    return FieldProblem(where=where, message=message)
