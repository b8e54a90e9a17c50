r"""logs/audit.jsonl: who asked, what was proposed, rated, approved and run, with what result.

One JSON object a line. `n` counts from 1, `prev` is the SHA-256 of the line before it (without its line
break), so an edit, a removal or an insertion shows. logs/.audit.head holds number and digest of the last
entry, so that a cut end shows as well. Whoever can write the folder can write the whole chain anew: against
that, keep the digest that `aispool audit verify` prints elsewhere, and give it back with --anchor. By hand:

    sed -n 41p logs/audit.jsonl | tr -d '\n' | sha256sum    # is the `prev` of line 42

Append = lock, find the last entry, write one line, fsync, note it in the head. Nothing is ever removed: a
line that a crash tore is ended by a line break, and the next entry (`mended`) holds its digest. A full file
is renamed to audit-N.jsonl, N being its first entry; the chain goes on in the new one. Whoever wants to begin
anew moves all of these and .audit.head away; a log that went without its head is told of in the next one.
"""

from agent.audit.line import AuditError, Entry
from agent.audit.reading import Verdict, entries, verify
from agent.audit.writing import append

__all__ = ["AuditError", "Entry", "Verdict", "append", "entries", "verify"]
