"""What the speed suite shares: figures, gates, the pinned counts.

Conventions: one test per figure; `extra_info` carries what a record needs (key, what, unit, value,
detail); set-up is never timed; a speed is units divided by the median round. Under
`--benchmark-disable` everything runs once, nothing is timed, no figure is attached and no speed is
judged: the exact counts hold, the ratios wait for a run that times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bench.base_run import (  # noqa: F401 - hooks: what holds of runs to compare with
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_sessionfinish,
)
from bench.compare import assert_faster
from bench.counts import NotPinned, compare_counts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-counts", action="store_true", help="accept the present counts as the pinned ones"
    )


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """One torch thread unless a test says otherwise: figures are per core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pinned(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`compare_counts` with bench/counts.json, or renewing it under --renew-counts.

    Counts that nothing is pinned for, because they depend on more than the code, skip the test.
    """

    def check(name: str, counts: Mapping[str, int], **how: Any) -> None:
        renew = request.config.getoption("--renew-counts")
        try:
            compare_counts(name, counts, renew=renew, **how)
        except NotPinned as missing:
            pytest.skip(str(missing))

    return check


@pytest.fixture
def gate(benchmark: Any) -> Callable[..., float]:
    """Assert that one thing is so many times as fast as another; the multiple is a figure.

    Without timing (`--benchmark-disable`) both run once and the multiple is not a number.
    """

    def check(
        candidate: Callable[[], object],
        reference: Callable[[], object],
        *,
        key: str,
        what: str,
        at_least: float,
        units: tuple[int, int] = (1, 1),
        blocks: int = 5,
    ) -> float:
        if benchmark.disabled:
            benchmark.pedantic(candidate, rounds=1, iterations=1)
            reference()
            return math.nan
        gain = assert_faster(candidate, reference, at_least=at_least, units=units, blocks=blocks)
        benchmark.pedantic(candidate, rounds=1, iterations=1)
        figure(benchmark, key=key, what=what, unit="times", value=gain)
        return gain

    return check


def figure(
    benchmark: Any,
    *,
    key: str,
    what: str,
    unit: str,
    value: float,
    detail: Mapping[str, float] | None = None,
) -> None:
    """Attach a figure whose value is known: a size, or a ratio."""
    benchmark.extra_info.update(
        {"key": key, "what": what, "unit": unit, "value": value, "detail": dict(detail or {})}
    )
