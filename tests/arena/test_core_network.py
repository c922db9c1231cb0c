"""Players whose network is asked in C choose what they choose when it is asked from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from choices import choose
from core_evaluator import CoreEvaluator, OutsideEvaluator, small_network
from world_games import batch_after, for_contracts

from zebfast.arena.players import rollouts, search
from zebfast.arena.players.base import Player
from zebfast.arena.players.options import RolloutOptions
from zebfast.arena.players.rollouts import RolloutPlayer, Rollouts, ValuedRollouts
from zebfast.arena.players.search import SearchPlayer
from zebfast.arena.players.world_weights import WorldSource
from zebfast.arena.policies.asking import Asked
from zebfast.arena.policies.options import AskingOptions
from zebfast.arena.policies.policy import PolicyStuck, UnusableAnswer
from zebfast.core.engine import GameBatch
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.core.policy import POLICY_ABI, PROTOTYPE, PolicyFunction
from zebfast.core.solver_pool import SolverPool

#: A player that asks this evaluator.
Make = Callable[[OutsideEvaluator], Player]


def roller(evaluator: OutsideEvaluator, pool: SolverPool, **told: Any) -> Player:
    options = RolloutOptions(n_worlds=24, exact_tricks=2, prior_worlds=4.0, **told)
    depth = None if options.method == "rollout" else options.depth
    kind = ValuedRollouts if options.method == "value" else Rollouts
    return RolloutPlayer(
        name="r",
        rollouts=kind(evaluator, pool, options.exact_tricks, depth),
        worlds=WorldSource(options.belief, options.power, evaluator),
        options=options,
    )


@pytest.fixture(params=["rollout", "value", "epimc", "tree"])
def make(request: pytest.FixtureRequest, pool: SolverPool) -> Make:
    if request.param != "tree":
        return lambda evaluator: roller(evaluator, pool, method=request.param)
    options = SearchOptions(n_simulations=16, n_worlds=4, exact_tricks=2, temperature=0.0)
    return lambda evaluator: SearchPlayer(name="s", evaluator=evaluator, options=options)


@pytest.mark.parametrize("plies", [0, 9, 18])
def test_choices_are_the_same(make: Make, plies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where C comes back after every batch, as it does for those who want to stop."""
    batch, rows = batch_after(12, plies, seed=4), np.arange(12)
    inside, outside = CoreEvaluator(small_network()), OutsideEvaluator(small_network())
    wanted = choose(make(outside), batch, rows, rows)
    assert choose(make(inside), batch, rows, rows).tolist() == wanted.tolist()
    assert inside.rows < outside.rows  # priors, and how likely worlds are, are asked outside
    for module in (rollouts, search):
        monkeypatch.setattr(module, "SLICE_SECONDS", 0.0)
    assert choose(make(inside), batch, rows, rows).tolist() == wanted.tolist()
    alone = [choose(make(inside), batch, rows[[i]], rows[[i]])[0] for i in range(3)]
    assert alone == wanted[:3].tolist()


def test_threads_roll_out_side_by_side() -> None:
    """As many rollouts as are worth sharing out, and the same utilities whoever rolls them out."""
    games, network = batch_after(200, 6, seed=4), small_network()
    for kind, depth in ((Rollouts, None), (ValuedRollouts, 1)):
        found = []
        for n_threads in (1, 3):
            with SolverPool(n_threads) as pool:
                rolled = kind(CoreEvaluator(network), pool, 2, depth)
                found.append(rolled.utilities(games, games.legal()))
        np.testing.assert_array_equal(found[0], found[1])
        assert (~np.isnan(found[0])).sum() > 4 * rollouts.LEAST_ROLLOUTS


def test_threads_search_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LEAST_TREES", 3)
    batch, rows, network = batch_after(12, 6, seed=4), np.arange(12), small_network()
    options = SearchOptions(n_simulations=16, n_worlds=4, exact_tricks=2, temperature=0.0)
    found = [
        choose(
            SearchPlayer(name="s", evaluator=evaluator, options=options, threads=threads),
            batch, rows, rows,
        ).tolist()
        for evaluator in (CoreEvaluator(network), OutsideEvaluator(network))
        for threads in (1, 3)
    ]  # fmt: skip
    assert found[1:] == found[:-1]


def test_a_search_that_should_stop_does() -> None:
    """Between two moments in C, which is what Ctrl-C waits for."""
    games = batch_after(12, 0, seed=4)
    options = SearchOptions(n_simulations=10_000, max_nodes=20_000)
    with pytest.raises(InterruptedError):
        search.search(Forest(games, options=options), CoreEvaluator(small_network()), lambda: True)


def test_an_answer_that_is_no_number_is_told_by_the_evaluator(make: Make) -> None:
    rows = np.arange(2)
    with pytest.raises(FloatingPointError, match="told from outside"):
        choose(
            make(CoreEvaluator(small_network(scale=1e38))), batch_after(2, 4, seed=4), rows, rows
        )


@pytest.mark.parametrize("kind", [Rollouts, ValuedRollouts])
@pytest.mark.parametrize("contracts", [False, True])
def test_a_compiled_model_is_called_by_the_loops_in_c(
    kind: type[Rollouts], contracts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On several threads, and coming back after every batch: the plays are those that it makes when
    it is asked in Python, with the same random numbers."""
    games = batch_after(60, 5, seed=4)
    if contracts:
        games = for_contracts(games, seed=1)
    model, masks = Asked.random(), games.legal()
    with SolverPool(2) as pool:
        told = (pool, 2, 2, model)
        inside, outside = (
            kind(evaluator(small_network()), *told)
            for evaluator in (CoreEvaluator, OutsideEvaluator)
        )
        assert inside.core is not None
        wanted = outside.utilities(games, masks)
        np.testing.assert_array_equal(inside.utilities(games, masks), wanted)
        without = kind(CoreEvaluator(small_network()), *told[:3]).utilities(games, masks)
        assert (without != wanted)[~np.isnan(wanted)].any()
        monkeypatch.setattr(rollouts, "SLICE_SECONDS", 0.0)
        np.testing.assert_array_equal(inside.utilities(games, masks), wanted)


def asked(answer: Callable[[int], int], *, seconds: float = 10.0) -> Asked:
    """A model of a C function that answers so to its random number."""
    function = PolicyFunction(PROTOTYPE(lambda view, random: answer(random)), abi=POLICY_ABI)
    options = AskingOptions(seconds=seconds)
    return Asked("Policy 'own'", {"play": lambda view, random: -7}, {"play": function}, options)


def modelled(
    evaluator: OutsideEvaluator, pool: SolverPool, model: Asked
) -> tuple[Player, GameBatch]:
    """A player, and nine decisions: the model is asked for nothing but in rollouts of the last."""
    late, early = batch_after(8, 20, seed=4), batch_after(1, 8, seed=2)
    games = [*map(late.game, range(8)), early.game(0)]
    player = RolloutPlayer(
        name="r",
        rollouts=Rollouts(evaluator, pool, 2, None, model),
        worlds=WorldSource("none", 1.0, evaluator),
        options=RolloutOptions(n_worlds=8, exact_tricks=2),
    )
    return player, GameBatch.of(games)


@pytest.mark.parametrize("kind", [CoreEvaluator, OutsideEvaluator])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_illegal_answer_names_the_decision(kind: type[OutsideEvaluator], n_threads: int) -> None:
    with SolverPool(n_threads) as pool:
        player, games = modelled(kind(small_network()), pool, asked(lambda random: -7))
        said = r"gave the error -7 in a rollout of game 108, play 9, where \d-\d, .* are legal"
        with pytest.raises(UnusableAnswer, match=said):
            choose(player, games, np.arange(9), 100 + np.arange(9))


@pytest.mark.parametrize("kind", [CoreEvaluator, OutsideEvaluator])
def test_no_answer_names_the_decision(kind: type[OutsideEvaluator], pool: SolverPool) -> None:
    """Whoever waits for it goes on; its thread does once it answers."""
    goes_on = threading.Event()
    model = asked(lambda random: goes_on.wait() - 8, seconds=0.1)
    player, games = modelled(kind(small_network()), pool, model)
    try:
        with pytest.raises(PolicyStuck, match=r"no answer for 0\.1 s in a rollout of game 108, pl"):
            choose(player, games, np.arange(9), 100 + np.arange(9))
    finally:
        goes_on.set()
