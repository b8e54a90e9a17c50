"""A Slurm cluster of Debian's packages on this machine: a controller, and several nodes with a slurmd each.

Everything lies in one folder and runs as the user who runs the tests. The nodes are given more processors and
memory than the machine has (config_overrides), since what runs on them only waits.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
CONF = """\
ClusterName=aispooltest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd.%n.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
KillWait=5
MinJobAge=300
MaxJobCount=30000
MaxArraySize=1001
InactiveLimit=0
SlurmdTimeout=10
DefMemPerCPU=100
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs=32 RealMemory=16000 Feature=fast
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}]
PartitionName=main Nodes=ALL Default=YES MaxTime=24:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=24:00:00 State=UP PriorityTier=10
"""


def missing() -> list[str]:
    """Return the programs that a cluster needs and this machine lacks."""
    return [name for name in NEEDED if shutil.which(name) is None]


def _free_ports(count: int) -> int:
    """Return the first of some ports in a row that nobody listens on."""
    while True:
        first = 20000 + secrets.randbelow(10000)
        taken = []
        for port in range(first, first + count):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    taken.append(port)
        if not taken:
            return first


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    """Poll until the condition holds."""
    end_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError(f"still not after {limit_s:g} s: {what}")
        time.sleep(0.02)


class Cluster:
    """The cluster; `conf` goes into SLURM_CONF."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        port = _free_ports(nodes + 1)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.conf.write_text(
            CONF.format(
                host=socket.gethostname().partition(".")[0],
                port=port,
                first=port + 1,
                last=port + nodes,
                user=getpass.getuser(),
                folder=folder,
                nodes=nodes,
            )
        )
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)

    def start(self) -> None:
        """Start everything, and wait until all nodes are idle."""
        folder = self.folder
        files = [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
        places = (f"--key-file={folder}/munge.key", f"--socket={folder}/munge.sock")
        self._spawn("munged", "--force", "--foreground", *places, *files)
        wait_for((folder / "munge.sock").exists, "munged listens")
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        wait_for(lambda: self.idle_nodes() == len(self.nodes), "all nodes are idle")

    def start_controller(self) -> None:
        self._spawn("slurmctld", "-D", "-f", str(self.conf))
        wait_for(lambda: "UP" in self.run("scontrol", "ping"), "the controller answers")

    def stop_controller(self, number: int = signal.SIGTERM) -> None:
        self._stop("slurmctld", number)

    def start_node(self, node: str) -> None:
        self._spawn("slurmd", "-D", "-N", node, "-f", str(self.conf), name=node)

    def stop_node(self, node: str, number: int = signal.SIGTERM) -> None:
        self._stop(node, number)

    def stop(self) -> None:
        """Cancel what is there, and end everything."""
        self.run("scancel", "--me")
        wait_for(lambda: not self.run("squeue", "-h"), "no job is left")
        for name in reversed(list(self._running)):
            self._stop(name, signal.SIGTERM)

    def pid(self, name: str) -> int:
        """Return the process of one of the daemons: slurmctld, munged, or a node's slurmd by its node."""
        return self._running[name].pid

    def idle_nodes(self) -> int:
        return self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").count(" idle")

    def run(self, *words: str) -> str:
        """Run one of Slurm's commands and return what it printed, whatever its exit status."""
        env = os.environ | {"SLURM_CONF": str(self.conf)}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60).stdout

    def _spawn(self, *argv: str, name: str = "") -> None:
        with (self.folder / f"{name or argv[0]}.out").open("ab") as out:
            self._running[name or argv[0]] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def _stop(self, name: str, number: int) -> None:
        process = self._running.pop(name)
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
