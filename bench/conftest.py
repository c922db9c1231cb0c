"""What the speed suite shares: running a stage under pytest-benchmark, and the pinned counts.

Conventions: one test per figure; `extra_info` carries what a record needs (key, what, unit, units
of one round); set-up is never timed; the figure is units divided by the median round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bench.gate import compare_counts
from zebfast.cli.stages import Done, Stage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-counts", action="store_true", help="accept the present counts as the pinned ones"
    )


@pytest.fixture
def pinned(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, int]], None]:
    """Compare counts with bench/counts.json, or renew them under --renew-counts."""

    def check(name: str, counts: Mapping[str, int]) -> None:
        compare_counts(name, counts, renew=request.config.getoption("--renew-counts"))

    return check


@pytest.fixture
def run_stage(benchmark: Any) -> Callable[..., None]:
    """Time a stage's work and attach its figure to the result."""

    def run(stage: Stage, *, rounds: int, warmup_rounds: int = 1) -> None:
        done: Done = benchmark.pedantic(
            stage.prepare(), rounds=rounds, iterations=1, warmup_rounds=warmup_rounds
        )
        attach(
            benchmark,
            key=stage.key,
            what=stage.what,
            unit=stage.unit,
            units=done.units,
            detail=done.detail,
        )

    return run


def attach(
    benchmark: Any,
    *,
    key: str,
    what: str,
    unit: str,
    units: int,
    detail: Mapping[str, float] | None = None,
) -> None:
    """Attach a figure to a finished benchmark: units of one round over the median round."""
    benchmark.extra_info.update(
        {"key": key, "what": what, "unit": unit, "units": units, "detail": dict(detail or {})}
    )
    stats = getattr(benchmark, "stats", None)
    if stats is not None:  # none under --benchmark-disable
        benchmark.extra_info["value"] = units / stats.stats.median
