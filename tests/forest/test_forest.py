"""The C forest against its slow twin and against recorded trees, node by node, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_worlds import batch_of
from forests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_tree import SlowTree, decision, follow, hashed_evaluate, observe

from zebfast import rules
from zebfast.core.engine import Game, GameBatch
from zebfast.core.forest import COUNTS, Forest
from zebfast.core.observe import uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE

TREES = Path(__file__).parent.parent / "golden" / "trees.json"


@given(
    seed=st.integers(0, 2**32),
    plies=st.integers(0, 26),
    simulations=st.integers(1, 60),
    max_nodes=st.sampled_from([8, 20, 512]),
    c_puct=st.sampled_from([0.25, 1.4, 5.0]),
    exact_tricks=st.sampled_from([0, 0, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_tree_equals_twin(
    seed: int, plies: int, simulations: int, max_nodes: int, c_puct: float, exact_tricks: int
) -> None:
    """Search, advance, search again, until the game ends: all nodes equal at every stage."""
    position = decision(seed, plies)
    if position is None:
        return
    options = SearchOptions(
        n_simulations=simulations, max_nodes=max_nodes, c_puct=c_puct, exact_tricks=exact_tricks
    )
    forest = Forest(batch_of(position), options=options, worlds="true")
    twin = SlowTree(position, options)
    while not twin.root.over:
        run(forest)
        twin.search(hashed_evaluate)
        assert forest.dump(0) == twin.dump()
        visits = [e.visits for e in twin.nodes[0].edges]
        own = twin.root.dealt[twin.root.to_play]
        slots = [own.index(d) for d in twin.root.legal()]
        assert forest.visits()[0][slots].tolist() == visits
        assert forest.visits()[0].sum() == sum(visits)
        best = int(np.argmax(visits))
        domino = twin.root.legal()[best]
        assert forest.advance(0, domino) == twin.advance(best)
        assert forest.dump(0) == twin.dump()


#: The trees of tests/golden/trees.json, but for their nodes.
TRUE_DEAL = {"worlds": "true", "n_worlds": 1, "exact_tricks": 0}
GOLDEN: tuple[dict[str, Any], ...] = (
    {"seed": 1, "plies": 0, "n_simulations": 30, **TRUE_DEAL},
    {"seed": 2, "plies": 9, "n_simulations": 40, **TRUE_DEAL},
    {"seed": 3, "plies": 18, "n_simulations": 40, **TRUE_DEAL},
    {"seed": 4, "plies": 22, "n_simulations": 60, **TRUE_DEAL},
    {"seed": 2, "plies": 9, "n_simulations": 40, **TRUE_DEAL, "exact_tricks": 3},
    {"seed": 1, "plies": 0, "n_simulations": 30, **TRUE_DEAL, "worlds": "sampled"},
    {"seed": 2, "plies": 9, "n_simulations": 40, "worlds": "sampled", "n_worlds": 4,
     "exact_tricks": 0},
    {"seed": 3, "plies": 13, "n_simulations": 40, "worlds": "sampled", "n_worlds": 16,
     "exact_tricks": 3},
    {"seed": 4, "plies": 22, "n_simulations": 60, "worlds": "sampled", "n_worlds": 60,
     "exact_tricks": 1},
)  # fmt: skip


def golden_options(case: dict[str, Any]) -> SearchOptions:
    return SearchOptions(**{n: case[n] for n in ("n_simulations", "n_worlds", "exact_tricks")})


def test_golden_trees_are_the_slow_twins(request: pytest.FixtureRequest) -> None:
    """One case a line: all but the nodes says how to make it again; --renew-golden writes them."""
    lines = []
    for case in GOLDEN:
        position = decision(case["seed"], case["plies"])
        assert position is not None
        tree = SlowTree(position, golden_options(case), worlds=case["worlds"])
        tree.search(hashed_evaluate)
        lines.append(json.dumps({**case, "nodes": tree.dump()}))
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    if request.config.getoption("--renew-golden"):
        TREES.write_text(text)
    assert TREES.read_text() == text


def test_recorded_trees() -> None:
    """The golden trees grow in C, node by node."""
    for case in json.loads(TREES.read_text()):
        position = decision(case["seed"], case["plies"])
        assert position is not None
        forest = Forest(batch_of(position), options=golden_options(case), worlds=case["worlds"])
        run(forest)
        got = [[total, [list(e) for e in edges]] for total, edges in forest.dump(0)]
        assert got == case["nodes"]


@given(seed=st.integers(0, 2**32), plies=st.integers(0, 27))
@settings(max_examples=200, deadline=None)
def test_observation_equals_twin(seed: int, plies: int) -> None:
    position = decision(seed, plies)
    if position is None:
        return
    assert batch_of(position).observe()[0] == observe(position)[0]


def test_no_forced_play_and_no_end_is_evaluated() -> None:
    """Every leaf has a choice; every position is handed out once."""
    games = GameBatch.deal(40, seed=3)
    games = games.take([i for i, m in enumerate(games.legal()) if int(m).bit_count() > 1])
    options = SearchOptions(n_simulations=120, exact_tricks=0)
    forest = Forest(games, options=options, worlds="true")
    leaves, seen = np.zeros(len(forest), OBS_DTYPE), []
    evals = np.zeros((len(forest), 8), np.float32)
    while n := forest.select(leaves):
        seen.append(leaves[:n].copy())
        uniform_evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
    rows = np.concatenate(seen)
    assert all(int(legal).bit_count() > 1 for legal in rows["legal"])
    assert len(np.unique(rows)) == len(rows)
    counts = forest.counts()
    assert counts["simulations"] == 120 * len(forest) == forest.visits().sum()
    assert counts["evaluations"] == len(rows)
    assert set(counts) == set(COUNTS)


def test_full_tree_ends_the_search() -> None:
    games = GameBatch.deal(1, seed=8)
    forest = Forest(games, options=SearchOptions(n_simulations=200, max_nodes=16, exact_tricks=4))
    run(forest)
    assert len(forest.dump(0)) <= 16
    assert 8 <= forest.visits().sum() < 200


def test_noise_changes_root_priors_only_and_is_repeatable() -> None:
    games = GameBatch.deal(2, seed=8)
    plain = SearchOptions(n_simulations=30)
    noisy = SearchOptions(n_simulations=30, noise_fraction=0.25, noise_alpha=0.3)
    forests = [
        Forest(games, options=plain),
        Forest(games, options=noisy, seed=1),
        Forest(games, options=noisy, seed=1),
        Forest(games, options=noisy, seed=2),
    ]
    for forest in forests:
        run(forest)
    roots = [[e[0] for e in forest.dump(0)[0][1]] for forest in forests]
    assert roots[1] == roots[2]
    assert roots[0] != roots[1] != roots[3]
    for root in roots:
        assert sum(root) == pytest.approx(1, abs=1e-6)
    mixed = [(n - 0.75 * p) / 0.25 for n, p in zip(roots[1], roots[0], strict=True)]
    assert all(x > -1e-6 for x in mixed)


def test_noise_is_dirichlet() -> None:
    """Moments over many games: mean 1/k and variance of Dirichlet(alpha)."""
    alpha, k, n = 0.5, 7, 4000
    hands, decl, leader = rules.deal(8, 0)
    games = GameBatch([hands] * n, [decl] * n, [leader] * n)
    options = SearchOptions(n_simulations=1, max_nodes=8, noise_fraction=1.0, noise_alpha=alpha)
    forest = Forest(games, options=options, seed=5)
    leaves, evals = np.zeros(n, OBS_DTYPE), np.zeros((n, 8), np.float32)
    forest.select(leaves)
    uniform_evaluate(leaves, evals)
    forest.update(evals)
    priors = np.array([[e[0] for e in forest.dump(i)[0][1]] for i in range(n)])
    assert priors.shape == (n, k)
    assert priors.mean(0) == pytest.approx(np.full(k, 1 / k), abs=0.02)
    variance = (1 / k) * (1 - 1 / k) / (k * alpha + 1)
    assert priors.var(0) == pytest.approx(np.full(k, variance), rel=0.15)


def test_wrong_use_is_refused() -> None:
    games = GameBatch.deal(2, seed=8)
    forest = Forest(games, options=SearchOptions(n_simulations=5))
    leaves = np.zeros(2, OBS_DTYPE)
    with pytest.raises(ValueError, match="no finished search"):
        forest.advance(0, 0)
    with pytest.raises(ValueError, match="must hold 2 records"):
        forest.select(leaves[:1])
    assert forest.select(leaves) == 2
    with pytest.raises(ValueError, match="still wait"):
        forest.select(leaves)
    with pytest.raises(ValueError, match="shape"):
        forest.update(np.zeros((1, 8), np.float32))
    bad = hashed_evaluate(leaves)
    bad[1, 7] = np.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        forest.update(bad)
    forest.update(hashed_evaluate(leaves))
    run(forest)
    with pytest.raises(ValueError, match="not legal"):
        forest.advance(0, 28)
    with pytest.raises(IndexError):
        forest.dump(2)
    game = Game.deal(8)
    while not game.over:
        game.play(game.legal()[0])
    over = GameBatch([game.dealt], [game.decl], [game.leader])
    for _, domino in game.plays:
        over.play([domino])
    with pytest.raises(ValueError, match="is over"):
        Forest(over, options=SearchOptions())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_simulations", 0),
        ("n_simulations", 70_000),
        ("max_nodes", 7),
        ("max_nodes", 70_000),
        ("n_worlds", 0),
        ("n_worlds", 70_000),
        ("exact_tricks", -1),
        ("exact_tricks", 8),
        ("c_puct", 0.0),
        ("c_puct", float("nan")),
        ("temperature", -1.0),
        ("noise_alpha", 0.0),
        ("noise_fraction", 1.5),
    ],
)
def test_bad_options(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} is .*: expected "):
        SearchOptions(**{field: value})  # type: ignore[arg-type]


def test_follow_skips_forced_plays() -> None:
    position = decision(4, 0)
    assert position is not None
    after = follow(position, 0)
    assert len(after.legal()) != 1
