"""How long ago by this machine's own count, whatever its wall clock is set to in between."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_CORRECTION = 5.0  # seconds; by less a clock is corrected all the time
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


def set_by(
    before: tuple[float | None, float | None, str], now: float, steady: float, boot: str
) -> float:
    """By how many seconds the wall clock was set since: 0 for a correction, or where unknown.

    ``before`` are the unix seconds, the steady seconds and the boot of an earlier look.
    """
    unix, then, of_boot = before
    if not boot or of_boot != boot or unix is None or then is None:
        return 0.0
    found = (now - unix) - (steady - then)
    return found if abs(found) > _CORRECTION else 0.0
