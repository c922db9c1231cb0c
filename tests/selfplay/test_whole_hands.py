"""Labelled hands of whole games: contracts in records, files and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slow_labelling import SlowTeaching
from slow_tree import HashedEvaluator

from zebfast.core.records import EXAMPLE_HAS_PLAY_VALUES, GAME_DTYPE
from zebfast.selfplay.auctions import Auctions
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import write_native
from zebfast.selfplay.whole_hands import AuctionedGames, WholeHands, WholeHandsConfig
from zebfast.system.settings import SettingError


def config(**changes: Any) -> WholeHandsConfig:
    return WholeHandsConfig(
        **{"n_parallel_games": 4, "explore": 0.2, "label_share": 0.3, **changes}
    )


def hands_of(n: int, *, calls: tuple[int, ...] = (), first_game: int = 0, **how: Any) -> bytes:
    hands = WholeHands(HashedEvaluator(), config=config(**how), seed=77, first_game=first_game)
    return b"".join(hands.play(k)[0].tobytes() for k in (calls or (n,)))


def test_same_bytes_for_any_threads_and_any_split() -> None:
    want = hands_of(12, n_parallel_games=1, n_groups=1)
    assert len(want) == 12 * GAME_DTYPE.itemsize
    assert hands_of(12, n_parallel_games=7, n_groups=3, calls=(1, 9, 2)) == want
    part = hands_of(4, n_parallel_games=4, n_groups=2, first_game=8)
    assert part == want[8 * GAME_DTYPE.itemsize :]


def test_hands_and_labels_equal_the_twin() -> None:
    settings = config(exact_tricks=3, auction_share=0.4, contract_share=0.5)
    hands, stats = WholeHands(HashedEvaluator(), config=settings, seed=3).play(6, lookahead=False)
    starts = Auctions(
        lambda obs: evaluate(obs)[:, 7], options=settings, seed=3, first_game=0, stride=1
    ).starts(0, 6)
    n_labels = 0
    for number, (hand, start) in enumerate(zip(hands, starts, strict=True)):
        twin = SlowTeaching(number, 3, settings, start=start)
        assert hand["plays"].tolist() == twin.plays
        np.testing.assert_array_equal(hand["policy"], twin.labels)
        assert hand["contract"] == start["contract"]
        n_labels += twin.n_labels
    assert stats.labels == n_labels > 0
    assert (hands["contract"]["bid"] > 0).any()


def evaluate(obs: np.ndarray) -> np.ndarray:
    evals = np.zeros((len(obs), 8), np.float32)
    HashedEvaluator().evaluate(obs, evals)
    return evals


def test_files_hold_contracts(tmp_path: Path) -> None:
    hands, _ = WholeHands(HashedEvaluator(), config=config(), seed=1).play(8)
    path = tmp_path / "w_1_ab.safetensors"
    metadata = {"worker_id": "w", "model_step": 0, "n_games": 8, "timestamp": 1.0}
    write_native(path, hands, {**metadata, "source": "whole-game"})
    records = read_examples(path).records
    assert (records["flags"] & EXAMPLE_HAS_PLAY_VALUES != 0).all()
    seen = records["obs"]["contract"]
    assert set(seen["bid"].tolist()) <= set(hands["contract"]["bid"].tolist())
    assert seen["bid"].any()


def test_games_that_are_given_are_begun_by_nothing_else() -> None:
    own = AuctionedGames(
        2, evaluator=HashedEvaluator(), config=config(), seed=1, first_game=0, stride=1
    )
    with pytest.raises(ValueError, match="allowed by begin"):
        own._games.allow(3)
    bad = np.zeros(2, GAME_DTYPE)
    with pytest.raises(ValueError, match="start 0"):
        own._games.begin(bad)
    assert own._games.n_unstarted == 0


def test_rollouts_alone_label_to_contracts() -> None:
    with pytest.raises(SettingError, match="expected rollout"):
        config(teacher="exact")
