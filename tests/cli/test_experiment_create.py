"""`zebfast experiment create` and `zebfast init --from-hub`: what they write and refuse."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from experiments import create, experiment, zebfast
from quick import tiny_checkpoint
from runs import publish

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.experiment.experiment import read_experiment
from zebfast.net import checkpoint as checkpoints


def test_create_writes_identity_and_bootstrap(tmp_path: Path) -> None:
    done = create(tmp_path, "--size", "small", "--belief-head", "--note", "the first")
    assert done.exit_code == 0, done.output
    directory = tmp_path / "experiments" / "first"
    assert done.stdout == f"{directory / 'experiment.toml'}\n"
    assert sorted(path.name for path in directory.iterdir()) == ["bootstrap.pt", "experiment.toml"]
    made = read_experiment(directory)
    assert made.fleets == {"selfplay": "zeb-first-selfplay", "evalaux": "zeb-first-evalaux"}
    assert made.lineage == {"kind": "fresh", "size": "small", "tokenizer": "v1", "seed": 0}
    assert made.learner["batch_size"] == 8
    assert "lr" not in made.learner, "only what was given is kept"
    assert checkpoints.load(made.bootstrap).config.belief_head
    assert "zebfast experiment learn first --stage selfplay" in done.stderr
    assert "zebfast worker --weights-dir" in done.stderr


def test_an_experiment_of_a_v2_network(tmp_path: Path) -> None:
    done = create(tmp_path, "--size", "small", "--tokenizer", "v2")
    assert done.exit_code == 0, done.output
    made = read_experiment(tmp_path / "experiments" / "first")
    assert made.lineage == {"kind": "fresh", "size": "small", "tokenizer": "v2", "seed": 0}
    assert checkpoints.load(made.bootstrap).config.tokenizer == "v2"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert create(tmp_path, "--size", "small").exit_code == 0
    before = (tmp_path / "experiments" / "first" / "experiment.toml").read_bytes()
    again = create(tmp_path, "--size", "medium")
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "experiments" / "first" / "experiment.toml").read_bytes() == before


def test_dry_run_prints_the_file_and_writes_nothing(tmp_path: Path) -> None:
    done = create(tmp_path, "--size", "small", "--dry-run")
    assert done.exit_code == 0
    assert tomllib.loads(done.stdout)["identity"]["name"] == "first"
    assert list(tmp_path.iterdir()) == []


def test_warm_start_from_a_file(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "old.pt")
    assert create(tmp_path, "--from", source).exit_code == 0
    made = read_experiment(tmp_path / "experiments" / "first")
    assert made.lineage["kind"] == "file"
    assert made.lineage["file"] == str(source)
    old, new = checkpoints.load(source), checkpoints.load(made.bootstrap)
    assert all(np.array_equal(old.weights[name], new.weights[name]) for name in old.weights)


def test_warm_start_from_a_published_namespace_adds_a_belief_head(tmp_path: Path) -> None:
    publish(tmp_path / "elsewhere", step=374)
    place = ("--from-hub", tmp_path / "elsewhere", "--weights-name", "model")
    done = create(tmp_path, *place, "--belief-head")
    assert done.exit_code == 0, done.output
    made = read_experiment(tmp_path / "experiments" / "first")
    assert made.lineage == {
        "kind": "published", "source": str(tmp_path / "elsewhere"), "weights_name": "model",
        "step": 374, "total_games": 3740, "tokenizer": "v1",
    }  # fmt: skip
    bootstrap = checkpoints.load(made.bootstrap)
    assert (bootstrap.epoch, bootstrap.total_games) == (0, 0), "a new lineage counts from zero"
    assert bootstrap.config.belief_head

    out = tmp_path / "warm.pt"
    done = zebfast("init", *place, "--belief-head", "-o", out)
    assert done.exit_code == 0, done.output
    warm, source = checkpoints.load(out), LocalWeightStore(tmp_path / "elsewhere", Namespace())
    pulled = source.pull()
    assert pulled is not None
    for name, weight in pulled.state_dict.items():
        assert np.array_equal(warm.weights[name], weight)
    assert warm.provenance["warm_start"]["step"] == 374


def test_a_namespace_with_weights_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    store = LocalWeightStore(tmp_path / "run", Namespace.parse("first"))
    source = checkpoints.load(tiny_checkpoint(tmp_path / "old.pt"))
    store.publish(source.weights, source.config.to_dict(), {"step": 12, "total_games": 5})
    refused = create(tmp_path, "--size", "small")
    assert refused.exit_code == 2
    assert "has weights for namespace 'first' already (step 12)" in refused.stderr
    assert create(tmp_path, "--existing", "--size", "small").exit_code == 2
    assert create(tmp_path, "--existing", "--beside", "shipped").exit_code == 2
    taken = create(tmp_path, "--existing")
    assert taken.exit_code == 0, taken.output
    made = read_experiment(tmp_path / "experiments" / "first")
    assert made.lineage == {"kind": "existing", "step": 12}
    assert not made.bootstrap.exists()
    other = create(tmp_path, "--existing", name="second")
    assert other.exit_code == 2
    assert "no weights for namespace 'second'" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say which --size"),
        (("--size", "small", "--from-hub", "x", "--from", "FILE"), "Give --from or --from-hub"),
        (("--size", "small", "--weights-name", "x"), "--weights-name belongs to --from-hub"),
        (("--size", "small", "--revision", "x"), "--revision belongs to --from-hub"),
        (("--from", "FILE", "--size", "large"), "is a custom network, not large"),
        (("--size", "small", "--", "--batch-sise", "8"), "No such option '--batch-sise'"),
        (("--size", "small", "--", "--batch-size", "0"), "'--batch-size'"),
        (("--size", "small", "--", "--weights-name", "x"), "--weights-name is part of what"),
        (("--size", "small", "--repo-id", "me/w"), "not both"),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    source = tiny_checkpoint(tmp_path / "old.pt")
    done = create(tmp_path, *(source if word == "FILE" else word for word in arguments))
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize("name", ["a/b", "../x", "model", "x.pt"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    done = create(tmp_path, "--size", "small", name=name)
    assert done.exit_code == 2
    assert "experiment" in done.stderr.splitlines()[-1]
    assert "weights name" not in done.stderr
    assert not (tmp_path / "experiments").exists()


def test_a_source_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"nothing of the kind")
    done = create(tmp_path, "--from", bad)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: cannot use checkpoint {bad}")
    assert not (tmp_path / "experiments").exists()


def test_an_unknown_experiment_is_named_with_a_close_one(tmp_path: Path) -> None:
    assert create(tmp_path, "--size", "small").exit_code == 0
    for verb in ("status", "runs", "plot"):
        done = experiment(verb, "frist", root=tmp_path)
        assert done.exit_code == 2
        assert "no experiment 'frist'" in done.stderr
        assert "did you mean 'first'?" in done.stderr


@pytest.mark.parametrize("verb", ["create", "learn", "status", "runs", "plot", "revert"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = zebfast("experiment", verb, "--help")
    assert done.exit_code == 0
    usage, _, rest = done.stdout.partition("\n")
    assert usage.startswith(f"Usage: zebfast experiment {verb}")
    assert f"\n    zebfast experiment {verb} " in rest
