"""Where weights and examples are: directories, or repositories and buckets of the Hub.

``--weights-dir``, ``--output-dir`` and ``--input-dir`` always mean directories. The ``--…repo-id``
flags take either: a name of the form ``owner/name`` that is no directory is a Hub repository.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zebfast.cli.options import setting_option, setting_values, together
from zebfast.cli.run import Decorated
from zebfast.exchange import Place, StoreOptions
from zebfast.exchange.errors import momentarily

WEIGHTS = ("--weights-dir", "--repo-id")
BUCKET = "--examples-bucket"


def place_options(plain: str, either: str, text: str) -> Callable[[Decorated], Decorated]:
    """Click options for one place: `plain` takes a directory, `either` also a Hub repository."""

    same = f"The same as {plain}, or owner/name: a repository of the Hugging Face Hub."
    options = [click.option(plain, metavar="DIR", help=f"{text}  [one is required]"),
               click.option(either, metavar="PLACE", help=same)]  # fmt: skip
    if (plain, either) != WEIGHTS:
        options.append(
            click.option(BUCKET, metavar="OWNER/NAME", help="The same in a Storage Bucket of the "
                         "Hub: no limit of commits an hour.")
        )  # fmt: skip
    return together(*options)


#: The options of everything that talks to the Hub.
store_options = together(
    setting_option(StoreOptions, "retry_seconds"),
    click.option("--state-dir", metavar="DIR", help="This machine's own files of the run (default: "
                 "the weights directory; for the Hub below ~/.cache/zebfast/hub)."),
)  # fmt: skip


def chosen_place(flags: dict[str, Any], plain: str, either: str) -> Place:
    """The place that a set of place_options() names; it need not exist yet.

    Raises:
        ValueError: none or several are given, or it is a file.
    """
    names = (plain, either) if (plain, either) == WEIGHTS else (plain, either, BUCKET)
    given: dict[str, str] = {}
    for name in names:
        value = flags.get(name[2:].replace("-", "_"))
        if value is not None:
            given[name] = value
    if len(given) != 1:
        if given:
            raise ValueError(f"Give {' or '.join(given)}, not both: they name the same place.")
        raise ValueError(f"Missing option '{plain}' (or '{either}'): give a directory.")
    [(flag, value)] = given.items()
    if flag == BUCKET:
        if not looks_like_hub(value):
            raise ValueError(f"{flag} {value} is no bucket's name: expected owner/name.")
        return Place("bucket", value)
    if not value.strip():
        raise ValueError(f"{flag} is empty: give a directory.")
    path = Path(value).expanduser()
    exists, is_dir = momentarily(lambda: (path.exists(), path.is_dir()))
    if exists and not is_dir:
        raise ValueError(f"{flag} {value} is a file: expected a directory.")
    if flag == either and not is_dir and looks_like_hub(value):
        return Place("model" if either == WEIGHTS[1] else "dataset", value)
    return Place.directory(path)


def chosen_stores(flags: dict[str, Any], weights: Place) -> StoreOptions:
    """How the stores behave: from the flags of store_options(), and --upload-interval if there."""
    own = Path("~/.cache/zebfast/hub", weights.name.replace("/", "--"))
    chosen = flags["state_dir"] or weights.path or own
    return StoreOptions(state_dir=Path(chosen).expanduser(), **setting_values(StoreOptions, flags))


def looks_like_hub(value: str) -> bool:
    """Is this written as ``owner/name`` is?"""
    owner, slash, name = value.partition("/")
    return bool(slash and name and "/" not in name) and owner not in ("", ".", "..", "~")
