"""Runs to compare with, under pytest-benchmark: named, kept only if all passed, complete.

    make bench-base NAME=before        # .benchmarks/before.json
    make bench-compare NAME=before     # fails where a median is 10 % above that run's

Left to itself pytest-benchmark (5.3) judges by whatever was saved last, be it a run that failed;
notices only after the whole suite that there is no run to judge by; and compares a benchmark of
another name with nothing, silently. bench/conftest.py takes the hooks from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

_HOW = "make bench-base NAME=before keeps a run, make bench-compare NAME=before compares with it"


def _judged_by(config: pytest.Config) -> set[str] | None:
    """Names of the benchmarks in the run to judge by; None where nothing is judged."""
    if not config.getoption("benchmark_compare_fail", None):
        return None
    path = config.getoption("benchmark_compare")
    if not isinstance(path, str) or not Path(path).is_file():
        named = f"{path} is no file" if isinstance(path, str) else "none is named"
        raise pytest.UsageError(f"expected a run to compare with, but {named}: {_HOW}")
    try:
        return {each["fullname"] for each in json.loads(Path(path).read_text())["benchmarks"]}
    except (ValueError, KeyError, TypeError):
        raise pytest.UsageError(f"{path} is no run of the speed suite: {_HOW}") from None


def pytest_configure(config: pytest.Config) -> None:
    """Whatever would make a comparison worthless is said before anything runs.

    Raises:
        pytest.UsageError: one sentence.
    """
    if _judged_by(config) is None:
        return
    for option in ("save", "autosave", "json"):
        if config.getoption(f"benchmark_{option}"):
            raise pytest.UsageError(
                f"a run that is judged is not kept: leave out --benchmark-{option}"
            )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Every benchmark of the base run is still there, before -k and the like choose some."""
    base = _judged_by(config)
    if base is None:
        return
    if missing := sorted(base - {item.nodeid for item in items}):
        raise pytest.UsageError(
            f"{len(missing)} benchmarks of the run to compare with are gone or have other names "
            f"({', '.join(missing[:3])}): keep a new run of the older code under the new names"
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """A run that did not pass is not kept, and one that timed other things has not passed."""
    benchmarks: Any = session.config._benchmarksession  # type: ignore[attr-defined]
    tell = session.config.get_terminal_writer().line
    if session.exitstatus and (benchmarks.save or benchmarks.autosave or benchmarks.json):
        benchmarks.save = benchmarks.autosave = benchmarks.json = None
        tell("\nThis run has not passed, so it is not kept.")
    base = _judged_by(session.config)
    if base is not None and not session.exitstatus:
        timed = {each.fullname for each in benchmarks.benchmarks if not each.has_error}
        chosen = {item.nodeid for item in session.items}
        new, untimed = sorted(timed - base), sorted(base & chosen - timed)
        if new or untimed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            told = [f"{name}: not in the run to compare with" for name in new]
            told += [f"{name}: in the run to compare with, but not timed now" for name in untimed]
            tell("\n" + "\n".join(told))
    yield
