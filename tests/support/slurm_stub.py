"""sbatch, squeue, scancel and sinfo without a Slurm: programs that keep jobs as a file.

``SlurmStub`` puts them into a folder, to be put on the path. Each does what the real one does with
the flags that zebfast gives it, and its answers have the real one's form (22.05). Nothing is run;
a test says what becomes of a task.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo")
PARTITIONS = {"main": "infinite", "short": "2:00", "full": "1-00:00:00"}
HEADING = "JOBID|STATE|REASON|START_TIME|NODELIST|TRES_PER_NODE|NAME"
ANOTHERS = "77|RUNNING|None|1|n1|gres:gpu:2|some|body else's"
NO_REPLY = "Socket timed out on send/recv operation"
_REFUSED = {
    "--partition=full": "Job violates accounting/QOS policy (job submit limit, user's size and/or "
    "time limits)",
    "--qos=unknown": "Invalid qos specification",
}


class SlurmStub:
    """The cluster behind the programs, as a test sees it."""

    def __init__(self, home: str) -> None:
        self.home, self.bin = home, f"{home}/bin"

    def install(self) -> None:
        os.makedirs(self.bin)
        for name in PROGRAMS:
            path = f"{self.bin}/{name}"
            with open(path, "w") as script:
                this = f"{sys.executable} -I -S {__file__} {self.home} {name}"
                script.write(f'#!/bin/sh\nexec {this} "$@"\n')
            os.chmod(path, 0o755)

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Every task: its id, job, index, name, state, reason, start, and its job's script, flags
        and environment."""
        found: list[dict[str, Any]] = self._read("jobs.json", [])
        return found

    @jobs.setter
    def jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._write("jobs.json", jobs)

    @property
    def calls(self) -> list[list[str]]:
        """Every command line so far."""
        found: list[list[str]] = self._read("calls.json", [])
        return found

    def arrays(self) -> int:
        """How often something was submitted."""
        return sum(call[0] == "sbatch" and "--test-only" not in call for call in self.calls)

    def alive(self) -> list[str]:
        """Ids of the tasks that wait or run."""
        return [job["id"] for job in self.jobs if job["state"] in ("PENDING", "RUNNING")]

    def set(self, state: str, *ids: str, reason: str = "None", start: float = 0.0) -> None:
        """What becomes of tasks (default: of all that wait or run)."""
        jobs, wanted = self.jobs, ids or self.alive()
        for job in jobs:
            if job["id"] in wanted:
                job |= {"state": state, "reason": reason, "start": int(start) or job["start"]}
        self.jobs = jobs

    def fail(self, program: str, *how: str) -> None:
        """Its next calls go wrong: ``error`` with nothing done, ``lost`` when all is done, both
        with a complaint; ``empty`` without a word."""
        faults = self._read("faults.json", {})
        faults.setdefault(program, []).extend(how)
        self._write("faults.json", faults)

    def run(self, program: str, arguments: list[str], text: str) -> int:
        """One call of a program; its exit code."""
        self._write("calls.json", [*self.calls, [program, *arguments]])
        faults = self._read("faults.json", {})
        fault = faults[program].pop(0) if faults.get(program) else None
        self._write("faults.json", faults)
        if fault == "empty":
            return 0
        code = 0 if fault == "error" else getattr(self, f"_{program}")(arguments, text)
        return _complain(program, NO_REPLY) if fault in ("error", "lost") else code

    def _sbatch(self, arguments: list[str], text: str) -> int:
        for flag, refusal in _REFUSED.items():
            if flag in arguments:
                return _complain("sbatch", f"Batch job submission failed: {refusal}")
        flags = dict(each.partition("=")[::2] for each in arguments)
        if "--test-only" in flags:
            return 0
        jobs = self.jobs
        number = 1 + max((job["job"] for job in jobs), default=0)
        facts = {"job": number, "name": flags["--job-name"], "state": "PENDING", "reason": "None",
                 "start": "N/A", "script": text, "flags": arguments,
                 "env": dict(os.environ)}  # fmt: skip
        n = 1 + int(flags["--array"].partition("-")[2])
        self.jobs = jobs + [{"id": f"{number}_{i}", "index": i, **facts} for i in range(n)]
        print(number)
        return 0

    def _squeue(self, _arguments: list[str], _text: str) -> int:
        print(HEADING)
        for job in self.jobs:
            node = "n1" if job["state"] == "RUNNING" else ""
            facts = (job["id"], job["state"], job["reason"], job["start"], node, "N/A", job["name"])
            print(*facts, sep="|")
        print(ANOTHERS)
        return 0

    def _scancel(self, arguments: list[str], _text: str) -> int:
        self.set("CANCELLED", "", *set(arguments).intersection(self.alive()))
        return 0

    def _sinfo(self, _arguments: list[str], _text: str) -> int:
        print("PARTITION|TIMELIMIT", *(f"{name}|{most}" for name, most in PARTITIONS.items()),
              sep="\n")  # fmt: skip
        return 0

    def _read(self, name: str, otherwise: Any) -> Any:
        try:
            with open(f"{self.home}/{name}") as file:
                return json.load(file)
        except FileNotFoundError:
            return otherwise

    def _write(self, name: str, found: Any) -> None:
        with open(f"{self.home}/{name}", "w") as file:
            json.dump(found, file)


def _complain(program: str, text: str) -> int:
    print(f"{program}: error: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    place, called, *given = sys.argv[1:]
    sys.exit(SlurmStub(place).run(called, given, sys.stdin.read()))
