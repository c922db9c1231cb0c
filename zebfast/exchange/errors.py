"""What can go wrong between a run and the place of its files."""

from __future__ import annotations


class ExchangeError(RuntimeError):
    """One sentence: what is wrong with what was found, what was expected, what to do."""


class TransientError(ExchangeError):
    """The same call may well succeed later: keep what is staged and try again.

    ``retry_after``: seconds that the other side asked for, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def brief(error: BaseException) -> str:
    """The first line of an error of a library, cut; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__


class NamespaceBusy(ExchangeError):
    """Another learner holds this namespace."""
