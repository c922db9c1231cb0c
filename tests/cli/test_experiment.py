"""An experiment over directories: its stages, its settings, and what `status` says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from experiments import add_examples, checks, create, edit, experiment, learn, state, status

from zebfast.experiment.runlog import read_runs

EVAL_AUX = {"worker": "evalaux-0", "source": "eval-eq-zeb"}


def test_learn_prints_and_keeps_what_everything_was_resolved_to(root: Path) -> None:
    done = learn(root, "--lr", "0.01")
    assert done.exit_code == 0, done.output
    assert "Bootstrapped" in done.stdout
    assert "Cycle    2:" in done.stdout
    [run] = read_runs(root / "experiments" / "first" / "runs.jsonl")
    assert (run.stage, run.reason, run.exit_code) == ("selfplay", "finished", 0)
    assert (run.cycles, run.games) == (2, 4)
    kept = (root / "experiments" / "first" / run.config_file).read_text()
    assert kept.strip() in done.stderr
    tables = tomllib.loads(kept)
    assert tables["run"]["stage"] == "selfplay"
    settings = tables["learner"]
    assert (settings["lr"], settings["batch_size"], settings["keep_example_files"]) == (
        0.01,
        8,
        128,
    )
    assert settings["eval_aux_enabled"] is False
    assert tables["given"]["lr"] == "command line"
    assert tables["given"]["batch_size"] == "experiment"
    assert "keep_example_files" not in tables["given"]
    assert "zebfast worker --weights-dir" in done.stderr
    assert state(root)["step"] == 2


def test_dry_run_prints_the_configuration_and_starts_nothing(root: Path) -> None:
    done = learn(root, "--dry-run", stage="evalaux")
    assert done.exit_code == 0
    settings = tomllib.loads(done.stdout)["learner"]
    assert (settings["eval_aux_enabled"], settings["eval_aux_policy_weight"]) == (True, 0.0)
    assert settings["run_name"] == "first-stage1"
    assert not (root / "experiments" / "first" / "runs.jsonl").exists()
    assert not (root / "run" / "first.pt").exists()


def test_both_stages_then_rollback_and_what_status_says(root: Path) -> None:
    assert learn(root).exit_code == 0
    assert checks(root)["eval-aux files"] == "off"
    add_examples(root, n=4, **EVAL_AUX)
    assert learn(root, "--eval-aux-batch-fraction", "0.5", stage="evalaux").exit_code == 0
    found = status(root)
    assert found["stage"] == "evalaux"
    assert found["learner"]["eval_mix"] == pytest.approx(0.5)
    assert found["learner"]["policy_weight"] == 0
    assert [stream["n_files"] for stream in found["streams"]] == [2, 1]
    named = checks(root)
    for name in ("self-play files", "eval-aux files", "eval mix", "eval-aux policy weight"):
        assert named[name] == "ok", found["checks"]
    assert learn(root).exit_code == 0, "the rollback is a start in the first stage"
    found = status(root)
    assert (found["stage"], found["learner"]["eval_mix"]) == ("selfplay", 0.0)
    assert found["published_step"] == 6
    assert [run.stage for run in read_runs(root / "experiments/first/runs.jsonl")] == [
        "selfplay", "evalaux", "selfplay",
    ]  # fmt: skip


def test_a_policy_weight_above_zero_is_wrong_unless_it_is_off(root: Path) -> None:
    add_examples(root, **EVAL_AUX)
    weight = ("--eval-aux-policy-weight", "0.5")
    assert learn(root, *weight, stage="evalaux").exit_code == 0
    assert checks(root)["eval-aux policy weight"] == "wrong"
    assert learn(root, *weight, stage="selfplay").exit_code == 0
    assert checks(root)["eval-aux policy weight"] == "ok"


def test_status_of_an_experiment_that_has_not_begun(root: Path) -> None:
    found = status(root)
    assert found["problems"] == ["learner"]
    assert found["ok"] is False
    assert found["workers"][0]["worker_id"] == "worker-0"
    text = experiment("status", "--check", root=root)
    assert text.exit_code == 1
    assert "WRONG" in text.stdout
    assert "zebfast experiment learn first --stage selfplay" in text.stdout
    assert experiment("status", root=root).exit_code == 0


def test_several_experiments_get_a_line_each(root: Path) -> None:
    assert create(root, "--size", "small", name="second").exit_code == 0
    done = experiment("status", root=root)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["experiment", "first", "second"]
    rows = json.loads(experiment("status", "--json", root=root).stdout)
    assert [row["name"] for row in rows] == ["first", "second"]
    edit(root, "[learner]", "[leaner]")
    (root / "experiments" / ".third.0a1b2c3d.tmp").mkdir()
    (root / "experiments" / ".third.0a1b2c3d.tmp" / "experiment.toml").touch()
    for verb in ("status", "runs"):
        left = experiment(verb, "--json", root=root)
        assert [row["name"] for row in json.loads(left.stdout)] == ["second"]
        assert "left out: " in left.stderr
        assert left.stderr.count("experiment.toml") == 1
    none = experiment("status", root=root / "elsewhere")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "There is no experiment" in none.stderr


def test_a_file_that_the_learner_refuses_is_shown(root: Path) -> None:
    add_examples(root, worker="stray", weights_name="other")
    done = learn(root)
    assert done.exit_code == 0, done.output
    found = {check["name"]: check for check in status(root)["checks"]}
    assert found["refused files"]["state"] == "wrong"
    assert "'other'" in found["refused files"]["found"]
    [run] = read_runs(root / "experiments/first/runs.jsonl")
    assert "refused file" in {incident.kind for incident in run.incidents}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size = 8", "batch_sise = 8", "'batch_sise'; did you mean 'batch_size'?"),
        ("batch_size = 8", "batch_size = 8.5", "'--batch-size'"),
        ("batch_size = 8", 'batch_size = "many"', "'--batch-size'"),
        ("batch_size = 8", 'repo_id = "me/w"', "repo_id in [learner] belongs to [places]"),
        ("eval_aux_enabled = true", "eval_aux_on = true", "unknown key in [stages.evalaux]"),
    ],
)
def test_settings_that_the_learner_does_not_know_are_refused(
    root: Path, old: str, new: str, words: str
) -> None:
    edit(root, old, new)
    done = learn(root)
    assert done.exit_code == 1
    text = str(done.exception)
    assert "experiment.toml cannot be used" in text
    assert words in text
    assert not (root / "experiments/first/runs.jsonl").exists()
    looked = experiment("status", "first", "--json", root=root)
    assert looked.exit_code == 1
    assert json.loads(looked.stdout)["name"] == "first"
    assert text in looked.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weights-name", "x"), "--weights-name is part of what the experiment is"),
        (("--input-dir", "x"), "--input-dir is part of what the experiment is"),
        (("--batch-size", "0"), "'--batch-size'"),
        (("--batch-sise", "8"), "No such option '--batch-sise'"),
    ],
)
def test_wrong_flags_of_the_learner_exit_2(
    root: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = learn(root, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
