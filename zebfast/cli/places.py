"""Where weights and examples are: a directory, or a flag that will also take a Hub repository.

``--weights-dir``, ``--output-dir`` and ``--input-dir`` always mean directories. The ``--…repo-id``
flags take either, so a name of the form ``owner/name`` that is no directory is a Hub repository.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zebfast.cli.run import Decorated

WEIGHTS = ("--weights-dir", "--repo-id")


def place_options(plain: str, either: str, text: str) -> Callable[[Decorated], Decorated]:
    """Two click options for one place: `plain` takes a directory, `either` could name a Hub."""

    def decorate(command: Decorated) -> Decorated:
        same = f"The same as {plain}; will also take a Hub repository once there is a back end."
        command = click.option(either, metavar="DIR", help=same)(command)
        return click.option(plain, metavar="DIR", help=f"{text}  [required]")(command)

    return decorate


def chosen_directory(flags: dict[str, Any], plain: str, either: str) -> Path:
    """The directory that a pair of place_options() names; it need not exist yet.

    Raises:
        ValueError: neither or both are given, it is a file, or it looks like a Hub repository.
    """
    given = {name: flags[name[2:].replace("-", "_")] for name in (plain, either)}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) != 1:
        if given:
            raise ValueError(f"Give {plain} or {either}, not both: they name the same directory.")
        raise ValueError(f"Missing option '{plain}' (or '{either}'): give a directory.")
    [(flag, value)] = given.items()
    if not value.strip():
        raise ValueError(f"{flag} is empty: give a directory.")
    path = Path(value).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{flag} {value} is a file: expected a directory.")
    if flag == either and not path.is_dir() and looks_like_hub(value):
        raise ValueError(
            f"{flag} {value} is not a directory, and there is no Hugging Face Hub back end in "
            f"this version: for a new directory of that name write {plain} {value}."
        )
    return path


def looks_like_hub(value: str) -> bool:
    """Is this written as ``owner/name`` is?"""
    owner, slash, name = value.partition("/")
    return bool(slash and name and "/" not in name) and owner not in ("", ".", "..", "~")
