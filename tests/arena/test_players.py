"""Players: legal, independent of batching, and a network's choices follow its policy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import (
    NetworkPlayer,
    Player,
    plain_player,
    sample_slots,
    slot_dominoes,
)
from zebfast.core.engine import GameBatch
from zebfast.rules import Stream


class SlotEvaluator:
    """Prefers low slots 4:2:1..., and remembers which rows it was asked about."""

    def __init__(self) -> None:
        self.calls: list[NDArray[np.void]] = []

    def evaluate(self, obs: NDArray[np.void], out: NDArray[np.float32]) -> None:
        self.calls.append(obs.copy())
        legal = (obs["legal"][:, None] >> np.arange(7)) & 1
        weights = legal * 0.5 ** np.arange(7)
        out[:, :7] = weights / weights.sum(axis=1, keepdims=True)
        out[:, 7] = 0.0


def some_batch(n: int, plies: int) -> GameBatch:
    batch = GameBatch.deal(n, seed=4, stream=Stream.EVAL_DEAL)
    for _ in range(plies):
        batch.play_random(seed=9)
    return batch


def rng_for(batch: GameBatch, *, seed: int = 1) -> PlayRng:
    n_plays = np.asarray(batch.n_plays, dtype=np.uint8)
    return PlayRng(seed=seed, games=np.arange(len(batch), dtype=np.uint64), plies=n_plays)


def bids_for(rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    return (30 + rows % 13).astype(np.uint8)


def network(temperature: float) -> NetworkPlayer:
    return NetworkPlayer(name="net", evaluator=SlotEvaluator(), temperature=temperature)


@pytest.mark.parametrize(
    "player",
    [plain_player("random"), plain_player("heuristic"), plain_player("heuristic2"), network(1.0)],
    ids=lambda player: player.name,
)
@pytest.mark.parametrize("plies", [0, 5, 16, 27])
def test_choices_are_legal_and_independent_of_batching(player: Player, plies: int) -> None:
    batch = some_batch(60, plies)
    rng = rng_for(batch)
    rows = np.arange(60)
    chosen = player.choose(batch, rows, rng, bids_for(rows))
    assert chosen.dtype == np.uint8
    assert (batch.legal() >> chosen & 1).all()
    for part in (rows[::-1], rows[7:9], rows[::3]):
        again = player.choose(batch, part, rng.take(part), bids_for(part))
        assert (again == chosen[part]).all()


def test_random_is_uniform_over_legal_dominoes() -> None:
    batch = some_batch(1, 0)
    rows = np.zeros(14_000, dtype=np.intp)
    rng = PlayRng(3, np.arange(14_000, dtype=np.uint64), np.zeros(14_000, dtype=np.uint8))
    chosen = plain_player("random").choose(batch, rows, rng, bids_for(rows))
    _, counts = np.unique(chosen, return_counts=True)
    assert len(counts) == 7
    assert ((counts - 2000) ** 2 / 2000).sum() < 22.5  # chi-square, 6 degrees of freedom: 0.1 %


def test_forced_plays_are_not_evaluated() -> None:
    batch = some_batch(200, 13)
    player = network(1.0)
    player.choose(batch, np.arange(200), rng_for(batch), bids_for(np.arange(200)))
    assert isinstance(player.evaluator, SlotEvaluator)
    asked = np.concatenate(player.evaluator.calls)
    legal = batch.legal()
    assert len(asked) == ((legal & (legal - np.uint32(1))) != 0).sum()
    assert (asked["legal"] & (asked["legal"] - 1) != 0).all()


def test_temperature_zero_plays_the_favourite() -> None:
    batch = some_batch(80, 6)
    rows = np.arange(80)
    chosen = network(0.0).choose(batch, rows, rng_for(batch), bids_for(rows))
    assert (chosen == [(int(m) & -int(m)).bit_length() - 1 for m in batch.legal()]).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sampling_follows_the_sharpened_policy(temperature: float) -> None:
    n = 20_000
    priors = np.tile(np.array([0.5, 0.2, 0.0, 0.1, 0.2, 0.0, 0.0], dtype=np.float32), (n, 1))
    legal = np.tile(np.array([True, True, False, True, True, False, False]), (n, 1))
    rng = PlayRng(5, np.arange(n, dtype=np.uint64), np.zeros(n, dtype=np.uint8))
    slots = sample_slots(priors=priors, legal=legal, temperature=temperature, rng=rng)
    expected = np.array([0.5, 0.2, 0.1, 0.2]) ** (1 / temperature)
    expected *= n / expected.sum()
    counts = np.bincount(slots, minlength=7)
    assert counts[[2, 5, 6]].sum() == 0
    assert ((counts[[0, 1, 3, 4]] - expected) ** 2 / expected).sum() < 16.3  # 3 d.f.: 0.1 %


@pytest.mark.parametrize("filling", [0.0, 1e-40, np.nan])
@pytest.mark.parametrize("temperature", [0.0, 1e-320, 0.01, 1.0])
def test_a_useless_policy_still_gives_a_legal_slot(filling: float, temperature: float) -> None:
    legal = np.array([[False, False, True, True, False, False, False]])
    priors = np.where(legal, filling, 0.0).astype(np.float32)
    rng = PlayRng(5, np.arange(1, dtype=np.uint64), np.zeros(1, dtype=np.uint8))
    slot = sample_slots(priors=priors, legal=legal, temperature=temperature, rng=rng)
    assert slot[0] in (2, 3)


def test_slots_count_the_original_hand() -> None:
    hand = sum(1 << d for d in (2, 3, 5, 8, 13, 21, 27))
    found = slot_dominoes(np.full(7, hand, dtype=np.uint32), np.arange(7))
    assert found.tolist() == [2, 3, 5, 8, 13, 21, 27]


def test_negative_temperature_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        network(-0.1)


def test_unknown_plain_player() -> None:
    with pytest.raises(ValueError, match="no plain player is called 'zeb'"):
        plain_player("zeb")
