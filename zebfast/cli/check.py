"""One line of `zebfast doctor`."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of the report. `fix` is the command or sentence that mends it, if anything does."""

    name: str
    ok: bool
    detail: str
    required: bool = True
    fix: str = ""

    @property
    def mark(self) -> str:
        if self.ok:
            return "ok"
        return "MISSING" if self.required else "-"


def installed_version(distribution: str) -> str | None:
    """Version of an installed package by its metadata (nothing is imported), or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
