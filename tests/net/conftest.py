"""Random observations made by playing random games with the Python rules, and small networks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.core.records import OBS_DTYPE
from zebfast.net import checkpoint as checkpoints
from zebfast.net.packing import pack_tokens
from zebfast.net.torch.encoding import expand, record_bytes
from zebfast.net.torch.v1 import V1Net
from zebfast.net.v1 import SIZES
from zebfast.rules import legal_plays, trick_winner


def _observe(
    hand: list[int], decl: int, seat: int, plays: list[tuple[int, int]], legal: list[int]
) -> np.void:
    played = {domino for _, domino in plays}
    record = np.zeros((), dtype=OBS_DTYPE)
    record["hand"] = sum(1 << d for d in hand)
    record["decl"], record["n_plays"] = decl, len(plays)
    record["legal"] = sum(1 << s for s, d in enumerate(hand) if d in legal)
    record["in_hand"] = sum(1 << s for s, d in enumerate(hand) if d not in played)
    record["plays"][: len(plays)] = [d | (who - seat) % 4 << 5 for who, d in plays]
    return record[()]


def random_game_observations(seed: int) -> list[np.void]:
    """The 28 observations of one random game."""
    rng = random.Random(seed)
    dominoes = list(range(28))
    rng.shuffle(dominoes)
    hands = [sorted(dominoes[7 * s : 7 * s + 7]) for s in range(4)]
    decl, leader = rng.randrange(10), rng.randrange(4)
    plays: list[tuple[int, int]] = []
    records = []
    for _ in range(7):
        trick: list[int] = []
        for i in range(4):
            seat = (leader + i) % 4
            held = set(hands[seat]) - {d for _, d in plays}
            legal = legal_plays(held, trick[0] if trick else None, decl)
            records.append(_observe(hands[seat], decl, seat, plays, legal))
            trick.append(rng.choice(legal))
            plays.append((seat, trick[-1]))
        leader = (leader + trick_winner(trick, decl)) % 4
    return records


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small batches on a busy machine: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def observations() -> NDArray[Any]:
    """OBS_DTYPE[840]: thirty random games, shuffled so that lengths are mixed."""
    records = [record for seed in range(30) for record in random_game_observations(seed)]
    random.Random(0).shuffle(records)
    return np.array(records, dtype=OBS_DTYPE)


@pytest.fixture(scope="session")
def golden_records(v1_observations: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The recorded observations, packed, with the recorded legal slots."""
    packed = pack_tokens(v1_observations["tokens"], v1_observations["mask"].astype(bool))
    packed["legal"] = (v1_observations["legal"].astype(int) << np.arange(7)).sum(axis=1)
    return packed


def plain_answers(net: V1Net, records: NDArray[Any]) -> NDArray[np.float32]:
    """float32[B, 8] as an evaluator would give, by the module itself."""
    net.eval()
    batch = expand(record_bytes(records))
    with torch.inference_mode():
        answer = net(batch.tokens, batch.mask, batch.hand_indices)
        priors = torch.softmax(answer.policy.masked_fill(~batch.legal, -torch.inf), dim=1)
        return torch.cat([priors, answer.value.unsqueeze(1)], dim=1).numpy()


@pytest.fixture(scope="session")
def plain() -> Callable[[V1Net, NDArray[Any]], NDArray[np.float32]]:
    return plain_answers


@pytest.fixture(scope="session", params=["small", "medium", "large"])
def fresh_checkpoint(request: pytest.FixtureRequest) -> checkpoints.Checkpoint:
    """An untrained network of every published size."""
    return checkpoints.fresh(SIZES[request.param], seed=3)


@pytest.fixture(scope="session")
def small() -> checkpoints.Checkpoint:
    return checkpoints.fresh(SIZES["small"], seed=5)
