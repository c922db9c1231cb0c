"""Trees of hands that are played for a contract: endings are worth whether it is made."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_worlds import batch_of
from forests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_contract import played_for
from slow_tree import SlowTree, decision, hashed_evaluate

from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions


@given(
    seed=st.integers(0, 2**32),
    plies=st.integers(0, 26),
    exact_tricks=st.sampled_from([0, 0, 1, 3]),
    worlds=st.sampled_from(["true", "sampled"]),
    root=st.sampled_from(["puct", "gumbel"]),
    transpositions=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_tree_equals_twin(
    seed: int, plies: int, exact_tricks: int, worlds: str, root: str, transpositions: bool
) -> None:
    position = decision(seed, plies)
    if position is None:
        return
    played_for(position, seed)
    options = SearchOptions(
        n_simulations=40, n_worlds=4, exact_tricks=exact_tricks, root=root,
        transpositions=transpositions,
    )  # fmt: skip
    forest = Forest(batch_of(position), options=options, worlds=worlds, seed=seed)
    twin = SlowTree(position, options, worlds=worlds, seed=seed)
    while not twin.root.over:
        run(forest)
        twin.search(hashed_evaluate)
        assert forest.dump(0) == twin.dump()
        best = twin.choice()
        assert forest.advance(0, twin.root.legal()[best]) == twin.advance(best)


@pytest.mark.parametrize("seed", range(20))
def test_what_the_contract_asks_decides_what_is_best(seed: int) -> None:
    """With everything solved, a play is worth 1 where the contract is made behind it, else -1."""
    position = decision(seed, 17)
    assert position is not None
    played_for(position, seed)
    options = SearchOptions(n_simulations=60, exact_tricks=7)
    forest = Forest(batch_of(position), options=options, worlds="true")
    run(forest)
    values = forest.values()[0]
    assert set(np.unique(values[~np.isnan(values)])) <= {-1.0, 1.0}
