"""A Slurm cluster of one node on the loopback: a real munged, slurmctld and slurmd of this machine.

Nothing of it is the machine's own: keys, sockets, ports, state and configuration are in a directory
of the test's, and ``SLURM_CONF`` names it. The daemons are started as this process's children,
and end with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

#: Programs of Debian's packages slurm-wlm and munge.
PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "slurmctld", "slurmd", "munged")
_CONF = """
ClusterName=zebtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
CredType=cred/munge
StateSaveLocation={home}/ctld
SlurmdSpoolDir={home}/slurmd
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=20
MinJobAge=300
InactiveLimit=0
SlurmdTimeout=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=DEFAULT Nodes={host} State=UP
PartitionName=main Default=YES MaxTime=INFINITE OverSubscribe=FORCE:8
PartitionName=short MaxTime=2 OverSubscribe=FORCE:8
"""
#: With this there is one task a CPU, whatever OverSubscribe says.
_PREEMPTION = """
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=low PriorityTier=1 GraceTime=5
PartitionName=high PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str | None:
    """Why no cluster can be started here, as a reason to skip; None where one can."""
    absent = [name for name in PROGRAMS if _find(name) is None]
    if absent:
        return f"no {', '.join(absent)} here (Debian: apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "only root can be a Slurm node"


class Cluster:
    """One that runs. ``environment`` is what a program needs to speak to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {"SLURM_CONF": str(home / "slurm.conf")}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, preempts: bool = False) -> None:
        """Start all daemons, and wait until the node is idle.

        Args:
            preempts: there are partitions ``low`` and ``high``, of which the second takes the first
                one's place.
        """
        host = socket.gethostname().split(".")[0]
        for name in ("munge", "ctld", "slurmd"):
            (self.home / name).mkdir(parents=True, mode=0o755)
        key = self.home / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        conf = (_CONF + (_PREEMPTION if preempts else "")).format(
            home=self.home, host=host, ports=free_ports(2), user="root", cpus=os.cpu_count() or 1
        )
        (self.home / "slurm.conf").write_text(conf)
        (self.home / "cgroup.conf").write_text("")
        munge = self.home / "munge"
        self._spawn(
            "munged", "--foreground", "--force", f"--socket={munge}/socket", f"--key-file={key}",
            f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
        )  # fmt: skip
        wait_for("munged", (munge / "socket").exists)
        self.start_controller()
        self._spawn("slurmd", "-D", "-N", host)
        wait_for("an idle node", lambda: "idle" in self.run("sinfo", "-h", "-o", "%T"))

    def start_controller(self) -> None:
        """Also after ``kill_controller``: it goes on from the state on its disk."""
        self._spawn("slurmctld", "-D")

    def has_saved(self, since: float) -> bool:
        """Is its jobs' state on the disk that of a moment (Unix time) or later?"""
        return (self.home / "ctld" / "job_state").stat().st_mtime > since

    def kill_controller(self) -> None:
        controller = self._children["slurmctld"]
        controller.kill()
        controller.wait()

    def run(self, *command: str) -> str:
        """What a program of Slurm's says."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr

    def _spawn(self, program: str, *arguments: str) -> None:
        found = _find(program)
        assert found is not None
        log = open(self.home / f"{program}.out", "ab")  # noqa: SIM115 - the child's from here on
        with log:
            self._children[program] = subprocess.Popen(
                [found, *arguments], env=os.environ | self.environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def close(self) -> None:
        """Cancel all jobs, and end the daemons."""
        with suppress(subprocess.TimeoutExpired):
            self.run("scancel", "--signal=KILL", "--full", "--me")
            self.run("scancel", "--me")
        for child in reversed(self._children.values()):
            child.terminate()
        for child in reversed(self._children.values()):
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def running_cluster(home: Path, **settings: bool) -> Iterator[Cluster]:
    """A cluster for the length of the context."""
    with ExitStack() as stack:
        cluster = Cluster(home)
        stack.callback(cluster.close)
        cluster.start(**settings)
        yield cluster


def wait_for(what: str, is_so: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def free_ports(n: int) -> list[int]:
    """Ports of the loopback that nobody listens at now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
