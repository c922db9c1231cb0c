"""The gate catches what it must, and nothing else: on a clock of the tests' own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import counts, one_tree
from bench.compare import Ratio, Result, Rule, block_ratios, compare_trees, failed, ratio_of
from bench.one_tree import Missing, OwnTree, answer
from zebfast.benchmark.workload import Done, Work, identity
from zebfast.benchmark.workloads import used_by

KEYS = tuple(used_by("gate"))


class Machine:
    """A clock that moves when it is read and when work is done, faster or slower as others work.

    The load drifts between 1 and 1.5 and jumps now and then: neighbouring times agree within some
    per cent, distant ones do not.
    """

    def __init__(self, seed: int) -> None:
        self.now, self.load = 0.0, 1.2
        self.random = random.Random(seed)

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def work(self, seconds: float) -> None:
        self.load += self.random.uniform(-0.01, 0.01)
        self.load = min(max(self.load, 1.0), 1.5)
        jump = self.random.uniform(1.0, 1.4) if self.random.random() < 0.02 else 1.0
        self.now += seconds * self.load * jump * self.random.uniform(0.98, 1.02)


def opened(
    machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch, slow: dict[str, float]
) -> Any:
    """Opens two equal trees of every real stage's name, the first slower by these shares."""
    openings = []

    def prepared(number: int) -> Callable[[Path], Work]:
        def work() -> Done:
            machine.work(0.0005 * (1 + number))
            return Done(1, trace=1)

        return lambda _folder: work

    fakes = {key: prepared(number) for number, key in enumerate(KEYS)}
    monkeypatch.setattr(one_tree, "workloads", lambda: (fakes, lambda done: identity(done.trace)))

    class Slowed(OwnTree):
        def run(self, key: str, repeats: int) -> float:
            self._slow = slow.get(key, 0.0)
            return super().run(key, repeats)

    @contextmanager
    def trees() -> Iterator[tuple[OwnTree, OwnTree]]:
        openings.append(1)
        yield Slowed(folder / "a", clock=machine), OwnTree(folder / "b", clock=machine)

    return trees, openings


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("share", "caught"), [(0.15, True), (0.03, False), (0.0, False)])
def test_every_stage_slowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: float, caught: bool, seed: int
) -> None:
    """15 % more time is caught in each stage, 3 % in none."""
    trees, openings = opened(Machine(seed), tmp_path, monkeypatch, dict.fromkeys(KEYS, share))
    results = compare_trees(trees, KEYS, Rule())
    assert failed(results) == (list(KEYS) if caught else [])
    assert len(openings) == 3 if caught else len(openings) <= 2
    assert [result.key for result in results] == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_one_stage_slowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str) -> None:
    """Only the stage that is slower is named, not those done before and after it."""
    trees, _ = opened(Machine(7), tmp_path, monkeypatch, {key: 0.15})
    number = KEYS.index(key)
    assert failed(compare_trees(trees, KEYS[max(number - 1, 0) : number + 2], Rule())) == [key]


class Given:
    """A tree whose stages take what they are given, one number an attempt."""

    def __init__(self, seconds: float, work: str = "same") -> None:
        self.seconds, self.work = seconds, work

    def prepare(self, key: str) -> str:
        if key == "new":
            raise Missing("no such module")
        return self.work

    def run(self, key: str, repeats: int) -> float:
        return self.seconds * repeats


def attempts(*candidates: Given) -> Any:
    """Opens these, one each time, against a tree that takes a second."""
    remaining = iter(candidates)

    @contextmanager
    def trees() -> Iterator[tuple[Given, Given]]:
        yield next(remaining), Given(1.0)

    return trees


def test_one_good_attempt_acquits() -> None:
    found = compare_trees(attempts(Given(1.2), Given(1.2), Given(1.01)), ["k"], Rule())
    assert [(r.state, r.attempts) for r in found] == [("ok", 3)]
    found = compare_trees(attempts(*[Given(1.08)] * 3), ["k"], Rule())
    assert [(r.state, r.attempts) for r in found] == [("slower", 3)]
    assert found[0].ratio == pytest.approx(Ratio(1.08, 1.08, 1.08))


def test_an_unclear_attempt_is_prolonged() -> None:
    """Blocks that lie on both sides of the threshold are not enough; three times as many end it."""

    class Counted(Given):
        def __init__(self, *seconds: float) -> None:
            super().__init__(seconds[0])
            self.turns, self.n_runs = seconds, 0

        def run(self, key: str, repeats: int) -> float:
            self.n_runs += 1
            return self.turns[(self.n_runs - 1) // 2 % len(self.turns)] * repeats

    rule = Rule(blocks=9, attempts=1)
    for candidate, n_blocks in ((Counted(1.0), 9), (Counted(1.2), 9), (Counted(1.0, 1.2), 27)):
        compare_trees(attempts(candidate), ["k"], rule)
        assert candidate.n_runs == 2 * n_blocks
    assert rule.is_clear(Ratio(1.1, 1.08, 1.2))
    assert not rule.is_clear(Ratio(1.1, 1.05, 1.2))


def test_other_work_and_missing_stages_are_not_judged() -> None:
    said: list[Result] = []
    trees = attempts(Given(2.0, work="other"))
    found = compare_trees(trees, ["k", "new"], Rule(), say=said.append)
    assert [result.state for result in found] == ["changed", "skipped"]
    assert found[0].ratio == Ratio(2.0, 2.0, 2.0)
    assert found[1].why == "this tree lacks it (no such module)"
    assert said == found
    assert failed(found) == []


def test_ratios_and_their_intervals() -> None:
    times = iter([3.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 1.0])

    def run() -> float:
        return next(times)

    assert block_ratios(run, run, blocks=2) == [2.0, 0.5]
    assert ratio_of([5.0, 1.0, 3.0]) == Ratio(3.0, 1.0, 5.0)
    assert ratio_of([float(i) for i in range(9)]) == Ratio(4.0, 1.0, 7.0)
    assert ratio_of([float(i) for i in range(15)]) == Ratio(7.0, 3.0, 11.0)
    assert Rule(slice_seconds=0.02).repeats(0.003) == 7
    assert Rule(slice_seconds=0.02).repeats(5.0) == 1


def test_counts_within_a_tolerance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counts, "PINNED", tmp_path / "counts.json")
    with pytest.raises(counts.NotPinned, match="no counts are pinned for 'work, gcc 1'"):
        counts.compare_counts("work", {"n": 100}, only_for="gcc 1")
    counts.compare_counts("work", {"n": 100}, only_for="gcc 1", renew=True)
    for n, tolerance in ((100, 0.0), (102, 0.02), (98, 0.02)):
        counts.compare_counts("work", {"n": n}, only_for="gcc 1", tolerance=tolerance)
    for n, tolerance in ((101, 0.0), (99, 0.0), (103, 0.02), (115, 0.02), (85, 0.02)):
        with pytest.raises(AssertionError, match=f"n: pinned 100, now {n}"):
            counts.compare_counts("work", {"n": n}, only_for="gcc 1", tolerance=tolerance)


def test_a_tree_answers_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trees, _ = opened(Machine(1), tmp_path, monkeypatch, {})
    with trees() as (_, tree):
        assert answer(tree, {"prepare": KEYS[0]}) == {"work": identity(1)}
        assert answer(tree, {"run": KEYS[0], "repeats": 3})["seconds"] > 0.0015
    assert answer(Given(1.0), {"prepare": "new"}) == {"missing": "no such module"}


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def tools(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))
    import gate

    return gate


def gate_command(repo_root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/gate.py", *args]
    return subprocess.run(command, cwd=repo_root, capture_output=True, text=True)


def test_two_processes_and_a_stage_four_times_as_slow(repo_root: Path) -> None:
    arguments = ["--base-tree", ".", "--stage", "random_games", "--attempts", "1"]
    slow = gate_command(repo_root, *arguments, "--slow", "3")
    assert slow.returncode == 1, slow.stderr
    assert "slower by more than 7% in every attempt: random_games" in slow.stdout
    even = gate_command(repo_root, *arguments, "--threshold", "9", "--json")
    assert even.returncode == 0, even.stderr
    [stage] = json.loads(even.stdout)["stages"]
    assert (stage["key"], stage["state"], stage["attempts"]) == ("random_games", "ok", 1)
    assert 0.1 < stage["ratio"]["median"] < 10


def test_gate_refuses_what_is_no_revision(repo_root: Path) -> None:
    assert gate_command(repo_root).returncode == 2
    done = gate_command(repo_root, "no-such-revision")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no-such-revision is no revision of this repository")
    assert "Traceback" not in done.stderr


def test_a_revision_is_built_once(tools: Any, tmp_path: Path) -> None:
    def git(*args: str) -> None:
        settings = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *settings, *args], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    build = [sys.executable, "-c", "open('built', 'w').write(open('file').read())"]
    said: list[str] = []
    for number in range(5):
        (tmp_path / "file").write_text(str(number))
        git("add", "file")
        git("commit", "--quiet", "--message", str(number))
        commit = tools.commit_of(tmp_path, "HEAD")
        made, found = (tools.built(tmp_path, commit, say=said.append, build=build) for _ in "12")
        assert made == found
        assert (found / "built").read_text() == str(number)
    assert len(said) == 5
    assert len(list((tmp_path / "build" / "gate").iterdir())) == tools.KEPT
    failing = [sys.executable, "-c", "raise SystemExit('no compiler')"]
    oldest = tools.commit_of(tmp_path, "HEAD~4")
    with pytest.raises(tools.NoTree, match=f"{oldest[:12]} does not build: no compiler"):
        tools.built(tmp_path, oldest, say=said.append, build=failing)
    with pytest.raises(tools.NoTree, match="is no revision"):
        tools.commit_of(tmp_path, "other")
