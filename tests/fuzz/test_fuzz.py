"""The readers of bytes from outside: kept findings, a few hundred changes each, and in the slow
tests a minute of fuzzing for each (``make fuzz`` for longer)."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import fuzz
import pytest
from fuzz_mutators import mutated
from fuzz_targets import TARGETS, restore

_NEEDS = {"vast_answer": "vastai", "runpod_answer": "runpod", "hub_answer": "huggingface_hub"}
# As many as take about a tenth of a second.
_CHANGES = 200
_SLOW_ONES = {"example_pt": 20, "weights": 60, "checkpoint_pt": 60, "checkpoint_safetensors": 60,
              "vast_answer": 30, "runpod_answer": 60, "hub_answer": 20, "status": 60}  # fmt: skip


def _module_of(name: str) -> None:
    if name in _NEEDS:
        pytest.importorskip(_NEEDS[name])


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    restore()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_findings_and_changes(name: str) -> None:
    _module_of(name)
    target = TARGETS[name]
    seeds = [*target.seeds(), *fuzz.kept_seeds(name)]
    read, errors = target.make()
    accepted = 0
    for seed in seeds:
        fuzz.check(read, errors, seed)
    for seed in target.seeds():
        try:
            read(seed)
            accepted += 1
        except errors:
            continue
    assert accepted, "none of the seeds is one that the reader takes"
    rng, data = random.Random(name), seeds[0]
    for _ in range(_SLOW_ONES.get(name, _CHANGES)):
        data = mutated(rng.choice(seeds) if rng.random() < 0.7 else data, target.form, rng,
                       target.largest)  # fmt: skip
        fuzz.check(read, errors, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_minute_of_fuzzing(name: str) -> None:
    _module_of(name)
    executed, found, text = fuzz.run_child(name, 60)
    assert not found, text
    assert executed > 1000, text


def test_a_finding_is_kept_and_told() -> None:
    """What a reader should not raise is one; what it declares is none."""
    checked = fuzz.Checked(lambda data: {}[data] if data else int(b"x"), (ValueError,))
    told: list[str] = []
    checked.told = lambda where, data: told.append(where)
    checked(b"")
    assert not checked.findings
    checked(b"1")
    checked(b"2")
    assert list(checked.findings.values()) == [b"1"]
    assert "KeyError" in told[0]


def test_unknown_targets_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--targets", "nothing"])
    with pytest.raises(SystemExit, match="2"):
        fuzz.main()
    assert "unknown target 'nothing': expected some of" in capsys.readouterr().err
