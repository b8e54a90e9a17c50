"""A worker: reads one case a line, plays it, writes one result a line. Started with the shim preloaded."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

from faults.groups import play
from faults.world import warm


def main() -> None:
    """Serve cases until the end of the input."""
    base = Path(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm()
    for line in sys.stdin:
        case = json.loads(line)
        began_s = time.monotonic()
        try:
            answer = play(base, case)
        except Exception:  # noqa: BLE001 - the driver counts it as a broken case
            answer = {"injected": [], "violations": [], "broken": traceback.format_exc()}
        took = {"seconds": round(time.monotonic() - began_s, 3)}
        print(json.dumps({"case": case} | answer | took), file=out, flush=True)


if __name__ == "__main__":
    main()
