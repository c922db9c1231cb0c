"""The search player: its plays are those of a slow tree, whoever holds what is hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from choices import choose
from slow_tree import HashedEvaluator, SlowTree, hashed_evaluate
from world_games import as_position, for_contracts, relaid

from zebfast.arena.match import play_match
from zebfast.arena.players import search
from zebfast.arena.players.base import plain_player
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.search import SearchPlayer
from zebfast.arena.players.specs import parse_spec
from zebfast.core.engine import GameBatch
from zebfast.core.options import SearchOptions
from zebfast.core.worlds import sample_worlds
from zebfast.net import checkpoint
from zebfast.net.v1 import NetConfig
from zebfast.rules import Stream

pytestmark = pytest.mark.usefixtures("one_torch_thread")

TINY = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=32)
OPTIONS = SearchOptions(n_simulations=24, n_worlds=5, exact_tricks=1, temperature=0.0)


def random_batch(n: int, plies: int) -> GameBatch:
    batch = GameBatch.deal(n, seed=4, stream=Stream.EVAL_DEAL)
    for _ in range(plies):
        batch.play_random(seed=9)
    return batch


@pytest.mark.parametrize("contracts", [False, True])
@pytest.mark.parametrize("plies", [0, 6, 15, 19])
def test_plays_are_those_of_single_slow_trees(plies: int, contracts: bool) -> None:
    batch, rows = random_batch(12, plies), np.arange(12)
    if contracts:
        batch = for_contracts(batch, seed=6)
    player = SearchPlayer(name="s", evaluator=HashedEvaluator(), options=OPTIONS)
    chosen = choose(player, batch, rows, rows + 100)
    searched = 0
    for row in rows:
        position = as_position(batch, row)
        legal = position.legal()
        if len(legal) == 1:
            assert chosen[row] == legal[0]
            continue
        tree = SlowTree(
            position,
            OPTIONS,
            worlds="sampled",
            seed=1,
            game=int(row) + 100,
            stream=Stream.EVAL_WORLDS,
        )
        tree.search(hashed_evaluate)
        assert chosen[row] == legal[int(np.argmax([e.visits for e in tree.nodes[0].edges]))]
        searched += 1
    assert searched > 2


@pytest.mark.parametrize("root", ["puct", "gumbel"])
def test_choices_do_not_depend_on_batching(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(OPTIONS, root=root, gumbel_scale=0.0)
    batch, rows = random_batch(40, 9), np.arange(40)
    player = SearchPlayer(name="s", evaluator=HashedEvaluator(), options=options)
    wanted = choose(player, batch, rows, rows)
    assert (batch.legal() >> wanted & 1).all()
    for part in (rows[::-1], rows[7:9], rows[::3]):
        np.testing.assert_array_equal(choose(player, batch, part, part), wanted[part])
    monkeypatch.setattr(search, "TREES", 3)
    np.testing.assert_array_equal(choose(player, batch, rows, rows), wanted)
    assert (choose(player, batch, rows, rows + 40) != wanted).any()  # other worlds, other plays


@pytest.mark.parametrize(
    ("root", "exact_tricks"), [("puct", 0), ("puct", 4), ("puct", 7), ("gumbel", 0), ("gumbel", 7)]
)
def test_the_hidden_hands_do_not_enter(root: str, exact_tricks: int) -> None:
    """In a world that the seat to play cannot tell apart it plays the same."""
    options = SearchOptions(
        n_simulations=40, n_worlds=4, exact_tricks=exact_tricks, root=root, transpositions=True
    )
    player = SearchPlayer(name="s", evaluator=HashedEvaluator(), options=options)
    batch, rows = random_batch(20, 10), np.arange(20)
    hands = sample_worlds(batch, rows, 2, seed=8, game_numbers=rows)
    wanted = choose(player, batch, rows, rows)
    for world in range(2):
        other = relaid(batch, rows, hands[:, world])
        assert (other.hands != batch.hands).any()
        np.testing.assert_array_equal(choose(player, other, rows, rows), wanted)


def test_forced_plays_ask_nothing() -> None:
    batch = random_batch(40, 18)
    legal = batch.legal()
    forced = np.flatnonzero(legal & (legal - np.uint32(1)) == 0)
    assert 3 < len(forced) < 40
    evaluator = HashedEvaluator()
    player = SearchPlayer(name="s", evaluator=evaluator, options=OPTIONS)
    chosen = choose(player, batch, forced, forced)
    assert (1 << chosen.astype(np.int64) == legal[forced]).all()
    assert evaluator.rows == 0


def test_a_network_searches_from_a_spec(tmp_path: Path) -> None:
    """Every option reaches the search, and chunks of games do not change a match."""
    checkpoint.save(checkpoint.fresh(TINY, seed=3), tmp_path / "a.pt")
    text = f"search:source={tmp_path}/a.pt,n=12,worlds=3,exact=2,root=gumbel,c=0.5"
    spec = parse_spec(text)
    player = build_player(spec, device="cpu")
    assert isinstance(player, SearchPlayer)
    found = player.options
    assert (player.name, found.n_simulations, found.n_worlds) == (text, 12, 3)
    assert (found.exact_tricks, found.root, found.c_puct) == (2, "gumbel", 0.5)
    assert found.temperature == found.gumbel_scale == 0.0
    assert weights_digest(spec) == weights_digest(parse_spec(f"zeb:source={tmp_path}/a.pt"))
    results = [
        play_match(player, plain_player("random"), n_games=40, seed=2, deals_per_chunk=chunk)
        for chunk in (20, 7)
    ]
    assert results[0].wins == results[1].wins
    assert results[0].mean_margin == results[1].mean_margin > 0


def test_exact_search_beats_the_rules_of_thumb() -> None:
    """With hashed priors: what is played rests on the solver alone."""
    options = SearchOptions(n_simulations=60, n_worlds=8, exact_tricks=7, temperature=0.0)
    player = SearchPlayer(name="s", evaluator=HashedEvaluator(), options=options)
    result = play_match(player, plain_player("heuristic2"), n_games=40, seed=3)
    assert result.mean_margin > 2  # about 11 on average, its standard error here about 3
