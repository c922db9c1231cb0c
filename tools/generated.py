"""What every writer of a checked-in file does: write it, or with --check compare it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(description: str, target: Path, render: Callable[[], str]) -> int:
    """Command line of a writer: exit code 0, or 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the file is out of date")
    check = parser.parse_args().check
    return renew(target, render(), f"python tools/{Path(sys.argv[0]).name}", check_only=check)


def renew(target: Path, text: str, command: str, *, check_only: bool) -> int:
    """Write the file, or only compare it: exit code 1 where it is not what `command` writes."""
    if not check_only:
        target.write_text(text, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        name = target.relative_to(ROOT)
        print(f"{name} is out of date: run {command}", file=sys.stderr)
        return 1
    return 0


def put_between(text: str, begin: str, end: str, made: str) -> str:
    """A page's text with what was made between two markers. ValueError if they are not there."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page must contain {begin!r} and, after it, {end!r}")
    return f"{before}{begin}\n{made}\n{end}{after}"
