"""What a fleet has cost, as far as prices and times were seen, and whether that is all it may."""

from __future__ import annotations

from zebfast.fleet.model import FleetState, Known


def cost(known: Known, *, listed: bool, now: float, elapsed: float) -> float:
    """Dollars of one machine in the last ``elapsed`` seconds, or since it was asked for.

    One that vanished is counted until now: when it went is not known. One that was destroyed, or
    that was asked for and never came, has cost nothing since.
    """
    if not listed and (known.id is None or known.doomed):
        return 0.0
    return known.dph * min(elapsed, max(0.0, now - known.asked)) / 3600


def used_up(state: FleetState, now: float) -> str | None:
    """Which of its budgets a fleet has used up, in words; None while there is some of each."""
    dollars, hours = state.spec.budget_dollars, state.spec.budget_hours
    if dollars is not None and state.spent >= dollars:
        return f"${state.spent:.2f} of ${dollars:.2f} are spent"
    age = 0.0 if state.first is None else (now - state.first) / 3600
    if hours is not None and age >= hours:
        return f"{age:.1f} of {hours:g} hours are over"
    return None
