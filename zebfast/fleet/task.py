"""What one task of a cluster is given: the same words for Slurm and for every manifest.

The names are those of sbatch's options, whose values Slurm itself judges; what is checked here is
that each is one word of the right form, so that it can stand in a script or a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from zebfast.system.settings import SettingError, check, setting

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,@%:+-]{0,199}")
_GRES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:,=()-]{0,199}")
_MEMORY = re.compile(r"([1-9][0-9]{0,9})([KMGT]?)")
_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,6})(?::(\d{1,2}))?(?::(\d{1,2}))?")
_MIB = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Of one task; an empty string leaves the choice to the cluster.

    Attributes:
        gres: as sbatch has it; ``gpu:1``, ``gpu:a100:2``.
        time: minutes, or as in ``1-12:00:00``.
    """

    partition: str = setting("", "Slurm: partition, or several with commas between.")
    account: str = setting("", "Slurm: account that is charged.")
    qos: str = setting("", "Slurm: quality of service.")
    gres: str = setting("", "GPUs and the like of one task, gpu:1 or gpu:a100:1.")
    cpus: int | None = setting(None, "CPUs of one task.", least=1, most=1024, flag="cpus_per_task")
    memory: str = setting("", "Memory of one task, 8G.", flag="mem")
    time: str = setting("", "Longest run of one task, minutes or D-HH:MM:SS.")
    grace: int = setting(
        120, "Seconds before that at which it is told to stop.", least=1, most=65_535
    )

    def __post_init__(self) -> None:
        check(self)
        for name, form, wanted in (
            ("partition", _NAME, "a name"),
            ("account", _NAME, "a name"),
            ("qos", _NAME, "a name"),
            ("gres", _GRES, "what sbatch --gres takes, gpu:1"),
            ("memory", _MEMORY, "a whole number with K, M, G or T behind it, 8G"),
            ("time", _TIME, "minutes, HH:MM:SS or D-HH:MM:SS"),
        ):
            value = getattr(self, name)
            if value and not form.fullmatch(value):
                raise SettingError(f"{name} is {value!r:.60}: expected {wanted}")

    @property
    def seconds(self) -> int | None:
        """Its longest run; None where the cluster decides."""
        return None if not self.time else time_seconds(self.time)

    @property
    def memory_mib(self) -> int | None:
        """Its memory; None where the cluster decides."""
        found = _MEMORY.fullmatch(self.memory)
        return None if found is None else max(1, round(int(found[1]) * _MIB[found[2]]))

    @property
    def gpu(self) -> tuple[str, int] | None:
        """Type (empty: any) and number of its GPUs; None where it has none."""
        for one in re.sub(r"\([^)]*\)", "", self.gres).split(","):
            kind, *rest = re.split(r"[:=]", one)
            if kind == "gpu":
                number = next((int(part) for part in rest if part.isdigit()), 1)
                named = next((part for part in rest if not part.isdigit()), "")
                return (named, number) if number else None
        return None

    @property
    def gpu_type(self) -> str:
        """What it plays on, as a fleet's table has it."""
        return "cpu" if self.gpu is None else self.gpu[0] or "GPU"

    def sbatch_options(self) -> Iterator[str]:
        """Its options of sbatch; the signal goes to the batch shell alone, which is the worker's
        supervisor."""
        names = {"cpus": "cpus-per-task", "memory": "mem"}
        for found in fields(self):
            value = getattr(self, found.name)
            if found.name != "grace" and value:
                yield f"--{names.get(found.name, found.name)}={value}"
        yield f"--signal=B:TERM@{self.grace}"


def time_seconds(text: str) -> int | None:
    """A time as Slurm writes it; None for one without an end, or that is none.

    Alone, a number is minutes; two are minutes and seconds, or behind days, hours and minutes.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    days, *parts = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(numbers) < 3:
        minutes, seconds = (*numbers, 0)[:2]
        return minutes * 60 + seconds
    hours, minutes, seconds = numbers
    return (hours * 60 + minutes) * 60 + seconds
