"""`zebfast bench`: what is measured, what the report says of it, and that it fits one screen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from zebfast.benchmark.workload import Measurement
from zebfast.benchmark.workloads import selfplay_in_swing
from zebfast.cli.bench import _HINTS, STAGES, bottleneck, print_report, report, spent
from zebfast.cli.main import cli


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """Stages say how many threads torch has; here it gets back what it had."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SHARES = {"network_share": 0.25, "trees_share": 0.5, "python_share": 0.05, "waiting_share": 0.2}
COUNTS = {
    "simulations_per_game": 4000.0,
    "evaluations_per_game": 20.0,
    "solved_per_game": 3000.0,
    "tree_nanoseconds_per_simulation": 1000.0,
}


def played(key: str = "selfplay_games", **changes: float) -> Measurement:
    what = "self-play, medium network, all cores"
    return Measurement(key, "games/s", what, 30, 2.0, SHARES | COUNTS | changes)


EACH = {"nanoseconds_each": 250.0}  # on a core; that they came slower has to do with other programs
PLAIN = Measurement("simulations", "simulations/s", "trees", 2_000_000, 1.0, EACH)


def test_what_trees_take_beyond_plain_ones_is_the_solvers() -> None:
    shares = spent(played(), [PLAIN])
    assert shares == {
        "network": 0.25, "trees": 0.125, "solver": 0.375, "python": 0.05, "waiting": 0.2,
    }  # fmt: skip
    assert sum(shares.values()) == pytest.approx(1.0)
    without = {name: SHARES[f"{name}_share"] for name in ("network", "trees", "python", "waiting")}
    assert spent(played(solved_per_game=0.0), [PLAIN]) == without, "nothing was solved"
    assert spent(played(), []) == without, "nothing to compare with was measured"
    faster = spent(played(tree_nanoseconds_per_simulation=200.0), [PLAIN])
    assert (faster["solver"], faster["trees"]) == (0.0, 0.5)


def test_bottleneck_is_named_with_what_would_help() -> None:
    found = bottleneck([PLAIN, played("selfplay_v2", network_share=0.9), played()])
    assert found is not None
    assert found[0] == "Bottleneck of medium network: the exact solver, 38% of its time."
    assert found[1].startswith("What would help: ")
    alone = bottleneck([played("selfplay_v2", network_share=0.9)])
    assert alone is not None
    assert "the network, 90%" in alone[0]
    assert bottleneck([PLAIN]) is None


@pytest.mark.parametrize("rate", [0.00123, 0.5, 12345678.0])
def test_the_report_fits_one_screen(rate: float, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for stage in STAGES:
        detail: dict[str, Any] = SHARES | COUNTS if stage.key.startswith("selfplay") else {}
        if stage.key == "examples_written":
            detail = {"bytes_per_example": 16.1}
        if stage.key == "simulations":
            detail = EACH
        results.append(Measurement(stage.key, stage.unit, stage.what, rate, 1.0, detail))
    found = report(results)
    assert json.loads(json.dumps(found)) == found
    assert [stage["rate"] for stage in found["stages"]] == [result.rate for result in results]
    assert set(found["selfplay_time"]) == {r.key for r in results if r.key.startswith("selfplay")}
    for shown in ({**found, "hint": f"What would help: {hint}."} for hint in _HINTS.values()):
        print_report(shown)
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    print_report(found)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 23, "and the prompt"
    assert max(map(len, lines)) <= 80
    assert all(any(stage.what in line for line in lines) for stage in STAGES)


def test_bench_command_reports_as_json(repo_root: Path) -> None:
    chosen = ["random_games", "simulations", "worlds", "features", "examples_written",
              "examples_read", "evaluations_v2"]  # fmt: skip
    command = [sys.executable, "-m", "zebfast", "bench", "--json", "--seconds", "0.02"]
    for key in chosen:
        command += ["--stage", key]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    rates = {stage["key"]: stage["rate"] for stage in found["stages"]}
    assert list(rates) == [stage.key for stage in STAGES if stage.key in chosen]
    assert all(rate > 0 for rate in rates.values())
    assert {"cpu", "cores", "gpu", "torch", "zebfast", "isa"} == set(found["machine"])
    assert 15 < found["bytes_per_example"] < 20
    assert found["bottleneck"] is None


def test_selfplay_says_where_its_time_goes() -> None:
    done = selfplay_in_swing(Path(), n_games=4, tokenizer="v2")()
    shares = [value for name, value in done.detail.items() if name.endswith("_share")]
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) >= 0
    assert done.detail["evaluations_per_game"] > 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--checkpoint", __file__],
        ["--n-simulations", "5"],
        ["--no-remember"],
        ["--tune", "--seconds", "3"],
        ["--tune", "--stage", "worlds"],
        ["--tune", "--forget"],
        ["--tune", "--tokenizer", "v9"],
        ["--tune", "--size", "huge"],
        ["--tune", "--device", "gameboy"],
    ],
)
def test_what_does_not_go_together_is_refused(flags: list[str]) -> None:
    done = CliRunner().invoke(cli, ["bench", *flags])
    assert done.exit_code == 2, done.output
    assert "Error: " in done.output


def test_tuning_and_a_worker_that_uses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All of it with the real games of a small network, but for the length of a look."""
    from functools import partial

    from zebfast.benchmark import tuned_settings as tuned
    from zebfast.benchmark.tuning import Setting, Tuner
    from zebfast.benchmark.workload import fresh_network
    from zebfast.cli import bench, worker
    from zebfast.exchange import Namespace
    from zebfast.exchange.local import LocalWeightStore

    def small(**_: Any) -> tuple[list[Setting], list[tuple[int, int]]]:
        return [Setting(n_parallel_games=n, n_groups=2, threads=1) for n in (4, 8)], [(1, 1)]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bench, "grid", small)
    monkeypatch.setattr(bench, "Tuner", partial(Tuner, seconds=0.01, limit=1e9))
    command = ["bench", "--tune", "--size", "small", "--tokenizer", "v2", "--n-simulations", "8"]
    done = CliRunner().invoke(cli, [*command, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "small v2 network, 8 simulations, sampled worlds, on cpu in auto:" in done.output
    assert "Chosen: --n-parallel-games " in done.output
    assert f"Remembered in {tmp_path / 'zebfast' / 'tuned.json'}" in done.output
    (kept,) = tuned.load(worker.tuned_file())
    done = CliRunner().invoke(cli, [*command, "--device", "cpu", "--json", "--no-remember"])
    found = json.loads(done.stdout)
    assert found["remembered_in"] is None
    assert {t["n_parallel_games"] for t in found["tried"]} == {4, 8, 128}
    assert tuned.load(worker.tuned_file()) == [kept]

    run = tmp_path / "run"
    config, weights = fresh_network("small", "v2")
    store = LocalWeightStore(run, Namespace.parse(None))
    store.publish(weights, config.to_dict(), {"step": 0, "total_games": 0})
    flags = ["--repo-id", run, "--output-dir", run / "examples", "--device", "cpu",
             "--n-simulations", 8, "--max-batches", 1, "--games-per-batch", 4]  # fmt: skip
    done = CliRunner().invoke(cli, ["worker", *map(str, flags)])
    assert done.exit_code == 0, done.output
    assert f"tuned for this machine on {kept.date}: --n-parallel-games " in done.output
    every = ["--n-parallel-games", 4, "--n-groups", 1, "--threads", 1]
    done = CliRunner().invoke(cli, ["worker", *map(str, flags + every)])
    assert done.exit_code == 0, done.output
    assert "tuned" not in done.output, "nothing was left open"
