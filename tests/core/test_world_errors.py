"""What the world sampler refuses, each in one sentence that says which rule is broken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_worlds import as_masks, layouts
from world_games import batch_after

from zebfast.core.engine import GameBatch
from zebfast.core.worlds import (
    ImpossibleWorlds,
    WorldSet,
    sample_worlds,
    world_counts,
    world_positions,
)


def sampled(games: GameBatch, **options: object) -> np.ndarray:
    given = {"rows": None, "n": 2, "seed": 1, "game_numbers": np.arange(len(games))} | options
    return sample_worlds(games, given.pop("rows"), given.pop("n"), **given)  # type: ignore


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda g: world_counts(g, [2]), IndexError, "row lies outside 0..1"),
        (lambda g: world_counts(g, [-1]), IndexError, "row lies outside 0..1"),
        (lambda g: WorldSet(g, 2), IndexError, "row lies outside 0..1"),
        (lambda g: world_counts(g, viewers=[0, 4]), ValueError, "viewer 4: seats run from 0 to 3"),
        (lambda g: WorldSet(g, 0, viewer=-1), ValueError, "viewer -1: seats run from 0 to 3"),
        (lambda g: world_counts(g, viewers=[1, 2, 3]), ValueError, r"viewers has shape \[3\], not"),
        (lambda g: world_counts(g, viewers=[0.5, 1]), TypeError, "viewers must be whole numbers"),
        (lambda g: sampled(g, n=-1), ValueError, "worlds must not be negative, not -1"),
        (lambda g: sampled(g, first=2**32 - 1), ValueError, "run from 0 to 2"),
        (lambda g: sampled(g, game_numbers=[1] * 3), ValueError, r"game_numbers has shape \[3\]"),
        (lambda g: sampled(g, game_numbers=[0.5, 1]), TypeError, "must be whole numbers"),
        (lambda g: sampled(g, weights=np.ones((4, 28))), ValueError, r"not \[2, 28, 4\]"),
        (lambda g: sampled(g, weights=np.zeros((2, 28, 4))), ImpossibleWorlds, "^game 0: every"),
        (lambda g: WorldSet(g, 0, weights=np.ones((4, 28))), ValueError, "weights has shape"),
        (lambda g: WorldSet(g, 0).unrank([2**40]), IndexError, r"outside 0..399072959"),
        (lambda g: WorldSet(g, 0).unrank([-1]), IndexError, r"outside 0..399072959"),
        (lambda g: WorldSet(g, 0).unrank([0.5]), ValueError, "integers"),
        (lambda g: WorldSet(g, 0).enumerate(), ValueError, "399072960 worlds are more than"),
        (lambda g: WorldSet(g, 0).rank(np.zeros((1, 3))), ValueError, "layouts must be uint32"),
        (lambda g: world_positions(g, [0], np.zeros((2, 1, 4))), ValueError, "hands has shape"),
        (lambda g: world_positions(g, [0], np.zeros(4)), ValueError, "hands has shape"),
    ],
)
def test_mistakes_are_one_sentence(
    call: Callable[[GameBatch], object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        call(GameBatch.deal(2, seed=1))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_weights_are_named(bad: float) -> None:
    weights = np.ones((28, 4))
    weights[13, 2] = bad
    with pytest.raises(ValueError, match=r"the weight of 4-3 at seat 2 is .*: weights are finite"):
        WorldSet(GameBatch.deal(1, seed=1), 0, weights=weights)


def test_weights_that_underflow_are_refused() -> None:
    """All but two dominoes belong to seat 1, they say, who can hold no more than seven."""
    weights = np.full((28, 4), 1e-200)
    weights[:, 1] = 1.0
    games = GameBatch.deal(1, seed=1)
    known = WorldSet(games, 0, viewer=0)
    weights[known.hidden[:2], 2:] = 1.0
    with pytest.raises(ValueError, match="too small for float64"):
        WorldSet(games, 0, viewer=0, weights=weights)


def test_finished_games_have_no_worlds() -> None:
    games = batch_after(2, 28, seed=1)
    for call in (world_counts, sampled, lambda g: WorldSet(g, 0)):
        with pytest.raises(ValueError, match="game 0 is over: no domino is hidden"):
            call(games)


KNOWN = {
    "hidden": [0, 1, 2, 3],
    "sizes": [1, 2, 1, 1],
    "barred": [[], [], [], []],
    "viewer": 0,
    "hand": [27],
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"barred": [[], [3], [3], [3, 1]]}, "2-0 can be held by none of seats 1, 2 and 3"),
        (
            {"barred": [[], [0, 1], [], [0, 1]]},
            "seat 2 holds 1 domino, but 0-0 and 1-0 can be held by none of the other seats",
        ),
        (
            {"barred": [[], [0, 1, 2], [], []]},
            "seat 1 holds 2 dominoes, but can have of the hidden ones only 2-0",
        ),
        (
            {"barred": [[], [], [], [0, 1, 2, 3]]},
            "seat 3 holds 1 domino, but can have none of the hidden ones",
        ),
        ({"viewer": 4}, "viewer 4: seats run from 0 to 3"),
        ({"sizes": [1, 2, 2, 1]}, "have room for 5 dominoes, but 4 are hidden"),
        ({"sizes": [0, 2, 1, 1]}, "seat 0 holds 0 dominoes, but its hand has 1"),
        ({"sizes": [1, 8, 1, 1]}, "seat 1 holds 8 dominoes: a hand has 0 to 7"),
        ({"hand": [3]}, "2-0 is in two places"),
        ({"hidden": [0, 1, 2, 28]}, "domino 28: ids run from 0 to 27"),
        ({"weights": np.zeros((28, 4))}, "every world has weight 0: 0-0, 1-0, 1-1 and 2-0 can be"),
        ({"barred": [[], []]}, "4 sizes and 2 barred lists for 4 seats"),
    ],
)
def test_impossible_knowledge_says_why(change: dict[str, object], sentence: str) -> None:
    assert WorldSet.from_knowledge(**KNOWN).count == 12  # type: ignore[arg-type]
    with pytest.raises(ImpossibleWorlds, match=sentence):
        WorldSet.from_knowledge(**(KNOWN | change))  # type: ignore[arg-type]


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_knowledge_of_any_kind_equals_twin(data: st.DataObject) -> None:
    """Hidden dominoes, sizes and barred dominoes that no game may lead to, worlds or none."""
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
    viewer = data.draw(st.integers(0, 3))
    deck = data.draw(st.permutations(range(28)))
    hand = deck[: sizes[viewer]]
    hidden = deck[sizes[viewer] : sum(sizes)]
    some = st.lists(st.sampled_from(hidden or [0]), max_size=5)
    barred = [data.draw(some) for _ in range(4)]
    known = {"hidden": hidden, "sizes": sizes, "barred": barred, "viewer": viewer, "hand": hand}
    twin = [
        as_masks(holder, viewer, hand)
        for holder in layouts(sorted(hidden), sizes, [set(b) for b in barred], viewer)
    ]
    if twin:
        found = WorldSet.from_knowledge(**known).enumerate()
        assert [tuple(w) for w in found.tolist()] == twin
    else:
        with pytest.raises(ImpossibleWorlds, match=r"^(seat \d holds|.*can be held by none)"):
            WorldSet.from_knowledge(**known)
