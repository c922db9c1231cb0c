"""Tasks of a Slurm cluster, by its own programs: sbatch, squeue, scancel and sinfo.

An array is one job whose name is the label of its launch, so that what a lost reply of sbatch left
is found by its name; task I of it is the machine with ``-I`` behind that. A task is over for good
whatever ends its process (Slurm brings back only what a node's failure or a preemption took), so
the fleet replaces it like any machine: by looking.

What squeue says counts only where it says it whole: its heading is there in every answer, and an
answer without is none.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from zebfast.fleet.model import Launch, Machine, MachineState, Offer, Spec, is_of_fleet
from zebfast.fleet.provider import ProviderError, Unreachable, WrongSettings, moment
from zebfast.fleet.task import Task, time_seconds

PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo")
INDEX = "SLURM_ARRAY_TASK_ID"  # variable that tells the tasks of an array apart
MOST_ARRAY = 1000  # by Slurm's MaxArraySize, where nobody has changed it
_MOST_CANCELLED = 200  # ids in one command line
_SECONDS = 60.0  # for an answer; without its controller Slurm gives up after ten
_TAIL_BYTES = 1 << 18
_FIELDS = ("%i", "%T", "%r", "%S", "%N", "%b", "%j")  # the name last: it may hold anything
_HEADING = "JOBID|"
_ID = re.compile(r"[0-9]{1,12}(?:_[0-9]{1,8})?")
_STATES: dict[str, MachineState] = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_FED",
         "RESV_DEL_HOLD"),
        "queued",
    ),
    "COMPLETING": "ending",
    # Nothing that the task did: a person, the clock, or the cluster.
    **dict.fromkeys(
        ("CANCELLED", "COMPLETED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", "TIMEOUT",
         "DEADLINE"),
        "ended",
    ),
    **dict.fromkeys(("FAILED", "OUT_OF_MEMORY"), "failed"),
    **dict.fromkeys(("SPECIAL_EXIT", "REQUEUE_HOLD"), "stopped"),
}  # fmt: skip
#: Nothing but a person's hand starts these again: after a node could not start them, mostly.
_HELD = re.compile(r"requeued[ _]held|JobHeldAdmin|BadConstraints", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"unable to contact|connect failure|timed out|connection refused|send/recv|zero bytes"
    r"|temporarily|try again|not responding|backup controller",
    re.IGNORECASE,
)
#: Of the variables of whoever asks, those that a task has no business with.
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
#: Settings of the job in which we may be ourselves, and of people's own listings.
_INSIDE = re.compile(r"(SLURM|SQUEUE|SINFO|SCANCEL)_")
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")


class SlurmProvider:
    """The cluster whose programs are on the path; tasks cost nothing and wait for their turn.

    Args:
        directory: where tasks are started and log, one file each; it must be on a disk that every
            node sees. Made when first needed.
        environment: what Slurm's programs and its tasks inherit; what looks like a key in it, and
            settings of a job in which we may be ourselves, are left out.

    Raises:
        WrongSettings: a program of Slurm's is not on the path.
    """

    name = "slurm"
    most = MOST_ARRAY

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory.absolute()
        self._environment = {
            name: value
            for name, value in environment.items()
            if name in _KEPT or not (_SECRET.search(name) or _INSIDE.match(name))
        }
        self._environment["SLURM_TIME_FORMAT"] = "%s"
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise WrongSettings(
                f"no {' and no '.join(missing)} on the path: give --provider slurm on a machine of "
                "the cluster that submits jobs (mostly its login node)"
            )

    def offers(self, spec: Spec) -> list[Offer]:
        """One offer, as often as is wanted: whether there is room, the scheduler decides."""
        where, gpu = spec.task.partition or "default", spec.task.gpu_type
        return [Offer(provider=self.name, id=where, gpu=gpu, price_per_hour=0.0, many=True)]

    def check(self, launch: Launch) -> None:
        """Ask Slurm whether it would take an array like this, and look at its partitions first."""
        self._check_partition(launch.task)
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            self._sbatch(launch, 1, "--test-only")
        except Unreachable:
            raise
        except ProviderError as error:
            raise WrongSettings(f"{error}") from None

    def create_array(self, launch: Launch, n: int) -> list[str]:
        """One sbatch. What Slurm says last is the number of the job."""
        self._directory.mkdir(parents=True, exist_ok=True)
        said = self._sbatch(launch, n, "--parsable")
        job = said.strip().rpartition("\n")[2].partition(";")[0]
        if not job.isdigit():
            raise Unreachable("sbatch said no number of a job: look by label")
        return [f"{job}_{index}" for index in range(n)]

    def machines(self, fleet: str) -> list[Machine]:
        """Every task of the fleet that Slurm still knows, those among them that are over."""
        said = self._ask(
            "squeue", "--me", "--array", "--states=all", f"--format={'|'.join(_FIELDS)}"
        )
        heading, *rows = said.splitlines() or [""]
        if not heading.startswith(_HEADING):
            raise Unreachable("squeue gave no list: try later")
        found = []
        for row in rows:
            values = row.split("|", len(_FIELDS) - 1)
            if len(values) != len(_FIELDS):
                raise Unreachable("squeue gave a list of an unknown form: try later")
            if is_of_fleet(values[-1], fleet) and _ID.fullmatch(values[0]):
                found.append(_machine(*values))
        return found

    def destroy_all(self, ids: Sequence[str]) -> None:
        """scancel: SIGTERM to every process of a task, and SIGKILL after Slurm's KillWait."""
        wanted = [each for each in ids if _ID.fullmatch(each)]
        for first in range(0, len(wanted), _MOST_CANCELLED):
            self._ask("scancel", "--quiet", *wanted[first : first + _MOST_CANCELLED])

    def logs(self, machine_id: str, *, lines: int) -> str:
        if not _ID.fullmatch(machine_id):
            return ""
        try:
            with open(self._directory / f"{machine_id}.log", "rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
                text = log.read(_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise Unreachable(f"the log of task {machine_id} cannot be read now: {error}") from None
        return "\n".join(text.splitlines()[-lines:])

    def credit(self) -> float | None:
        return None

    def _sbatch(self, launch: Launch, n: int, *more: str) -> str:
        log = str(self._directory).replace("%", "%%") + "/%A_%a.log"
        return self._ask(
            "sbatch", *more, f"--job-name={launch.label}", f"--array=0-{n - 1}",
            *launch.task.sbatch_options(), "--requeue", "--open-mode=append",
            f"--output={log}", f"--chdir={self._directory}", "--export=ALL",
            text=batch_script(launch.command), env=launch.env,
        )  # fmt: skip

    def _check_partition(self, task: Task) -> None:
        """Names and longest times of partitions: what does not fit would wait for ever."""
        said = self._ask("sinfo", "--format=%R|%l").splitlines()
        if not said or not said[0].startswith("PARTITION|"):
            raise Unreachable("sinfo gave no list: try later")
        longest = {
            name: time_seconds(time) for name, _, time in (r.partition("|") for r in said[1:])
        }
        wanted = [name for name in task.partition.split(",") if name]
        for name in wanted:
            if name not in longest:
                known = ", ".join(sorted(longest)) or "none"
                raise WrongSettings(
                    f"Slurm has no partition {name!r}: give --partition one of {known}"
                )
        limits = [longest[name] for name in wanted]
        if (
            task.seconds is not None
            and limits
            and all(most is not None and task.seconds > most for most in limits)
        ):
            raise WrongSettings(
                f"--time {task.time} is longer than partition {task.partition} allows "
                f"({max(filter(None, limits)) // 60} minutes): give a shorter one"
            )

    def _ask(
        self, *command: str, text: str | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """What a program says on its standard output; its complaint as a ProviderError.

        No value of ``env`` is in a command line, and Slurm quotes none.
        """
        program = command[0]
        try:
            done = subprocess.run(
                command, input=text or "", env={**self._environment, **(env or {})},
                capture_output=True, text=True, errors="replace", timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{program} gave no answer for {_SECONDS:.0f} s: try later") from None
        except OSError as error:
            raise ProviderError(f"{program} cannot be started ({error.strerror})") from None
        if done.returncode == 0:
            return done.stdout
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = " ".join(re.sub(rf"^{program}: (error: )?", "", line) for line in lines)[:300]
        if _NO_ANSWER.search(said) or not said:
            raise Unreachable(f"{program} could not ask Slurm ({said or 'no words'}): try later")
        raise ProviderError(f"Slurm refuses this ({said}): change the settings that it names")


def batch_script(command: str) -> str:
    """A launch's command as a batch script, with the programs of this environment first."""
    path = shlex.quote(str(Path(sys.executable).parent))
    return f'#!/bin/bash\nexport PATH={path}:"$PATH"\n{command}\n'


def _machine(
    task_id: str, state: str, reason: str, start: str, node: str, gres: str, name: str
) -> Machine:
    """One row of squeue."""
    index = task_id.partition("_")[2]
    # A state of a later Slurm: its heartbeats will tell.
    found = _STATES.get(state, "running")
    if found == "queued" and _HELD.search(reason):
        found = "stopped"
    why = "" if reason in ("None", "") else f" ({reason})"
    return Machine(
        provider=SlurmProvider.name,
        id=task_id,
        label=f"{name}-{index}" if index else name,
        state=found,
        gpu=Task(gres=_plain(gres)).gpu_type,
        host=node if found == "running" else "",
        message=f"{state}{why}",
        started=moment(start) if found == "running" else None,
    )


def _plain(gres: str) -> str:
    """``gres:gpu:a100:1`` as sbatch takes it; nothing where it is of another form."""
    found = gres.removeprefix("gres:").removeprefix("gres/")
    return found if re.fullmatch(r"gpu(?:[:=][A-Za-z0-9_-]+)*", found) else ""
