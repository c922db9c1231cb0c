"""What one check says, and the limits that the checks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "wait", "wrong", "off"]

SILENT_SECONDS = 900.0  # no progress for so long is a fault


@dataclass(frozen=True)
class Check:
    """``state``: ok; wait = not there yet, and need not be; wrong = see ``fix``; off = not used."""

    name: str
    state: State
    found: str
    fix: str = ""


def age(seconds: float) -> str:
    """A length of time in two units at most: ``5 s``, ``4 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
