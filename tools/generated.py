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
    text = render()
    if not check:
        target.write_text(text)
        return 0
    if target.exists() and target.read_text() == text:
        return 0
    name = target.relative_to(ROOT)
    print(f"{name} is out of date: run python {Path(sys.argv[0]).name}", file=sys.stderr)
    return 1


def put_between(text: str, begin: str, end: str, made: str) -> str:
    """A page's text with what was made between two markers. ValueError if they are not there."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page must contain {begin!r} and, after it, {end!r}")
    return f"{before}{begin}\n{made}\n{end}{after}"
