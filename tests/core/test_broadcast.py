"""What is given for each row broadcasts as NumPy does it, in every call that takes rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from world_games import batch_after

from zebfast import (
    Game,
    GameBatch,
    IllegalPlay,
    ImpossibleDeal,
    Solver,
    SolverPool,
    mask_of,
    rules,
)
from zebfast.core.attention import attention
from zebfast.core.features import answers, first_gradient, first_layer
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames, laid_out, past_choices
from zebfast.core.worlds import WorldSet, sample_worlds, world_counts, world_positions

N = 4
Call = Callable[[object], object]


def games() -> GameBatch:
    return batch_after(N, 8, seed=2)


def played_on(until: object) -> object:
    rollouts = RolloutGames(GameBatch.deal(N, seed=1), until=until)  # type: ignore[arg-type]
    rollouts.advance(np.empty(N, OBS_DTYPE))
    return rollouts.games.history


def played_random(numbers: object) -> object:
    batch = games()
    batch.play_random(seed=3, games=numbers)  # type: ignore[arg-type]
    return batch.history


def searched_worlds(numbers: object) -> object:
    batch = GameBatch.deal(N, seed=1)
    forest = Forest(batch, options=SearchOptions(n_worlds=4), game_numbers=numbers, seed=1)  # type: ignore[arg-type]
    forest.select(np.empty(N, OBS_DTYPE))
    forest.update(np.full((N, 8), 0.1, np.float32))
    return [forest.drawn_worlds(tree)[0].tolist() for tree in range(N)]


def sampled(**given: object) -> object:
    wanted = {"seed": 1, "game_numbers": range(N)} | given
    return sample_worlds(games(), None, 2, **wanted)  # type: ignore[arg-type]


HANDS = np.array([rules.deal(seed, 0)[0] for seed in range(N)])
WEIGHTS = np.random.default_rng(1).random((rules.N_DOMINOES, rules.N_SEATS)) + 0.1

#: Each call, one value for all rows, and what it stands for.
CALLS: dict[str, tuple[Call, object, object]] = {
    "at_least": (lambda p: Solver().at_least(games().positions(), p), 10, [10] * N),
    "at_least, uint8": (
        lambda p: Solver().at_least(games().positions(), p),
        np.uint8(30),
        np.full(N, 30),
    ),
    "at_least, pool": (lambda p: SolverPool(2).at_least(games().positions(), p), 10, [10] * N),
    "at_least, one": (lambda p: Solver().at_least(games().positions(), p), [10], [10] * N),
    "decl": (lambda d: GameBatch(HANDS, d, [0, 1, 2, 3]).decl, 5, [5] * N),
    "leader": (lambda s: GameBatch(HANDS, 5, s).to_play, np.int64(2), [2] * N),
    "play": (lambda d: games().play(d), 255, [255] * N),
    "play_random": (played_random, 7, [7] * N),
    "viewers": (lambda v: world_counts(games(), viewers=v), 1, [1] * N),
    "sampled viewers": (lambda v: sampled(viewers=v), 1, [1] * N),
    "game_numbers": (lambda g: sampled(game_numbers=g), 3, [3] * N),
    "weights": (lambda w: sampled(weights=w), WEIGHTS, np.stack([WEIGHTS] * N)),
    "weights by seat": (
        lambda w: sampled(weights=w),
        [1, 2, 3, 4],
        np.tile([1.0, 2.0, 3.0, 4.0], (N, rules.N_DOMINOES, 1)),
    ),
    "one world set": (
        lambda w: WorldSet(games(), 0, weights=w).sample(3, seed=1),
        [1, 2, 3, 4],
        np.tile([1.0, 2.0, 3.0, 4.0], (rules.N_DOMINOES, 1)),
    ),
    "until": (played_on, 12, [12] * N),
    "forest": (searched_worlds, 2, [2] * N),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_value_does_for_all(name: str) -> None:
    call, one, all_of_them = CALLS[name]
    np.testing.assert_array_equal(call(one), call(all_of_them))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in CALLS if name != "one world set"])
def test_what_does_not_broadcast_is_one_sentence(name: str) -> None:
    call = CALLS[name][0]
    wanted = [N, rules.N_DOMINOES, rules.N_SEATS] if "weights" in name else [N]
    sentence = rf"has shape \[3\], not \[{', '.join(map(str, wanted))}\] or one that broadcasts"
    with pytest.raises(ValueError, match=sentence):
        call([1, 2, 3])


@pytest.mark.parametrize("name", [name for name in CALLS if "w" not in name])
def test_only_whole_numbers_count(name: str) -> None:
    for wrong in (1.5, [0.5] * N, "two", True):
        with pytest.raises(TypeError, match="must be whole numbers"):
            CALLS[name][0](wrong)


def test_layouts_of_one_game_are_laid_out_in_many() -> None:
    same = GameBatch.deal(1, seed=1).take([0] * N)
    hands = sample_worlds(same, [0], 3, seed=1, game_numbers=0)
    for make in (laid_out, world_positions):
        one, many = make(same, None, hands[0]), make(same, None, np.repeat(hands, N, axis=0))
        assert one == many if make is laid_out else one.tobytes() == many.tobytes()


def test_rows_are_numbers_or_marks() -> None:
    batch = games()
    marks = np.array([True, False, False, True])
    assert batch.take(marks) == batch.take([0, 3])
    assert batch.take(np.array([0, 3], np.uint8)) == batch.take((0, 3))
    assert len(batch.take([])) == 0
    assert batch.legal(marks).tolist() == batch.legal([0, 3]).tolist()
    batch.play_random(seed=1, rows=marks)
    assert batch.n_plays.tolist() == [9, 8, 8, 9]
    for wrong, error, sentence in (
        ([0.5], TypeError, "rows must be whole numbers"),
        (["a"], TypeError, "rows must be whole numbers"),
        (3, ValueError, "one-dimensional, not 0-dimensional"),
        (marks[:3], ValueError, "rows marks 3 games, not 4"),
        ([4], IndexError, "a row lies outside 0..3"),
        (np.array([2**63], np.uint64), IndexError, "a row lies outside 0..3"),
    ):
        with pytest.raises(error, match=sentence):
            batch.take(wrong)  # type: ignore[arg-type]


def test_arrays_that_may_not_be_written_are_read() -> None:
    batch, rows, dominoes = games(), np.arange(N), np.full(N, 255, np.uint8)
    for array in (rows, dominoes):
        array.flags.writeable = False
    assert batch.take(rows) == batch
    batch.play(dominoes, rows=rows)
    assert batch == games()


def test_numbers_of_more_than_64_bits_are_told() -> None:
    for huge in (2**64, [-(2**70)] * N):
        with pytest.raises(TypeError, match="points must be whole numbers of at most 64 bits"):
            Solver().at_least(games().positions(), huge)


def test_one_game_takes_whole_numbers_only() -> None:
    game = Game.deal(seed=1)
    [first, *_] = game.legal()
    for wrong in (first + 0.5, float(first), "6-4", None):
        with pytest.raises(TypeError):
            game.play(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            mask_of([wrong])  # type: ignore[list-item]
    hands = game.hands
    for decl, leader in ((1.5, 0), (1, 0.5)):
        with pytest.raises(TypeError):
            Game(hands, decl, leader)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Game([[d + 0.5 for d in hand] for hand in hands], 1, 0)  # type: ignore[misc]
    with pytest.raises(ImpossibleDeal, match="ids run from 0 to 9"):
        Game(hands, 2**70, 0)
    with pytest.raises(IllegalPlay, match="may not play domino 1180591620717411303424"):
        game.play(2**70)
    with pytest.raises(IllegalPlay, match="may not play domino 300;"):
        games().play([255, 300, 255, 255])
    game.play(np.uint8(first))
    assert game.plays[0][1] == first


#: What takes games or arrays, given nothing instead.
NOTHING: dict[str, Call] = {
    "world_counts": world_counts,  # type: ignore[dict-item]
    "sample_worlds": lambda none: sample_worlds(none, None, 2, seed=1, game_numbers=0),  # type: ignore[arg-type]
    "world_positions": lambda none: world_positions(none, None, np.zeros((1, 1, 4), np.uint32)),  # type: ignore[arg-type]
    "WorldSet": lambda none: WorldSet(none, 0),  # type: ignore[arg-type]
    "laid_out": lambda none: laid_out(none, None, np.zeros((1, 1, 4), np.uint32)),  # type: ignore[arg-type]
    "past_choices": past_choices,  # type: ignore[dict-item]
    "RolloutGames": RolloutGames,  # type: ignore[dict-item]
    "play_greedy": lambda none: RolloutGames(games()).play_greedy(none),  # type: ignore[arg-type]
    "Forest": lambda none: Forest(none, options=SearchOptions()),  # type: ignore[arg-type]
    "answers": lambda none: answers(np.zeros(0, OBS_DTYPE), none, none),  # type: ignore[arg-type]
    "first_layer": lambda none: first_layer(np.zeros(0, OBS_DTYPE), none, none, none),  # type: ignore[arg-type]
    "first_gradient": lambda none: first_gradient(np.zeros(0, OBS_DTYPE), none, none),  # type: ignore[arg-type]
    "attention": lambda none: attention(np.zeros((0, 24), np.float32), none, none, n_heads=1),  # type: ignore[arg-type]
    "Solver.values": lambda none: Solver().values(none),  # type: ignore[arg-type]
    "Solver.play_values": lambda none: Solver().play_values(none),  # type: ignore[arg-type]
    "Solver.at_least": lambda none: Solver().at_least(none, 3),  # type: ignore[arg-type]
    "SolverPool.values": lambda none: SolverPool().values(none),  # type: ignore[arg-type]
    "SolverPool.play_values": lambda none: SolverPool().play_values(none),  # type: ignore[arg-type]
    "SolverPool.at_least": lambda none: SolverPool().at_least(none, 3),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NOTHING)
def test_none_is_refused(name: str) -> None:
    """Compiled code does not look at what is not there."""
    with pytest.raises(TypeError, match=r"None|positions must be"):
        NOTHING[name](None)
