"""Eval-aux workers as real processes: the same loop, other games."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import numpy as np
import pytest
from runs import Start, publish
from workers import examples_in, finish, games_of, wait_for_files, wait_for_line

from zebfast.cli.worker import config_from_flags, worker
from zebfast.core.records import EXAMPLE_HAS_BELIEF, EXAMPLE_HAS_POINTS, EXAMPLE_HAS_POLICY
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.producer_kinds import EVAL_AUX

ID = "evalaux-0"


def test_batches_their_lines_and_their_files(run_dir: Path, start_eval_aux: Start) -> None:
    code, out, err = finish(start_eval_aux("--max-batches", "2", "--base-seed", "5"))
    assert (code, err) == (0, "")
    assert "against E[Q] over 2 worlds" in out
    lines = [line for line in out.splitlines() if line.startswith(f"[{ID}]")]
    for i, line in enumerate(lines, 1):
        pattern = rf"\[{ID}\] batch {i}: 224 examples, [\d.]+ games/s, step=0, "
        pattern += rf"total_games={8 * i}, eq_win_rate=[01]\.\d\d\d"
        assert re.fullmatch(pattern, line)
    files = examples_in(run_dir, ID)
    assert len(lines) == len(files) == 2
    assert {f.source for f in files} == {EVAL_AUX.source}
    for file in files:
        facts = file.metadata
        assert (facts["worker_id"], facts["model_step"], facts["n_games"]) == (ID, 0, 8)
        assert (facts["seed"], facts["n_samples"], facts["objective"]) == (5, 2, "points")
        assert (facts["zeb_temperature"], facts["policy_targets"]) == (0.1, "actor")
        assert facts["eq_wins"] + facts["eq_losses"] + facts["eq_ties"] == 8
        assert -42 <= facts["eq_mean_margin"] <= 42
        targets = EXAMPLE_HAS_POLICY | EXAMPLE_HAS_BELIEF | EXAMPLE_HAS_POINTS
        assert (file.records["flags"] & 255 == targets).all()
        assert (np.count_nonzero(file.records["policy"], axis=1) == 1).all()
    assert sorted(f.metadata["first_game"] for f in files) == [0, 8]


def test_eq_policy_targets(run_dir: Path, start_eval_aux: Start) -> None:
    flags = ("--eq-policy-targets", "--eq-target-temperature", "3", "--max-batches", "1")
    assert finish(start_eval_aux(*flags))[0] == 0
    [file] = examples_in(run_dir, ID)
    assert (np.count_nonzero(file.records["policy"], axis=1) > 1).mean() > 0.1
    facts = file.metadata
    assert (facts["policy_targets"], facts["target_temperature"]) == ("eq", 3.0)


def test_a_mode_of_the_worker_that_the_environment_can_choose(run_dir: Path, launch: Start) -> None:
    """A flag beats the environment, and what is of the other mode is left alone there."""
    publish(run_dir, step=4, name="large")
    env = {
        "ZEB_WORKER_MODE": "eval-aux",
        "ZEB_WEIGHTS_NAME": "large",
        "ZEB_EQ_N_SAMPLES": "3",
        "ZEB_EQ_GAMES_PER_BATCH": "6",
        "ZEB_EQ_TEMPERATURE": "0.5",
        "ZEB_EQ_POLICY_TARGETS": "1",
    }
    once = ("--max-batches", "1")
    assert finish(launch("zebfast.worker", *once, env=env))[0] == 0
    [path] = (run_dir / "examples" / "large").glob(f"{ID}_*")
    facts = read_examples(path).metadata
    assert (facts["n_samples"], facts["zeb_temperature"], facts["policy_targets"]) == (3, 0.5, "eq")
    assert (facts["n_games"], facts["model_step"], facts["weights_name"]) == (8, 4, "large")
    quick = ("--n-parallel-games", "8", "--n-simulations", "2")
    code, _, err = finish(launch("zebfast.worker", "--mode", "selfplay", *quick, *once, env=env))
    assert (code, err) == (0, "")
    assert list((run_dir / "examples" / "large").glob("worker-0_*"))


def test_batch_size_from_the_environment() -> None:
    """--games-per-batch of this mode alone, and only where the flag is not given."""

    def games_per_batch(*flags: str) -> int:
        arguments = ["--repo-id", "a", "--output-dir", "b", *flags]
        context = worker.make_context("worker", arguments)
        return config_from_flags(context.params)[0].games_per_batch

    assert games_per_batch() == 256
    assert games_per_batch("--mode", "eval-aux") == 128
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEB_EQ_GAMES_PER_BATCH", "6")
        assert games_per_batch() == 256
        assert games_per_batch("--mode", "eval-aux") == 6
        assert games_per_batch("--mode", "eval-aux", "--games-per-batch", "8") == 8


def test_documented_format_holds_the_same_examples(run_dir: Path, start_eval_aux: Start) -> None:
    for kind in ("native", "pt"):
        flags = ("--eq-policy-targets", "--base-seed", "5", "--max-batches", "1")
        name = ("--example-format", kind, "--worker-id", f"aux-{kind}")
        assert finish(start_eval_aux(*flags, *name))[0] == 0
    [native], [documented] = (examples_in(run_dir, f"aux-{kind}") for kind in ("native", "pt"))
    assert games_of([native]) == games_of([documented])
    for field in ("value", "left", "partner"):
        assert (native.records[field] == documented.records[field]).all()
    targets = EXAMPLE_HAS_POLICY | EXAMPLE_HAS_BELIEF  # final points are in native files only
    assert (native.records["flags"] & targets == documented.records["flags"]).all()
    weights = [e.records["policy"].astype(float) for e in (native, documented)]
    shares = [w / w.sum(1, keepdims=True) for w in weights]
    assert np.abs(shares[0] - shares[1]).max() < 1e-4


def test_given_seed_goes_on_after_kills(run_dir: Path, start_eval_aux: Start) -> None:
    for attempt in range(3):
        process = start_eval_aux("--base-seed", "9")
        wait_for_files(run_dir, 1 + 2 * attempt, process, ID)
        process.kill()
        process.communicate()
    assert finish(start_eval_aux("--base-seed", "9", "--max-batches", "1"))[0] == 0
    files = examples_in(run_dir, ID)
    games = games_of(files)
    assert len(games) == len(set(games)) == 8 * len(files) >= 32
    left = [p.name for p in (run_dir / "examples").iterdir() if p.name.endswith(".tmp")]
    assert left == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_batch_with_whole_deals(
    run_dir: Path, start_eval_aux: Start, number: signal.Signals, code: int
) -> None:
    process = start_eval_aux("--games-per-batch", "100000", "--n-samples", "1")
    wait_for_line("Playing on", process)
    process.send_signal(number)
    got, out, err = finish(process)
    assert (got, err) == (code, "")
    for file in examples_in(run_dir, ID):
        assert file.n_games % 2 == 0
        assert f"{len(file.records)} examples" in out


def test_newer_weights_are_pulled(run_dir: Path, start_eval_aux: Start) -> None:
    process = start_eval_aux("--weight-sync-interval", "1")
    wait_for_files(run_dir, 1, process, ID)
    publish(run_dir, step=3, seed=1)
    wait_for_line("new weights: step 3", process)
    assert "step=3, " in wait_for_line("batch", process)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert {f.metadata["model_step"] for f in examples_in(run_dir, ID)} == {0, 3}


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--n-samples", "0"), "n-samples"),
        (("--games-per-batch", "7"), "played both ways"),
        (("--zeb-temperature", "-1"), "zeb-temperature"),
        (("--eq-target-temperature", "0"), "eq-target-temperature"),
        (("--n-simulations", "50"), "--n-simulations changes nothing in --mode eval-aux"),
        (("--mode", "selfplay"), "--n-samples changes nothing in --mode selfplay"),
        (("--mode", "both"), "--mode"),
    ],
)
def test_wrong_flags(
    run_dir: Path, start_eval_aux: Start, flags: tuple[str, ...], why: str
) -> None:
    code, _, err = finish(start_eval_aux(*flags))
    assert code == 2
    assert why in err
    assert "Traceback" not in err
    assert not list((run_dir / "examples").glob("*_*"))
