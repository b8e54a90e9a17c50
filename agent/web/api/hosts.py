"""The hosts of the fleet, and their logs as one."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query

from agent.client.models import FleetLog, FleetLogLine, Host, HostList
from agent.fleet.central import merged
from agent.fleet.layout import Fleet
from agent.service import fleet
from agent.service.errors import ServiceError
from agent.web.api.parameters import Limit, Now, Reader
from agent.web.api.tasks import Names

routes = APIRouter(tags=["Hosts"])


@routes.get("/hosts", summary="List the hosts")
def list_hosts(context: Now, _identity: Reader) -> HostList:
    """List the hosts as they were when last seen, the server's own first."""
    return HostList(hosts=tuple(Host.model_validate(each) for each in fleet.hosts(context.desk)))


@routes.get("/hosts/{name}", summary="Show one host")
def get_host(
    context: Now,
    _identity: Reader,
    name: Annotated[
        str, Path(min_length=1, max_length=100, description="Its name, or `here`.", examples=["here"])
    ],
) -> Host:
    """Show one host as it was when last seen."""
    wanted = None if name == "here" else name
    for each in fleet.hosts(context.desk):
        if each["host"] == wanted:
            return Host.model_validate(each)
    raise ServiceError("not_found", f"there is no host {name}: the list names all there are")


@routes.get("/fleet/logs", summary="Read the logs of all hosts as one")
def get_fleet_logs(
    context: Now,
    _identity: Reader,
    host: Annotated[Names, Query(description="Only of this one; repeatable.")] = [],  # noqa: B006 - FastAPI copies
    text: Annotated[
        str, Query(max_length=1000, description="Only lines that contain this.", examples=["WARNING"])
    ] = "",
    limit: Limit = 200,
) -> FleetLog:
    """Read the last lines of the collected logs of all hosts, merged by the time of each line."""
    mirrors = [one for one in Fleet(context.desk.workspace).mirrors() if not host or one.name in host]
    lines = merged(mirrors, re.compile(re.escape(text)), limit, {})
    return FleetLog(lines=tuple(FleetLogLine(host=one.host, log=one.log, text=one.text) for one in lines))
