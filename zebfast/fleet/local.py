"""Processes of this machine as a provider: its spare cores, and how a fleet is tried for real.

Every machine has a directory, named by its id, with what was asked for (``machine.json``), its
first process as the kernel described it at birth (``birth``, written by that process itself, so
that one which outlives us at any moment is known), and all that it printed (``log.txt``).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast.fleet.model import Launch, Machine, MachineState, Offer, Spec, is_of_fleet
from zebfast.fleet.provider import OfferGone, ProviderError, moment
from zebfast.system.clock import boot_id
from zebfast.system.files import write_atomic
from zebfast.system.parse import parse_json

# --- Processes of this machine that are told apart for good: by id and by the time of their
# birth.

_PROC = Path("/proc")
_LOOK_SECONDS = 0.05
_KILL_SECONDS = 10.0  # until a killed process is gone, one in the kernel apart


@dataclass(frozen=True)
class Birth:
    """A process by its id and when it was born, in ticks since the boot; an id alone is reused."""

    pid: int
    ticks: int

    def is_alive(self) -> bool:
        """Is it this process that has the id now, and not yet ended?"""
        now = read_stat(self.pid)
        return now is not None and now.birth == self and now.state not in "ZX"


@dataclass(frozen=True)
class Stat:
    """What the kernel says of a process: its birth, session, and the letter of its state."""

    birth: Birth
    session: int
    state: str


def parse_stat(text: str) -> Stat:
    """One line of ``/proc/PID/stat``; the program's name in it may hold anything."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    return Stat(Birth(int(pid), int(fields[19])), int(fields[3]), fields[0])


def read_stat(pid: int) -> Stat | None:
    """What the kernel says of a process now; None when there is none of this id."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def end_session(leader: Birth, grace: float) -> bool:
    """End every process of the session that ``leader`` began.

    SIGTERM to the leader's group, once: a supervisor passes it on, and a second one would cut short
    what the first began. SIGKILL to all that are left after ``grace`` seconds. Halted ones are
    woken, so that they can save their work. Returns whether all are gone.
    """
    with suppress(ProcessLookupError):
        if leader.is_alive():
            os.killpg(leader.pid, signal.SIGTERM)
    _signal(leader, signal.SIGCONT)
    if _wait(leader, grace):
        return True
    _signal(leader, signal.SIGKILL)
    return _wait(leader, _KILL_SECONDS)


def _wait(leader: Birth, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(True for _ in _members(leader)):
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _signal(leader: Birth, number: int) -> None:
    for member in _members(leader):
        with suppress(ProcessLookupError):
            os.kill(member.pid, number)


def _members(leader: Birth) -> Iterator[Birth]:
    """The living processes of its session. An id is not reused while a session has it."""
    now = read_stat(leader.pid)
    if now is not None and now.birth != leader:
        return  # somebody else's id by now: the session ended before
    for path in _PROC.iterdir():
        if path.name.isdigit() and (stat := read_stat(int(path.name))):
            is_ours = stat.session == leader.pid and stat.birth.ticks >= leader.ticks
            if is_ours and stat.state not in "ZX":
                yield stat.birth


GPU = "cpu"
SLOTS = 8
GRACE_SECONDS = 60.0  # a worker uploads for up to 30 s
_BORN_SECONDS = 60.0  # from the request to the first line of the script
_TAIL_BYTES = 1 << 18
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: Says who it is, takes its variables from the standard input (where no process list shows them),
#: and becomes the script. Keys of the providers are none of a worker's business.
_BIRTH = """
cat /proc/$$/stat > birth.tmp && mv birth.tmp birth || exit 1
unset VAST_API_KEY RUNPOD_API_KEY
while IFS= read -r -d '' pair; do export "$pair"; done
export PATH="$1:$PATH" ZEB_ALLOW_CPU=1
exec bash -c "$2" </dev/null
"""


class LocalProvider:
    """At most SLOTS machines that cost nothing, each a session of processes.

    Its offers are of the type ``cpu`` and without host, bandwidth or reliability, whatever types
    of GPU a fleet wants: who names this provider wants this machine.

    Args:
        directory: where the machines' directories are; made when first needed.
        grace: seconds that ``destroy`` waits for processes to end before it kills them.
    """

    name = "local"

    def __init__(self, directory: Path, *, grace: float = GRACE_SECONDS) -> None:
        self._directory, self._grace = directory, grace

    def offers(self, spec: Spec) -> list[Offer]:
        taken = {facts["slot"] for facts in self._present().values()}
        free = [str(slot) for slot in range(SLOTS) if str(slot) not in taken]
        return [Offer(provider=self.name, id=slot, gpu=GPU, price_per_hour=0.0) for slot in free]

    def create(self, offer: Offer, launch: Launch) -> str:
        machine_id = launch.label.rsplit("/", 1)[-1]
        if not _ID.fullmatch(machine_id):
            raise ProviderError(f"label {launch.label!r} cannot be used: expected FLEET/TOKEN")
        if offer.id in {facts["slot"] for facts in self._present().values()}:
            raise OfferGone(f"slot {offer.id} of this machine is taken: take another")
        home = self._directory / machine_id
        try:
            home.mkdir(parents=True)
        except FileExistsError:
            raise ProviderError(
                f"{home} is there already: a label is for one machine, take another"
            ) from None
        facts = {"label": launch.label, "slot": offer.id, "asked": time.time(), "boot": boot_id()}
        self._write(machine_id, facts)
        pairs = "".join(f"{key}={value}\0" for key, value in launch.env.items())
        script = (_BIRTH, "bash", str(Path(sys.executable).parent), launch.command)
        try:
            # A session of its own, of a process that is nobody's child: we may end at any time.
            with open(home / "log.txt", "ab") as log:
                subprocess.run(
                    ["setsid", "--fork", "bash", "-c", *script],
                    cwd=home, input=pairs.encode(), stdout=log, stderr=log, check=True,
                )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            self._write(machine_id, facts | {"destroyed": time.time()})
            raise ProviderError(f"{launch.label} cannot be started here: {error}") from error
        return machine_id

    def machines(self, fleet: str) -> list[Machine]:
        return [
            Machine(
                provider=self.name,
                id=machine_id,
                label=facts["label"],
                state=self._state(machine_id, facts),
                gpu=GPU,
                message=self.logs(machine_id, lines=1),
                price_per_hour=0.0,
                started=moment(facts["asked"]),
            )
            for machine_id, facts in self._present().items()
            if is_of_fleet(facts["label"], fleet)
        ]

    def _state(self, machine_id: str, facts: Mapping[str, Any]) -> MachineState:
        birth = self._birth(machine_id, facts)
        if birth is not None:
            return "running" if birth.is_alive() else "exited"
        waited = time.time() - facts["asked"]
        if facts["boot"] == boot_id() and 0 <= waited < _BORN_SECONDS:
            return "loading"
        return "exited"

    def destroy(self, machine_id: str) -> None:
        facts = self._present().get(machine_id)
        if facts is None:
            return
        end = time.monotonic() + _BORN_SECONDS
        while self._state(machine_id, facts) == "loading" and time.monotonic() < end:
            time.sleep(0.02)  # what is just being born would otherwise outlive this
        birth = self._birth(machine_id, facts)
        if birth is not None and not end_session(birth, self._grace):
            raise ProviderError(
                f"processes of {facts['label']} do not end, not even by SIGKILL: look at session "
                f"{birth.pid} with ps -s {birth.pid}"
            )
        self._write(machine_id, {**facts, "destroyed": time.time()})

    def logs(self, machine_id: str, *, lines: int) -> str:
        if not _ID.fullmatch(machine_id):
            return ""
        try:
            with open(self._directory / machine_id / "log.txt", "rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
                text = log.read(_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def credit(self) -> float | None:
        return None

    def _present(self) -> dict[str, dict[str, Any]]:
        """What was asked for, by id, of the machines that were not destroyed; oldest first."""
        found = {}
        for path in self._directory.glob("*/machine.json"):
            try:
                facts = parse_json(path.read_bytes())
                if (asked := moment(facts["asked"])) is None:
                    raise ValueError("asked is no time")
                plain = {key: str(facts[key]) for key in ("label", "slot", "boot")}
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise ProviderError(
                    f"{path} cannot be read ({error}): stop what runs in its directory, and remove "
                    "the directory"
                ) from None
            if "destroyed" not in facts:
                found[path.parent.name] = {**plain, "asked": asked}
        return dict(sorted(found.items(), key=lambda item: (item[1]["asked"], item[0])))

    def _write(self, machine_id: str, facts: Mapping[str, Any]) -> None:
        write_atomic(
            self._directory / machine_id / "machine.json", (json.dumps(facts) + "\n").encode()
        )

    def _birth(self, machine_id: str, facts: Mapping[str, Any]) -> Birth | None:
        """Its first process; None while it has none, and after a restart of this machine."""
        if facts["boot"] != boot_id():
            return None
        try:
            return parse_stat((self._directory / machine_id / "birth").read_text()).birth
        except FileNotFoundError:
            return None
