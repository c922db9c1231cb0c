"""The simulation of many workers, in small: what it hands over, and how it judges."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace as Given
from pathlib import Path

import crowd
import pytest

from tests.experiment import scale_figures as scale
from zebfast.exchange import LocalExampleStore, Namespace, serial_of
from zebfast.selfplay.example_files import read_examples

ROOT = Path(__file__).resolve().parents[2]


def given(exchange: str = "directory", **changes: float) -> Given:
    told = {"workers": 3, "games_per_s": 1.6, "seconds": 0.02, "faster": 30_000.0}
    return Given(exchange=exchange, **told | changes)


def test_every_file_of_the_schedule_lies_there_once(tmp_path: Path) -> None:
    workers = crowd.Crowd(given(), tmp_path)
    handed = workers.run()
    store = LocalExampleStore(tmp_path / "run" / "examples", Namespace.parse(crowd.NAME))
    names = store.list()
    assert len(names) == handed["files"] == handed["games"] / crowd.GAMES_A_FILE > 3
    found = [read_examples(store.directory / name) for name in names]
    serials = {serial_of(name, each.metadata) for name, each in zip(names, found, strict=True)}
    assert len(serials) == len(names)
    assert None not in serials
    beats = store.heartbeats()
    assert {beat.batch for beat in beats.values()} <= {3, 4}
    assert sorted(beats) == ["worker-0000", "worker-0001", "worker-0002"]


@pytest.mark.parametrize(
    ("exchange", "uploads_an_hour", "files_an_hour"),
    [
        ("directory", 22_500, 22_500),  # a file each 160 s
        ("bucket", 15_000, 22_500),  # an upload each 240 s
        ("repository", 100, 100),  # of which all share a quota
    ],
)
def test_the_pace_is_that_of_a_thousand_workers(
    exchange: str, uploads_an_hour: int, files_an_hour: int
) -> None:
    uploads = crowd.schedule(given(exchange, workers=1000, seconds=3600, faster=1))
    assert abs(len(uploads) - uploads_an_hour) <= 1
    assert abs(sum(len(upload.numbers) for upload in uploads) - files_an_hour) < 1000
    dues = [upload.due for upload in uploads]
    assert dues == sorted(dues)
    halves = [sum(due < 1800 for due in dues), sum(due >= 1800 for due in dues)]
    assert abs(halves[0] - halves[1]) <= 1


def test_what_does_not_hold_is_said() -> None:
    rows = [
        {"time": 10.0 * n, "train/seconds": 9.9, "train/steps_per_s": 1.0,
         "train/share_of_time": 0.99} for n in range(8)
    ]  # fmt: skip
    cycles = scale.of_cycles(rows, ended=65.0)
    assert (cycles["n"], cycles["seconds"], cycles["share_of_time"]) == (5, 50.0, 0.99)
    memory = scale.memory_of([(float(at), 200.0 + (at > 50)) for at in range(70)], rows)
    assert memory["growth"] == 1.0
    found = {"games_counted": 5, "handed": {"games": 5}, "code": 143, "faster": 1,
             "cycles": cycles, "memory_mb": memory}  # fmt: skip
    assert scale.judged(found) == []
    assert scale.judged(found | {"games_counted": 4}) == ["4 of 5 games were counted"]
    assert scale.judged(found | {"cycles": cycles | {"share_of_time": 0.5}}) == [
        "50.0% of the time were trained"
    ]
    assert scale.judged(found | {"most_commits_in_an_hour": 129}) == ["129 commits in an hour"]


@pytest.mark.slow
@pytest.mark.parametrize("exchange", ["directory", "bucket", "repository"])
def test_a_learner_counts_all_of_it(exchange: str) -> None:
    pace = {"directory": 16, "bucket": 24, "repository": 200}[exchange]
    done = subprocess.run(
        [sys.executable, "-m", "tests.experiment.scale_figures", exchange, "--workers", "20",
         "--seconds", "12", "--faster", str(pace), "--steps", "10"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["games_counted"] == found["handed"]["games"] >= 20 * crowd.GAMES_A_FILE
    assert found["look"]["heartbeats"] == found["look"]["workers_shown"] == 20
