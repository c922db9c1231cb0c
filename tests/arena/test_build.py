"""From a spec to a player that samples worlds."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from zebfast.arena.match import play_match
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.pimc import PimcPlayer
from zebfast.arena.players.specs import parse_spec
from zebfast.core.solver_pool import SolverPool


@pytest.fixture
def pool() -> Iterator[SolverPool]:
    with SolverPool(1, table_bits=10) as pool:
        yield pool


def test_every_option_reaches_the_player(pool: SolverPool) -> None:
    text = "eq:n=25,objective=make,adaptive=yes,posterior=0.5"
    player = build_player(parse_spec(text), pool=pool)
    assert isinstance(player, PimcPlayer)
    assert (player.name, player.n_worlds, player.objective) == (text, 25, "make")
    assert (player.adaptive, player.posterior, player.pool) == (True, 0.5, pool)


def test_defaults_reach_the_player(pool: SolverPool) -> None:
    player = build_player(parse_spec("eq:n=3"), pool=pool)
    assert isinstance(player, PimcPlayer)
    assert (player.n_worlds, player.objective) == (3, "points")
    assert (player.adaptive, player.posterior) == (False, 0.0)


def test_a_missing_pool_is_named() -> None:
    with pytest.raises(ValueError, match="'eq:n=3' needs a pool of solvers"):
        build_player(parse_spec("eq:n=3"))


def test_players_without_weights_have_no_digest() -> None:
    assert [weights_digest(parse_spec(text)) for text in ("random", "eq:n=3")] == [None, None]


def test_chunks_do_not_change_a_match_between_solvers(pool: SolverPool) -> None:
    """And the bid reaches a player that plays for the contract."""
    players = [
        build_player(parse_spec(f"eq:n=2,objective={o}"), pool=pool) for o in ("make", "points")
    ]
    one, other = (
        replace(play_match(*players, n_games=6, seed=2, deals_per_chunk=chunk), games_per_s=0.0)
        for chunk in (3, 2)
    )
    assert one == other
    low, high = (play_match(*players, n_games=6, seed=2, bid=bid) for bid in (30, 42))
    assert low.mean_margin != high.mean_margin
