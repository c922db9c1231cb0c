"""What a person asks of a fleet, as changes of what is remembered of it."""

from __future__ import annotations

from dataclasses import replace

from zebfast.fleet.model import FleetState, Spec
from zebfast.fleet.reconcile import Change


class WrongRole(RuntimeError):
    """One sentence: the label belongs to a fleet that does something else."""


def begin(spec: Spec) -> Change:
    """From now on this is wanted.

    Budgets count from here where nothing was wanted before, else from where they began. A machine
    that is there stays, with the flags that it was started with. Raises WrongRole.
    """

    def change(state: FleetState | None) -> FleetState:
        if state is None:
            return FleetState(spec=spec)
        if state.spec.role != spec.role and state.machines:
            raise WrongRole(
                f"fleet {spec.fleet} has machines that play {state.spec.role}: take it down first, "
                "or give --fleet another label"
            )
        if not state.wanted:
            state = replace(state, wanted=True, spent=0.0, first=None)
        return replace(state, spec=spec, paused_until=None, pause_reason="")

    return change


def resize(n: int | None) -> Change:
    """So many machines from now on; None = as many as before."""

    def change(state: FleetState | None) -> FleetState:
        assert state is not None, "only a fleet that was begun can be resized"
        return state if n is None else replace(state, spec=replace(state.spec, n=n))

    return change


def end(assumed: FleetState) -> Change:
    """Let nothing live from now on; ``assumed`` where nothing is remembered."""
    return lambda state: replace(state or assumed, wanted=False)
