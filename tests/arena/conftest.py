"""Fixtures of the players' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zebfast.core.solver_pool import SolverPool


@pytest.fixture(scope="session")
def pool() -> Iterator[SolverPool]:
    """One thread of solvers; what it keeps between calls changes no answer."""
    with SolverPool(1) as pool:
        yield pool
