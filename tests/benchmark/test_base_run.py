"""What `make bench-base` and `make bench-compare` rest on, with runs of pytest-benchmark itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import base_run

pytest.importorskip("pytest_benchmark")

Suite = Callable[..., subprocess.CompletedProcess[str]]
HOOKS = """
from bench.base_run import pytest_collection_modifyitems, pytest_configure, pytest_sessionfinish

def pytest_benchmark_generate_machine_info():
    return {}  # it takes a second to find out
"""
#: On a clock of their own: a busy machine makes no difference.
TESTS = """
import pytest

class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds

clock = Clock()
pytestmark = pytest.mark.benchmark(timer=clock)

def test_first(benchmark):
    benchmark.pedantic(clock.work, args=({first},), rounds=3)

def test_second(benchmark):
    benchmark.pedantic(clock.work, args=(1.0,), rounds=3)

def test_holds():
    assert {holds}
"""
COMPARE = ["--benchmark-compare=base.json", "--benchmark-compare-fail=median:10%"]


@pytest.fixture
def suite(tmp_path: Path, repo_root: Path) -> Suite:
    """Runs a small suite with these options in a folder of its own."""
    (tmp_path / "conftest.py").write_text(HOOKS)

    def run(
        *options: str, first: float = 1.0, holds: bool = True, second: str = "test_second"
    ) -> subprocess.CompletedProcess[str]:
        text = TESTS.format(first=first, holds=holds).replace("test_second", second)
        (tmp_path / "test_it.py").write_text(text)
        only = ["-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", *only, *options]
        environment = {**os.environ, "PYTHONPATH": str(repo_root)}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        environment.pop("PYTEST_XDIST_WORKER", None)  # with which nothing would be timed
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


def test_a_named_run_is_kept_and_compared_with(suite: Suite, tmp_path: Path) -> None:
    """The same speed passes, a fifth more time fails, and neither is kept."""
    assert suite("--benchmark-json=base.json").returncode == 0
    kept = (tmp_path / "base.json").read_bytes()
    even = suite(*COMPARE)
    assert even.returncode == 0, even.stdout + even.stderr
    slower = suite(*COMPARE, first=1.2)
    assert slower.returncode != 0
    assert "Performance has regressed" in slower.stdout + slower.stderr
    assert (tmp_path / "base.json").read_bytes() == kept
    assert not list(tmp_path.glob(".benchmarks/**/*.json"))


def test_a_run_that_fails_is_no_yardstick(suite: Suite, tmp_path: Path) -> None:
    done = suite("--benchmark-json=base.json", "--benchmark-autosave", holds=False)
    assert done.returncode == 1
    assert "This run has not passed, so it is not kept." in done.stdout
    assert not (tmp_path / "base.json").exists()
    assert not list(tmp_path.glob(".benchmarks/**/*.json"))


def test_without_a_run_to_compare_with_nothing_runs(suite: Suite) -> None:
    done = suite(*COMPARE)
    assert done.returncode == 4
    assert "base.json is no file: make bench-base NAME=before keeps a run" in done.stderr
    assert "passed" not in done.stdout


class Config(dict[str, object]):
    """Options as pytest-benchmark declares them."""

    getoption = dict.get


def refused(**options: object) -> str:
    """The sentence with which a run with these options does not begin."""
    with pytest.raises(pytest.UsageError) as stopped:
        base_run.pytest_configure(Config({f"benchmark_{k}": v for k, v in options.items()}))  # type: ignore[arg-type]
    return str(stopped.value)


def test_what_makes_a_comparison_worthless_is_refused(tmp_path: Path) -> None:
    for compare in (True, []):  # the option without a value, and without the option
        assert "none is named: make bench-base" in refused(compare=compare, compare_fail=["x"])
    base = tmp_path / "base.json"
    for text in ("{}", "no JSON", '{"benchmarks": [1]}'):
        base.write_text(text)
        assert "base.json is no run of" in refused(compare=str(base), compare_fail=["x"])
    base.write_text('{"benchmarks": []}')
    for option in ("save", "autosave", "json"):
        why = refused(compare=str(base), compare_fail=["x"], **{option: "x"})
        assert why == f"a run that is judged is not kept: leave out --benchmark-{option}"
    base_run.pytest_configure(Config(benchmark_compare=True))  # type: ignore[arg-type]


def test_gone_renamed_new_and_untimed_benchmarks_fail(suite: Suite, tmp_path: Path) -> None:
    """Gone or renamed: before anything runs. New or skipped: at the end, when it is known."""
    assert suite("--benchmark-json=base.json").returncode == 0
    renamed = suite(*COMPARE, second="test_other")
    assert renamed.returncode == 4
    assert "1 benchmarks of the run to compare with are gone" in renamed.stderr
    assert "test_it.py::test_second" in renamed.stderr
    assert suite(*COMPARE, "-k", "first").returncode == 0, "who chooses some means those"
    base = json.loads((tmp_path / "base.json").read_text())
    base["benchmarks"] = [b for b in base["benchmarks"] if b["name"] == "test_first"]
    (tmp_path / "base.json").write_text(json.dumps(base))
    new = suite(*COMPARE)
    assert new.returncode == 1
    assert "test_it.py::test_second: not in the run to compare with" in new.stdout
    untimed = suite(*COMPARE, "-k", "first", "--benchmark-skip")
    assert untimed.returncode == 1
    assert "test_it.py::test_first: in the run to compare with, but not timed now" in untimed.stdout
