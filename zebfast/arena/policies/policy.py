"""A policy: what a seat does, as Python functions of what it sees and a random number.

import zebfast

@zebfast.policy
def lowest(view, random):
    return next(domino for domino in range(28) if view.legal >> domino & 1)

@lowest.bid
def lowest(view, random):
    return 30 if view.legal >> 1 & 1 else 0  # bit 1 of the legal calls: 30
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the seat sees (see `View`) and a number from 0 to 2**63 - 1; what it does, or below 0 an
#: error.
Answer = Callable[[Any, int], int]
KINDS = ("play", "bid", "declare")


class PolicyError(ValueError):
    """A policy that cannot be loaded or compiled, or gave no legal answer; one sentence."""


class NoAnswer(PolicyError):
    """No answer that can be used: a sentence with the place where that was.

    Attributes:
        row: of the games that were asked about; others may have it under another name.
    """

    def __init__(self, before: str, where: str, after: str, *, row: int = 0) -> None:
        self._before, self._after, self.row = before, after, row
        super().__init__(f"{before} in {where}{after}")

    def at(self, where: str) -> Self:
        """The same, told of where others know it to be."""
        return type(self)(self._before, where, self._after, row=self.row)


@contextmanager
def renumbered(rows: Sequence[int] | NDArray[Any]) -> Iterator[None]:
    """Around what asks about some rows and counts them from 0: errors have rows[i] for i."""
    try:
        yield
    except NoAnswer as error:
        error.row = int(rows[error.row])
        raise


class UnusableAnswer(NoAnswer):
    """An answer that is not legal, an error code or an exception."""

    @classmethod
    def of(cls, label: str, what: str, where: str, legal: str, *, row: int = 0) -> Self:
        """What the policy of that label did, where others are legal."""
        after = (
            f", where {legal} are legal: mend it, or let such answers be replaced by "
            "illegal=replace."
        )
        return cls(f"{label} {what}", where, after, row=row)


class PolicyStuck(NoAnswer):
    """A policy that does not answer. What is compiled cannot be stopped: its thread goes on."""

    @classmethod
    def of(cls, label: str, seconds: float, where: str, *, row: int = 0) -> Self:
        """For so many seconds."""
        after = (
            ": is there a loop that does not end? It cannot be stopped, and keeps a core busy "
            "until this program ends; seconds=N gives it more time."
        )
        return cls(f"{label} has given no answer for {seconds:g} s", where, after, row=row)


class Policy:
    """Functions that play and, in whole games, bid and declare; called, it plays as plain Python.

    Attributes:
        name: of the function that plays.
        functions: by kind, as they were written.
    """

    def __init__(self, play: Answer) -> None:
        """A policy that plays so. PolicyError for a function of other arguments."""
        self.name: str = getattr(play, "__name__", "policy")
        self.functions: dict[str, Answer] = {}
        self._add("play", play)

    def bid(self, function: Answer) -> Policy:
        """Decorates what it calls: 0 to pass, 30..41, or 42 m for m marks."""
        return self._add("bid", function)

    def declare(self, function: Answer) -> Policy:
        """Decorates what it declares: the id of a Declaration."""
        return self._add("declare", function)

    def __call__(self, view: Any, random: int) -> int:
        return self.functions["play"](view, random)

    def __repr__(self) -> str:
        return f"<Policy {self.name}: {', '.join(self.functions)}>"

    def _add(self, kind: str, function: Answer) -> Policy:
        if not inspect.isfunction(function) or function.__code__.co_argcount != 2:
            raise PolicyError(
                f"Policy {self.name!r} wants to {kind} by {function!r}; expected a function of "
                "(view, random)."
            )
        self.functions[kind] = function
        return self


def policy(play: Answer) -> Policy:
    """Makes a policy of the function that plays: `FILE.py:name` names it on a command line.

    The function is given what the seat sees (`zebfast.arena.policies.view.View` says what that is)
    and a random number, an int from 0 to 2**63 - 1, the only one that it may draw from. It returns
    the domino that it plays, one of the bits of ``view.legal``; below 0 is an error code of its
    own, which ends the match. It is not asked where there is only one legal domino.

    Nothing is compiled, and Numba is not imported, before the policy plays.
    """
    return Policy(play)
