"""Players for the commands that play matches: specs read, weights opened, solvers started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import click

from zebfast.arena.players.base import Player
from zebfast.arena.players.build import PlayerLoadError, build_player
from zebfast.arena.players.specs import (
    NETWORK_FORM,
    POLICY_FORM,
    SEARCH_FORM,
    WORLDS_FORM,
    PlayerSpec,
    PlayerSpecError,
    parse_spec,
)
from zebfast.system.machine import usable_cores, usable_threads

PLAYERS_HELP = f"""Players: random; heuristic and heuristic2, which follow simple rules;
    {NETWORK_FORM}, a network; {WORLDS_FORM}, which samples N layouts of the hidden
    dominoes and solves each exactly; {SEARCH_FORM}, a network that thinks
    before it plays; {POLICY_FORM}, a function of yours (FILE.py alone is the
    same). Without a source, zeb and search play with the network that comes with zebfast;
    FILE is a checkpoint or a learner's directory, X the name of one of several runs in that
    directory, T the temperature of its plays (0.1 when left out; 0: always its favourite).
    E[Q] plays for the mean points, or for the chance to make or set the contract; adaptive stops
    sampling once the best play is clear; BETA weighs layouts by the plays seen so far (0 when left
    out: all alike). A search plays each legal domino in W sampled layouts (64 when left
    out), or for T milliseconds a decision, and goes on as the network would: to the last K tricks
    (2), which are solved; value for D tricks (1), and then values its own next choice; epimc for D
    tricks, and then solves the rest; tree makes N simulations (200) as self-play does. Layouts are
    weighed by what the network would have played; belief=head draws them by its beliefs."""


def parse_players(texts: Sequence[str]) -> list[PlayerSpec]:
    """The specs in order. Raises click.UsageError (exit 2) for one that cannot be understood."""
    try:
        return [parse_spec(text) for text in texts]
    except PlayerSpecError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def open_players(
    specs: Sequence[PlayerSpec], *, device: str | None, threads: int | None
) -> Iterator[list[Player]]:
    """The players, all with one pool of solvers, which ends with the context.

    `threads` (default: every usable core) bounds solvers, and networks on the CPU.
    Raises click.UsageError for a device that is not there, click.ClickException for weights that
    cannot be used.
    """
    if device is not None:
        from zebfast.cli.options import choose_device

        try:
            choose_device(device)
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
    threads = usable_threads(threads) or usable_cores()
    with ExitStack() as stack:
        pool = None
        if any(spec.needs_pool for spec in specs):
            from zebfast.core.solver_pool import SolverPool

            pool = stack.enter_context(SolverPool(threads))
        try:
            players = [
                build_player(spec, device=device, pool=pool, threads=threads) for spec in specs
            ]
        except PlayerLoadError as error:
            raise click.ClickException(str(error)) from error
        yield players
