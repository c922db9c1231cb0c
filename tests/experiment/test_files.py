"""The file of an experiment: what is written is read back, and what is wrong in it is named."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from quick import tiny_checkpoint

from zebfast.exchange import Place
from zebfast.experiment.commands import learn_command, worker_command
from zebfast.experiment.experiment import (
    Experiment,
    ExperimentError,
    experiment_namespace,
    list_experiments,
    read_experiment,
    to_toml,
    write_new,
)

Make = Callable[..., Experiment]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weights": Place("model", "me/w"), "examples": Place("dataset", "me/x")},
        {"weights": Place("model", "me/w"), "examples": Place("bucket", "me/b")},
        {"learner": {"batch_size": 128, "amp": True, "lr": 3e-4}, "state_dir": "/s",
         "note": 'a "quoted" line\nand a second, with ü', "wandb": True, "wandb_run": "r"},
        {"lineage": {"kind": "published", "source": "me/w", "step": 3740}},
    ],
    ids=["directories", "hub", "bucket", "settings", "lineage"],
)  # fmt: skip
def test_written_and_read_back(make_experiment: Make, changes: dict[str, object]) -> None:
    made = make_experiment(**{"wandb_run": "first"} | changes)
    write_new(made, None)
    assert read_experiment(made.directory) == made


def test_bootstrap_is_written_beside_it_and_nothing_twice(make_experiment: Make) -> None:
    made = make_experiment()
    write_new(made, lambda path: path.write_bytes(b"weights") and None)
    assert made.bootstrap.read_bytes() == b"weights"
    with pytest.raises(ExperimentError, match="exists already: choose another name"):
        write_new(made, None)
    assert made.bootstrap.read_bytes() == b"weights"
    assert list_experiments(made.directory.parent) == ["first"]


def test_a_failed_write_leaves_nothing(make_experiment: Make) -> None:
    made = make_experiment()

    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_new(made, full)
    assert list(made.directory.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[learner]", "[leaner]", "key in the top level: 'leaner'; did you mean 'learner'?"),
        ("note =", "notes =", "unknown key in [identity]: 'notes'; did you mean 'note'?"),
        ("weights_dir", "weights_dirs", "[places]: 'weights_dirs'; did you mean 'weights_dir'"),
        ("evalaux =", "eval_aux =", "[fleets]: 'eval_aux'; did you mean 'evalaux'?"),
        ("[stages.evalaux]", "[stages.stage1]", "unknown key in [stages]: 'stage1'"),
        ("format = 1", "format = 2", "format is 2: this version reads 1"),
        ('name = "first"\n', 'name = "other"\n', "its name is 'other', but it lies in 'first'"),
        ("enabled = false", 'enabled = "no"', "enabled is 'no': expected true or false"),
        ("input_dir", "repo_id", "[places] needs exactly one of weights_dir, repo_id"),
        ("created = 2026", "created = 'x' # ", "created is 'x': expected a date"),
        ("[identity]", "[identity", "is not a TOML file"),
    ],
)
def test_what_cannot_be_used_is_named(
    make_experiment: Make, old: str, new: str, words: str
) -> None:
    made = make_experiment()
    write_new(made, None)
    header, _, body = to_toml(made).partition("\n\n")
    assert old in body
    made.path.write_text(f"{header}\n\n{body.replace(old, new, 1)}")
    with pytest.raises(ExperimentError) as caught:
        read_experiment(made.directory)
    assert str(made.path) in str(caught.value)
    assert words in str(caught.value)


def test_hub_places_must_be_names_of_repositories(make_experiment: Make) -> None:
    made = make_experiment(weights=Place("model", "me/w"))
    write_new(made, None)
    made.path.write_text(to_toml(made).replace("me/w", "me"))
    with pytest.raises(ExperimentError, match="repo_id is 'me': expected owner/name"):
        read_experiment(made.directory)


@pytest.mark.parametrize("name", ["", "model", "a/b", "x.pt", "-x"])
def test_names_that_can_be_no_namespace(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        experiment_namespace(name)


def test_stages_differ_by_the_eval_aux_settings_alone(make_experiment: Make) -> None:
    made = make_experiment(learner={"eval_aux_batch_fraction": 0.2, "batch_size": 32})
    selfplay, evalaux = made.stage_settings("selfplay"), made.stage_settings("evalaux")
    changed = {name for name in selfplay | evalaux if selfplay.get(name) != evalaux.get(name)}
    assert changed == {"eval_aux_enabled", "eval_aux_batch_fraction", "eval_aux_policy_weight",
                       "run_name"}  # fmt: skip
    assert (selfplay["eval_aux_enabled"], selfplay["eval_aux_batch_fraction"]) == (False, 0.0)
    assert (evalaux["eval_aux_enabled"], evalaux["eval_aux_policy_weight"]) == (True, 0.0)
    assert (selfplay["run_name"], evalaux["run_name"]) == ("first-stage0", "first-stage1")
    assert selfplay["batch_size"] == 32
    assert selfplay["checkpoint"] is None, "there is no bootstrap file"


def test_the_bootstrap_is_the_checkpoint(make_experiment: Make) -> None:
    made = make_experiment()
    write_new(made, lambda path: tiny_checkpoint(path) and None)
    assert made.stage_settings("selfplay")["checkpoint"] == str(made.bootstrap)


def test_commands_name_the_same_places(make_experiment: Make) -> None:
    hub = make_experiment(weights=Place("model", "me/w"), examples=Place("bucket", "me/b"))
    assert worker_command(hub, "selfplay") == (
        "zebfast worker --repo-id me/w --examples-bucket me/b --weights-name first "
        "--worker-id worker-0"
    )
    assert "--mode eval-aux --worker-id evalaux-0" in worker_command(hub, "evalaux")
    assert learn_command(hub, "evalaux").startswith("zebfast experiment learn first --stage")


def test_the_file_is_for_people_too(make_experiment: Make) -> None:
    text = to_toml(make_experiment())
    assert text.startswith("# An experiment")
    assert list(tomllib.loads(text)) == [
        "identity", "places", "fleets", "wandb", "lineage", "learner", "stages",
    ]  # fmt: skip
