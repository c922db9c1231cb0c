"""Every stage as a fixed piece of work of some milliseconds: what `make gate` times in two trees.

A piece is defined here, in this checkout, and runs against whichever zebfast is imported. It uses
fixed seeds and one thread, so that both trees do the same work; `identity` says what that work
was. A tree that lacks what a piece needs fails in `prepare`, and the stage is skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 42

#: Does the piece once; what it returns tells whether two trees did the same.
Work = Callable[[], object]


@dataclass(frozen=True)
class Piece:
    """A stage's name, what is done, and how to set it up in an empty folder of its own."""

    key: str
    what: str
    prepare: Callable[[Path], Work]


def identity(result: object) -> str:
    """A short text that is equal where results are: of arrays and numbers, and of groups of them.

    What a network computes may differ in its last bits from tree to tree, so a piece returns what
    it worked on and how much, never a network's answers.
    """
    digest = hashlib.sha256()
    _feed(digest, result)
    return digest.hexdigest()[:12]


def _feed(digest: Any, result: object) -> None:
    if isinstance(result, dict):
        result = sorted(result.items())
    if isinstance(result, (list, tuple)):
        for part in result:
            _feed(digest, part)
    elif hasattr(result, "tobytes"):
        digest.update(result.tobytes())
    elif isinstance(result, (int, str)):
        digest.update(repr(result).encode())
    else:
        raise TypeError(f"a piece of work must not return a {type(result).__name__}")


def pieces() -> dict[str, Piece]:
    """All stages by key, in the order of the pipeline."""
    from bench import pieces_core, pieces_files, pieces_net, pieces_play

    groups = (pieces_core, pieces_net, pieces_play, pieces_files)
    return {piece.key: piece for group in groups for piece in group.PIECES}
