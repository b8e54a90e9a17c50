"""openapi.json: the routes as they describe themselves, with what holds for all of them."""

from __future__ import annotations

import importlib.metadata
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from agent.client import models
from agent.client.models import Problem
from agent.web.api import schemas
from agent.web.api.parameters import known
from agent.web.api.problems import MEDIA_TYPE, TITLES, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

OPENAPI: Final = "3.1.0"
_ABOUT: Final = """Everything that the command line does, for programs. All of it is the folder underneath: \
what is acknowledged is on disk, and the server may die at any moment.

Send `Authorization: Bearer TOKEN`; `aispool token create` makes one. Scopes: `read`, `submit`, `operate`, \
`approve`. Lists are pages: give `next` as `cursor`. Answers to GET have an ETag: send it as If-None-Match. \
A request that drops a task takes an Idempotency-Key. Errors are problems (RFC 9457)."""
_METHODS: Final = ("get", "put", "post", "delete")
_ALWAYS: Final = (401, 403, 421, 422, 429, 500, 503)
_LINK: Final = {"description": "The next page (RFC 8288).", "schema": {"type": "string"}}
_ETAG: Final = {"description": "What If-None-Match takes.", "schema": {"type": "string"}}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an answer that you have: 304 when it is still the same.",
    "schema": {"type": "string", "examples": ['W/"0123456789abcdef"']},
}


class Description:
    """The description of an app, made when it is first needed."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole of it."""
        return describe(self._app)

    @cached_property
    def query_names(self) -> dict[str, frozenset[str]]:
        """What may stand in the query, by the operation's id."""
        return {
            operation["operationId"]: frozenset(
                each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
            )
            for _, operation in _operations(self.document)
        }


def install(app: FastAPI) -> None:
    """Serve the description of an app."""
    app.state.description = Description(app)

    @app.get("/openapi.json", include_in_schema=False)
    def get_openapi_json(request: Request) -> JSONResponse:
        known(request)
        return JSONResponse(app.state.description.document)


def only_described(request: Request) -> None:
    """Return when the query holds nothing unknown: a misspelt filter would match everything.

    Raises:
        ProblemError: it does.
    """
    names = request.app.state.description.query_names.get(request.scope["route"].name)
    unknown = sorted(set(request.query_params) - names) if names is not None else ()
    if unknown:
        may = ", ".join(sorted(names or ())) or "nothing"
        raise ProblemError(422, f"query: {unknown[0]!r} is not known here: it may hold {may}")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description."""
    document = get_openapi(
        title="aispool",
        version=importlib.metadata.version("aispool"),
        openapi_version=OPENAPI,
        description=_ABOUT,
        routes=app.routes,
        servers=[{"url": "/api/v1"}],
    )
    parts = document.setdefault("components", {})
    named = parts.setdefault("schemas", {})
    named.pop("HTTPValidationError", None)
    named.pop("ValidationError", None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    named.update(problem.pop("$defs", {}))
    named["Problem"] = problem
    named.update(schemas.components())
    for name, schema in named.items():
        if "examples" in schema and hasattr(models, name):
            # FastAPI leaves out of an example what is null
            schema["examples"] = getattr(models, name).model_config["json_schema_extra"]["examples"]
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`aispool token create` makes one."}
    }
    parts["responses"] = {f"Problem{status}": _problem(title) for status, title in TITLES.items()}
    document["security"] = [{"token": []}]
    for method, operation in _operations(document):
        _complete(method, operation)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        for method in _METHODS:
            if method in path:
                yield method, path[method]


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add what every operation may answer, and the headers that come with it."""
    answers = operation["responses"]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _plain(parameter["schema"])
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    for status in _refusals(method, operation, names):
        answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    if method == "get" and not any("event-stream" in kind for kind in answers["200"].get("content", {})):
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
        answers["200"].setdefault("headers", {})["ETag"] = _ETAG
        answers["304"] = {"description": "You have it already.", "headers": {"ETag": _ETAG}}
    if "cursor" in names:
        answers["200"]["headers"]["Link"] = _LINK
    if "Idempotency-Key" in names and "201" in answers:
        answers["200"] = {
            **answers["201"],
            "description": "The key was used before: this is about that task.",
        }
    operation["responses"] = dict(sorted(answers.items()))


def _refusals(method: str, operation: dict[str, Any], names: set[str]) -> set[int]:
    """Return the statuses of what may be refused."""
    statuses = {*_ALWAYS}
    if names & {"host", "cursor"} or any(p["in"] == "path" for p in operation.get("parameters", ())):
        statuses |= {404, 409}
    if "since" in names:
        statuses.add(409)
    if method != "get":
        statuses |= {404, 409, 413}
    if "requestBody" in operation:
        statuses |= {400, 415}
    if "If-Match" in names:
        statuses.add(412)
    return statuses


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema: a URL holds no null, and a title that repeats the name says nothing."""
    kept = {name: value for name, value in schema.items() if name not in {"title", "description"}}
    choices = [each for each in kept.pop("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **kept}
    return {"anyOf": choices, **kept} if choices else kept


def _problem(title: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": title, "content": {MEDIA_TYPE: {"schema": schema}}}
