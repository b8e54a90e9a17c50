"""Collaborative runs: asked for, looked at, approved and labelled. The files are those of `agent.collab`."""

from agent.service.collab.approving import exact, is_plain, rated, say
from agent.service.collab.chatting import Chatted, chat
from agent.service.collab.documents import document_of, report_text
from agent.service.collab.explaining import explain
from agent.service.collab.labelling import label
from agent.service.collab.showing import run, runs, stamp
from agent.service.collab.starting import TYPES, domains, hosts, start

commands = rated

__all__ = [
    "TYPES",
    "Chatted",
    "chat",
    "commands",
    "document_of",
    "domains",
    "exact",
    "explain",
    "hosts",
    "is_plain",
    "label",
    "rated",
    "report_text",
    "run",
    "runs",
    "say",
    "stamp",
    "start",
]
