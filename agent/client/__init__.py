"""A typed client of the public API, for programs in Python: `from agent.client import Client, AsyncClient`.

    with Client("http://127.0.0.1:8377", token="ais_…") as client:
        submitted = client.submit({"tool": "shell", "command": "date"})
        result = client.wait(submitted.task_id)
        for piece in client.log(submitted.task_id):
            print(piece.text, end="")

`models` are what the server answers with: `agent.web.api` makes its answers of them. Requests that a cut
connection leaves in doubt are repeated; those that drop a task carry an idempotency key, so that they never
drop two.
"""

from agent.client.aio import AsyncClient
from agent.client.errors import (
    ClientError,
    ConflictError,
    DeniedError,
    NotFoundError,
    ProblemError,
    UnreachableError,
)
from agent.client.sync import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "DeniedError",
    "NotFoundError",
    "ProblemError",
    "UnreachableError",
]
