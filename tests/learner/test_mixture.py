"""Mixing of the two streams, what is too old, and the account of who delivered what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zebfast.core.observe import games_to_examples
from zebfast.core.records import EXAMPLE_DTYPE, EXAMPLE_EVAL_AUX
from zebfast.learner.config import EvalAuxConfig, LearnerConfig
from zebfast.learner.data.replay import (
    ReplayBuffer,
    ReplayCache,
    ReplayMixture,
    ReplayRatioGuard,
    chance_to_keep,
    is_kept,
)
from zebfast.learner.state import Streams, streams_from_state
from zebfast.selfplay.examples import Examples

Make = Callable[..., LearnerConfig]


def filled(config: LearnerConfig, make_games: Callable[..., Any]) -> ReplayMixture:
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(make_games(4, seed=1)))
    sources.add_eval_aux(games_to_examples(make_games(2, seed=2)))
    return sources


def eval_rows(rows: np.ndarray) -> np.ndarray:
    """int[n_steps]: rows of each batch that carry the mark."""
    records = rows.copy().view(EXAMPLE_DTYPE)[..., 0]
    marked = (records["flags"] & EXAMPLE_EVAL_AUX) > 0
    return marked.reshape(rows.shape[:2]).sum(1)


@pytest.mark.parametrize(("fraction", "batch"), [(0.05, 64), (0.3, 7), (1.0, 8), (0.01, 8)])
def test_every_run_of_steps_has_the_share_to_within_a_row(
    make_config: Make, make_games: Callable[..., Any], fraction: float, batch: int
) -> None:
    config = make_config(eval_aux=EvalAuxConfig(batch_fraction=fraction))
    sources = filled(config, make_games)
    drawn = sources.draw(n_steps=400, batch_size=batch, seed=3, step=11)
    counts = eval_rows(drawn.rows)
    assert counts.sum() == drawn.n_eval_aux
    errors = np.cumsum(counts) - fraction * batch * np.arange(1, 401)
    assert np.abs(errors).max() <= 1 + 1e-9
    assert set(counts) <= {int(fraction * batch), int(fraction * batch) + 1}


def test_batches_depend_only_on_seed_and_step(
    make_config: Make, make_games: Callable[..., Any]
) -> None:
    config = make_config(eval_aux=EvalAuxConfig(batch_fraction=0.3))
    both = filled(config, make_games).draw(n_steps=9, batch_size=8, seed=1, step=5).rows
    again = filled(config, make_games)
    parts = [again.draw(n_steps=n, batch_size=8, seed=1, step=s).rows for n, s in ((4, 5), (5, 9))]
    np.testing.assert_array_equal(both, np.concatenate(parts))
    # The two buffers are not sampled in step with each other.
    twin = ReplayMixture(config)
    twin.selfplay.add(games_to_examples(make_games(2, seed=1)))
    twin.add_eval_aux(games_to_examples(make_games(2, seed=1)))
    sizes = np.full(1, 50)
    rows = [buffer.sample(sizes, seed=1, step=0) for buffer in (twin.selfplay, twin.eval_aux)]
    assert not np.array_equal(rows[0][:, :36], rows[1][:, :36])


def test_nothing_is_mixed_in_while_disabled_or_empty(
    make_config: Make, make_games: Callable[..., Any]
) -> None:
    off = filled(make_config(eval_aux=EvalAuxConfig(enabled=False)), make_games)
    empty = ReplayMixture(make_config())
    empty.selfplay.add(games_to_examples(make_games(1)))
    for sources in (off, empty):
        drawn = sources.draw(n_steps=20, batch_size=64, seed=0, step=0)
        assert drawn.n_eval_aux == 0
        assert not eval_rows(drawn.rows).any()
        assert sources.eval_aux_share() == 0.0


def test_chance_of_old_files() -> None:
    config = EvalAuxConfig(max_model_lag=400, lag_half_life=200, min_keep_weight=0.1)
    assert [chance_to_keep(lag, config) for lag in (-3, 0, 200, 400, 401)] == [1, 1, 0.5, 0.25, 0]
    endless = EvalAuxConfig(max_model_lag=-1, lag_half_life=200, min_keep_weight=0.1)
    assert chance_to_keep(10**6, endless) == 0.1
    names = [f"w_{i}_ab.pt" for i in range(4000)]
    kept = {lag: {n for n in names if is_kept(n, lag, config)} for lag in (0, 100, 200, 400, 401)}
    assert [len(kept[lag]) for lag in (0, 401)] == [4000, 0]
    assert len(kept[200]) / 4000 == pytest.approx(0.5, abs=0.04)
    # A file that was dropped does not come back when it is older.
    assert kept[400] < kept[200] < kept[100] < kept[0]


def test_cache_holds_both_buffers_and_their_draws(
    tmp_path: Path, make_config: Make, make_games: Callable[..., Any]
) -> None:
    config = make_config(eval_aux=EvalAuxConfig(batch_fraction=0.5))
    sources, restored = filled(config, make_games), ReplayMixture(config)
    sources.draw(n_steps=50, batch_size=8, seed=0, step=0)
    cache = ReplayCache(tmp_path, "one")
    cache.save((sources.selfplay, sources.eval_aux), {"a"})
    assert cache.load(restored.selfplay, restored.eval_aux) == {"a"}
    for ours, theirs in (
        (sources.selfplay, restored.selfplay),
        (sources.eval_aux, restored.eval_aux),
    ):
        np.testing.assert_array_equal(ours.contents(), theirs.contents())
        np.testing.assert_array_equal(ours.draws(), theirs.draws())
        assert ours.draws().sum() == 200
    bigger = ReplayBuffer(5000)
    cache.load(bigger)
    assert bigger.replay_ratio() == sources.selfplay.replay_ratio() == 200 / 112


def test_reuse_is_of_what_is_held(make_games: Callable[..., Any]) -> None:
    replay = ReplayBuffer(28)
    assert replay.replay_ratio() == 0.0
    replay.add(games_to_examples(make_games(1)))
    replay.sample(np.array([28, 56]), seed=0, step=0)
    assert replay.replay_ratio() == 3.0
    replay.add(games_to_examples(make_games(1, seed=1))[:14])
    assert replay.replay_ratio() < 3.0
    replay.add(games_to_examples(make_games(1, seed=1)))
    assert replay.replay_ratio() == 0.0


def test_reuse_is_said_once_and_at_every_doubling(make_games: Callable[..., Any]) -> None:
    replay, guard = ReplayBuffer(28), ReplayRatioGuard(10)
    replay.add(games_to_examples(make_games(1)))
    said = []
    for step in range(70):  # once each on average
        replay.sample(np.array([28]), seed=0, step=step)
        said += [step + 1] if guard.check("self-play", replay) else []
    assert said == [11, 23, 47]
    replay.add(games_to_examples(make_games(1, seed=1)))  # refilled: the next time counts anew
    assert guard.check("self-play", replay) is None
    replay.sample(np.array([28 * 11]), seed=0, step=0)
    line = guard.check("self-play", replay)
    assert line is not None
    assert "11 times" in line
    assert ReplayRatioGuard(0).check("self-play", replay) is None


def delivered(n_games: int, worker: str, step: int, source: str = "selfplay-mcts") -> Examples:
    metadata = {"worker_id": worker, "model_step": step, "n_games": n_games, "source": source}
    return Examples(np.zeros(28 * n_games, EXAMPLE_DTYPE), metadata)


def test_account_of_the_streams() -> None:
    record = Streams()
    record.count("a_1000_ab.pt", delivered(10, "a", 3))
    record.count("b_1600_ab.pt", delivered(20, "b", 5))
    record.count("a_1300_ab.pt", delivered(30, "a", 4))
    record.count("e_1400_ab.pt", delivered(8, "e", 4, "eval-eq-zeb"))
    summary = record.summary(now=1600)
    assert summary["selfplay-mcts"] == {
        "files": 3, "games": 60, "examples": 1680, "first_unix": 1000, "last_unix": 1600,
        "games_per_s": 0.1,
    }  # fmt: skip
    assert summary["eval-eq-zeb"]["games_per_s"] == 0.04
    assert record.summary(now=2900)["selfplay-mcts"]["games_per_s"] == round(50 / 1800, 3)
    assert record.summary(now=9000)["selfplay-mcts"]["games_per_s"] == 0.0
    workers = record.workers
    assert workers["a"] == {
        "source": "selfplay-mcts", "last_unix": 1300, "games": 40, "model_step": 4
    }  # fmt: skip
    again = streams_from_state({"streams": summary, "workers": workers, "step": 1})
    assert again.workers == workers
    assert {k: {**v, "games_per_s": 0} for k, v in again.sources.items()} == {
        k: {**v, "games_per_s": 0} for k, v in summary.items()
    }


@pytest.mark.parametrize(
    "state", [{}, {"streams": 3, "workers": {}}, {"streams": {"x": {}}, "workers": {}}]
)
def test_unusable_account_in_a_state_starts_anew(state: dict[str, Any]) -> None:
    assert streams_from_state(state) == Streams()


def test_many_workers_do_not_grow_without_bound() -> None:
    record = Streams()
    for number in range(2200):
        record.count(f"w{number}_{1000 + number}_ab.pt", delivered(1, f"w{number}", 0))
    assert len(record.workers) == 2000
    assert "w2199" in record.workers
    assert "w0" not in record.workers
