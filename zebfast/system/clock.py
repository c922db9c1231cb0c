"""How long ago by this machine's own count, whatever its wall clock is set to in between."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Differs after every start of this machine, when ids and ticks begin anew; or empty."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def steady() -> float:
    """Seconds that only grow, the same for all processes, those asleep counted."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time that can be kept in a file: ``unix`` seconds tell after the next boot."""

    boot: str
    steady: float
    unix: float

    @classmethod
    def now(cls) -> Moment:
        return cls(boot=boot_id(), steady=steady(), unix=time.time())

    def seconds_ago(self) -> float:
        """At least 0; by the wall clock only where this machine was started anew since."""
        now = Moment.now()
        if self.boot and self.boot == now.boot:
            return max(0.0, now.steady - self.steady)
        return max(0.0, now.unix - self.unix)


class WallClock:
    """Unix seconds that pass evenly: the wall clock is asked once, then only its seconds counted.

    Whoever looks again and again can subtract its times; a clock that is set meanwhile makes
    nothing look older or newer.
    """

    def __init__(self) -> None:
        self._offset = time.time() - steady()

    def __call__(self) -> float:
        return self._offset + steady()
