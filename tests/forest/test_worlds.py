"""Trees on sampled worlds: equal to the twin, and blind to what the seat to play cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_worlds import batch_of, laid_out
from forests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_tree import SlowTree, decision, hashed_evaluate

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.core.worlds import WorldSet
from zebfast.rules import Stream

WORLDS = st.one_of(st.sampled_from([1, 2, 4, 16, 200]), st.integers(1, 200))


def masks(position: rules.Position) -> list[int]:
    return [sum(1 << d for d in hand) for hand in position.hands]


@given(
    seed=st.integers(0, 2**32),
    plies=st.integers(0, 26),
    simulations=st.integers(1, 60),
    n_worlds=WORLDS,
    max_nodes=st.sampled_from([8, 20, 512]),
    c_puct=st.sampled_from([0.25, 1.4, 5.0]),
    exact_tricks=st.sampled_from([0, 0, 1, 2]),
    game=st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_tree_equals_twin(
    seed: int,
    plies: int,
    simulations: int,
    n_worlds: int,
    max_nodes: int,
    c_puct: float,
    exact_tricks: int,
    game: int,
) -> None:
    """Search, play, search again: all worlds and all nodes equal at every stage."""
    position = decision(seed, plies)
    if position is None:
        return
    options = SearchOptions(
        n_simulations=simulations, max_nodes=max_nodes, c_puct=c_puct,
        n_worlds=n_worlds, exact_tricks=exact_tricks,
    )  # fmt: skip
    forest = Forest(batch_of(position), options=options, seed=seed, game_numbers=[game])
    twin = SlowTree(position, options, worlds="sampled", seed=seed, game=game)
    for _ in range(3):
        if twin.root.over:
            return
        run(forest)
        twin.search(hashed_evaluate)
        assert forest.dump(0) == twin.dump()
        hands, children = forest.drawn_worlds(0)
        assert hands.tolist() == [masks(world) for world in twin.worlds]
        n_edges = len(twin.nodes[0].edges)
        assert children[:, :n_edges].tolist() == twin.children
        best = int(np.argmax([e.visits for e in twin.nodes[0].edges]))
        assert forest.advance(0, twin.root.legal()[best]) == twin.advance(best) == 0


@given(
    seed=st.integers(0, 2**32),
    plies=st.integers(0, 26),
    n_worlds=WORLDS,
    exact_tricks=st.integers(0, 7),
    noise=st.sampled_from([0.0, 0.25]),
)
@settings(max_examples=80, deadline=None)
def test_hidden_hands_are_never_read(
    seed: int, plies: int, n_worlds: int, exact_tricks: int, noise: float
) -> None:
    """Games that the seat to play cannot tell apart are searched and valued alike, bit for bit."""
    position = decision(seed, plies)
    if position is None:
        return
    worlds = WorldSet(batch_of(position), 0)
    key = rules.stream_key(seed, rules.Stream.EVAL_PLAY, 0)
    ranks = [rules.bounded(key, i, worlds.count) for i in range(5)]
    others = [laid_out(position, hands) for hands in worlds.unrank(np.array(ranks, np.uint64))]
    options = SearchOptions(
        n_simulations=60, n_worlds=n_worlds, exact_tricks=exact_tricks, noise_fraction=noise
    )
    found = []
    for game in (position, *others):
        forest = Forest(batch_of(game), options=options, seed=seed, game_numbers=[7])
        run(forest)
        values = forest.values().tobytes()
        drawn = [part.tobytes() for part in forest.drawn_worlds(0)]
        found.append((forest.dump(0), forest.visits().tolist(), values, drawn))
    assert all(one == found[0] for one in found)


def test_true_deal_does_read_hidden_hands() -> None:
    """The test above would notice: on the true deal the same games are searched differently."""
    position = decision(5, 8)
    assert position is not None
    worlds = WorldSet(batch_of(position), 0)
    hands = worlds.unrank(np.array([0, worlds.count - 1], np.uint64))
    visits = []
    for row in hands:
        options = SearchOptions(n_simulations=60, exact_tricks=5)
        forest = Forest(batch_of(laid_out(position, row)), options=options, worlds="true")
        run(forest)
        visits.append(forest.visits().tolist())
    assert visits[0] != visits[1]


@pytest.mark.parametrize("exact_tricks", range(8))
@pytest.mark.parametrize("n_worlds", [1, 3, 200])
@pytest.mark.parametrize("worlds", ["sampled", "true"])
def test_counts_add_up(worlds: str, n_worlds: int, exact_tricks: int) -> None:
    """Every simulation ends in a new node, a finished game or a solved position."""
    games = random_decisions(12, plies=6)
    options = SearchOptions(n_simulations=60, n_worlds=n_worlds, exact_tricks=exact_tricks)
    forest = Forest(games, options=options, worlds=worlds)
    run(forest, hashed=False)
    counts = forest.counts()
    n = len(games)
    assert counts["simulations"] == 60 * n == forest.visits().sum()
    nodes = sum(len(forest.dump(i)) for i in range(n))
    assert counts["evaluations"] == nodes
    assert counts["simulations"] == nodes - n + counts["terminals"] + counts["solved"]
    if exact_tricks == 0:
        assert counts["solved"] == 0
    if exact_tricks >= 6:  # every play from the second trick on leads to an ending
        assert counts["solved"] == counts["simulations"]


def random_decisions(n: int, *, plies: int) -> GameBatch:
    """n positions with a choice from as many random games, at this ply or the next ones."""
    games = GameBatch.deal(4 * n, seed=9)
    for _ in range(plies):
        games.play_random(seed=9)
    choices = [i for i, m in enumerate(games.legal()) if int(m).bit_count() > 1]
    return games.take(choices[:n])


def test_all_worlds_where_they_are_few() -> None:
    """Each world once, in an order that the game number decides."""
    for seed in range(400):
        position = decision(seed, 20)
        if position is None or not 5 <= (count := WorldSet(batch_of(position), 0).count) <= 64:
            continue
        options = SearchOptions(n_simulations=100, n_worlds=64)
        orders = []
        for game in (1, 2):
            forest = Forest(batch_of(position), options=options, game_numbers=[game])
            run(forest)
            orders.append([tuple(map(int, hands)) for hands in forest.drawn_worlds(0)[0]])
        every = WorldSet(batch_of(position), 0).unrank(np.arange(count, dtype=np.uint64))
        assert sorted(orders[0]) == sorted(orders[1]) == sorted(tuple(map(int, h)) for h in every)
        assert orders[0] != orders[1]
        return
    pytest.fail("no such position")


def test_fresh_world_for_every_visit() -> None:
    """No more worlds are drawn than simulations; games and streams draw different ones."""
    games = GameBatch.deal(1, seed=4)
    options = SearchOptions(n_simulations=50, n_worlds=10_000, exact_tricks=4)
    drawn = []
    for game, stream in ((0, Stream.WORLDS), (1, Stream.WORLDS), (0, Stream.EVAL_WORLDS)):
        forest = Forest(games, options=options, game_numbers=[game], stream=stream)
        run(forest)
        hands, children = forest.drawn_worlds(0)
        assert hands.shape == (50, 4)
        assert len(np.unique(hands, axis=0)) == 50
        visits = [edge[1] for edge in forest.dump(0)[0][1]]
        assert (children[:, : len(visits)] > 0).sum(0).tolist() == visits
        drawn.append(hands.tobytes())
    assert len(set(drawn)) == 3


def test_trees_do_not_touch_each_other() -> None:
    games = random_decisions(9, plies=9)
    options = SearchOptions(n_simulations=80, n_worlds=8, exact_tricks=4, noise_fraction=0.2)
    together = Forest(games, options=options, seed=3, game_numbers=range(20, 20 + len(games)))
    run(together)
    for i in range(len(games)):
        alone = Forest(games.take([i]), options=options, seed=3, game_numbers=[20 + i])
        run(alone)
        assert alone.dump(0) == together.dump(i)


def test_wrong_use_is_refused() -> None:
    games = GameBatch.deal(2, seed=8)
    with pytest.raises(ValueError, match=r"worlds is 'all', but must be one of: sampled, true"):
        Forest(games, options=SearchOptions(), worlds="all")
    with pytest.raises(ValueError, match=r"game_numbers has shape \[3\], not \[2\]"):
        Forest(games, options=SearchOptions(), game_numbers=[1, 2, 3])
    forest = Forest(games, options=SearchOptions(), worlds="true")
    run(forest)
    assert forest.drawn_worlds(1)[0].shape == (0, 4)
    with pytest.raises(IndexError):
        forest.drawn_worlds(2)
