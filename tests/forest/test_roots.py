"""What can be switched on in a search, against the slow twins: the gumbel root, an early stop,
shared nodes; and what they may change of a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_worlds import batch_of
from forests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_gumbel import considered_visits
from slow_tree import SlowTree, decision, hashed_evaluate

from zebfast.core.engine import GameBatch
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions

WAYS = [("true", 0), ("true", 2), ("sampled", 0), ("sampled", 3)]


@given(
    seed=st.integers(0, 2**32),
    plies=st.integers(0, 26),
    simulations=st.integers(1, 70),
    way=st.sampled_from(WAYS),
    n_worlds=st.sampled_from([1, 2, 5, 200]),
    max_nodes=st.sampled_from([8, 20, 512]),
    root=st.sampled_from(["puct", "gumbel", "gumbel"]),
    scale=st.sampled_from([0.0, 1.0, 3.0]),
    early_stop=st.booleans(),
    transpositions=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_tree_equals_twin(
    seed: int,
    plies: int,
    simulations: int,
    way: tuple[str, int],
    n_worlds: int,
    max_nodes: int,
    root: str,
    scale: float,
    early_stop: bool,
    transpositions: bool,
) -> None:
    """Search, play, search again: nodes, policy and choice equal at every stage."""
    position = decision(seed, plies)
    if position is None:
        return
    worlds, exact_tricks = way
    options = SearchOptions(
        n_simulations=simulations, max_nodes=max_nodes, n_worlds=n_worlds,
        exact_tricks=exact_tricks, root=root, gumbel_scale=scale, early_stop=early_stop,
        transpositions=transpositions,
    )  # fmt: skip
    forest = Forest(batch_of(position), options=options, seed=seed, game_numbers=[3], worlds=worlds)
    twin = SlowTree(position, options, worlds=worlds, seed=seed, game=3)
    for _ in range(4):
        if twin.root.over:
            return
        run(forest)
        twin.search(hashed_evaluate)
        assert forest.dump(0) == twin.dump()
        assert forest.counts()["transposed"] == twin.transposed
        own = twin.root.dealt[twin.root.to_play]
        slots = [own.index(d) for d in twin.root.legal()]
        assert forest.policy()[0][slots].tolist() == twin.policy()
        assert forest.policy()[0].sum(dtype=int) == sum(twin.policy()) > 0
        best = twin.choice()
        assert forest.choices()[0] == slots[best]
        assert forest.advance(0, twin.root.legal()[best]) == twin.advance(best)
        assert forest.dump(0) == twin.dump()


def decisions(n: int, *, plies: int) -> GameBatch:
    games = GameBatch.deal(4 * n, seed=9)
    for _ in range(plies):
        games.play_random(seed=9)
    choices = [i for i, m in enumerate(games.legal()) if int(m).bit_count() > 1]
    return games.take(choices[:n])


def searched(games: GameBatch, *, worlds: str = "sampled", **options: float) -> Forest:
    forest = Forest(games, options=SearchOptions(**options), worlds=worlds)  # type: ignore[arg-type]
    run(forest)
    return forest


@pytest.mark.parametrize("n_simulations", [1, 4, 16, 32, 64])
def test_halving_follows_the_table(n_simulations: int) -> None:
    """Visits are those of mctx's table, whatever the values; every play is tried if it can be."""
    games = decisions(30, plies=5)
    forest = searched(games, root="gumbel", n_simulations=n_simulations, exact_tricks=0)
    for visits, legal in zip(forest.visits(), games.legal(), strict=True):
        n = int(legal).bit_count()
        want = np.zeros(n, int)
        for level in considered_visits(n, n_simulations):
            want[list(want).index(level)] += 1
        assert sorted(visits.tolist())[7 - n :] == sorted(want.tolist())
        assert (visits > 0).sum() == min(n, n_simulations)


def test_gumbel_without_noise_improves_on_the_policy() -> None:
    """The play does better by the search's own values than the prior's favourite would."""
    games = decisions(60, plies=4)
    forest = searched(games, root="gumbel", gumbel_scale=0.0, n_simulations=64, exact_tricks=7)
    values, policy = forest.values(), forest.policy().astype(float)
    played = values[np.arange(len(games)), forest.choices()]
    leaves = games.observe()
    priors = hashed_evaluate(leaves)[:, :7]
    favourite = values[np.arange(len(games)), priors.argmax(1)]
    assert played.mean() > favourite.mean() + 0.1
    targets = policy / policy.sum(1, keepdims=True)
    known = np.nan_to_num(values)
    assert (targets * known).sum(1).mean() > (priors * known).sum(1).mean() + 0.1
    assert (policy.max(1) == 65535).all()


def test_gumbel_noise_is_repeatable_and_explores() -> None:
    games = GameBatch.deal(1, seed=2)
    many = games.take([0] * 200)
    chosen = []
    for seed in (1, 1, 2):
        options = SearchOptions(root="gumbel", n_simulations=2, exact_tricks=7)
        forest = Forest(many, options=options, seed=seed)
        run(forest, hashed=False)
        chosen.append(forest.choices().tolist())
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) >= 6  # equal priors: every play is a candidate now and then


@pytest.mark.parametrize(("worlds", "exact_tricks"), WAYS)
def test_early_stop_changes_no_choice(worlds: str, exact_tricks: int) -> None:
    """Same most visited play; shares of the target within the share of simulations saved."""
    games = decisions(60, plies=10)
    plain = searched(games, worlds=worlds, exact_tricks=exact_tricks, n_simulations=120)
    early = searched(
        games, worlds=worlds, exact_tricks=exact_tricks, n_simulations=120, early_stop=True
    )
    assert early.choices().tolist() == plain.choices().tolist()
    visits, all_visits = early.visits().astype(int), plain.visits().astype(int)
    assert (visits <= all_visits).all()
    saved = (120 - visits.sum(1, keepdims=True)) / 120
    assert saved.max() > 0.1
    assert (np.abs(visits / visits.sum(1, keepdims=True) - all_visits / 120) <= saved + 1e-9).all()


def test_transpositions_save_evaluations() -> None:
    """Late in a hand tricks can be taken in either order: fewer positions, none evaluated twice."""
    games = decisions(40, plies=13)
    plain = searched(games, worlds="true", exact_tricks=0, n_simulations=400)
    shared = searched(games, worlds="true", exact_tricks=0, n_simulations=400, transpositions=True)
    assert plain.counts()["transposed"] == 0 < shared.counts()["transposed"]
    assert shared.counts()["evaluations"] < plain.counts()["evaluations"]
    assert shared.visits().sum() == plain.visits().sum()
    for i in range(len(games)):
        parents = [child for _, edges in shared.dump(i) for *_, child in edges if child]
        assert sorted(set(parents)) == list(range(1, len(shared.dump(i))))


@pytest.mark.parametrize("seed", [7, 10])
def test_shared_nodes_are_kept(seed: int) -> None:
    """Nodes that are older than a parent, and than the root to come, survive the root's moves."""
    position = decision(seed, 11)
    assert position is not None
    options = SearchOptions(n_simulations=250, exact_tricks=0, transpositions=True)
    forest = Forest(batch_of(position), options=options, worlds="true")
    twin, older = SlowTree(position, options), 0
    while not twin.root.over:
        run(forest)
        twin.search(hashed_evaluate)
        nodes, best = forest.dump(0), twin.choice()
        assert nodes == twin.dump()
        below = {nodes[0][1][best][3]}
        for _ in range(28):
            below |= {child for i in below for *_, child in nodes[i][1] if child}
        older += sum(i < nodes[0][1][best][3] for i in below)
        assert forest.advance(0, twin.root.legal()[best]) == twin.advance(best)
        assert forest.dump(0) == twin.dump()
    assert older > 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"root": "ucb"}, "root is 'ucb': expected one of puct, gumbel"),
        ({"root": "gumbel", "noise_fraction": 0.1}, "expected 0 with the gumbel root"),
        ({"gumbel_scale": -1.0}, "gumbel_scale is -1.0: expected 0 to 1000"),
        ({"full_share": 0.0}, "full_share is 0.0: expected above 0 and at most 1"),
        ({"fast_simulations": 0}, "fast_simulations is 0: expected 1 to"),
        (
            {"full_share": 0.5, "fast_simulations": 300},
            "fast_simulations is 300: expected at most n_simulations, 200",
        ),
    ],
)
def test_bad_options(bad: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SearchOptions(**bad)  # type: ignore[arg-type]


def test_choices_want_a_search() -> None:
    forest = Forest(GameBatch.deal(1, seed=8), options=SearchOptions())
    with pytest.raises(ValueError, match="tree 0 has no finished search"):
        forest.choices()
    assert forest.policy().tolist() == [[0] * 7]
