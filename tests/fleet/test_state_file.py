"""The memory of a fleet on disk: what was written is read, and nothing else is believed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zebfast.fleet.model import FleetState, Instance, Spec
from zebfast.fleet.state_file import FleetFileError, FleetFiles, read_state, set_aside, write_state
from zebfast.system.settings import SettingError

LABEL = "zeb-first-selfplay/3fa9c1d2"
STATE = FleetState(
    spec=Spec(
        fleet="zeb-first-selfplay", experiment="first", role="selfplay", n=2,
        gpus=("RTX 3060", "RTX 4070"), budget_dollars=5, providers=("vast", "runpod"),
        worker_args=("--n-simulations", "100"),
    ),
    machines={
        LABEL: Instance(label=LABEL, provider="vast", asked=1e9, id="9001", progress="3",
                        up_since=1e9)
    },
    paused_until=2e9, pause_reason="vast lacks credit", spent=1.25, first=1e9, last_look=1.1e9,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = FleetFiles(tmp_path / "fleet", "zeb-first-selfplay").state
    write_state(found, STATE)
    return found


def changed(path: Path, keys: tuple[str, ...], value: Any) -> None:
    facts = json.loads(path.read_text())
    place = facts
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(facts))


def test_what_was_written_is_read(path: Path) -> None:
    assert read_state(path) == STATE
    write_state(path, replace(STATE, wanted=False, machines={}))
    assert read_state(path) == replace(STATE, wanted=False, machines={})
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_no_file_is_no_memory(tmp_path: Path) -> None:
    assert read_state(tmp_path / "none.json") is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, replace(STATE, spent=9.0))
    monkeypatch.undo()
    assert read_state(path) == STATE


@pytest.mark.parametrize("change", [{"spent": math.nan}, {"spent": math.inf}, {"first": -1.0}])
def test_what_could_not_be_read_is_not_written(path: Path, change: dict[str, float]) -> None:
    with pytest.raises(FleetFileError, match=f"left as it was: .*{next(iter(change))} is "):
        write_state(path, replace(STATE, **change))  # type: ignore[arg-type]
    assert read_state(path) == STATE


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_no_fleet_is_wanted_with_a_limit_that_is_none(wrong: float) -> None:
    for name in ("max_price_per_hour", "budget_dollars", "budget_hours", "disk_gb", "stall_limit"):
        with pytest.raises(SettingError, match=f"{name} is "):
            replace(STATE.spec, **{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("format",), 2, "format is 2, not 1"),
        (("spec",), None, "spec is None: expected a table"),
        (("spec",), {"n": 1}, "[spec] lacks fleet"),
        (("spec", "n"), 2.5, "in [spec], n is 2.5"),
        (("spec", "n"), True, "in [spec], n is True"),
        (("spec", "gpus"), [3060], "in [spec], gpus"),
        (("spec", "role"), "resting", "in [spec], role is 'resting'"),
        (("spec", "max_dph"), "0.1", "in [spec], max_dph is '0.1'"),
        (("spec", "max_dph"), float("nan"), "in [spec], max_dph is nan"),
        (("wanted",), 1, "wanted is 1"),
        (("machines",), [], "machines is []: expected a table"),
        (("machines", LABEL), 3, "is 3: expected a table"),
        (("machines", LABEL, "asked"), None, "asked is None"),
        (("machines", LABEL, "label"), "x", "is of 'x'"),
        (("spent",), float("inf"), "spent is inf"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(
    path: Path, keys: tuple[str, ...], value: Any, words: str
) -> None:
    changed(path, keys, value)
    with pytest.raises(FleetFileError) as caught:
        read_state(path)
    sentence = str(caught.value)
    assert words in sentence
    assert str(path) in sentence
    assert "zebfast fleet down" in sentence


def test_a_file_that_is_set_aside_is_kept(path: Path) -> None:
    data = path.read_bytes()
    first = set_aside(path)
    assert not path.exists()
    path.write_bytes(b"later")
    second = set_aside(path)
    assert (first.read_bytes(), second.read_bytes()) == (data, b"later")
