"""One look at an experiment over directories: what is read, and what it is not read from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from experiments import add_examples
from listening import listening
from quick import tiny_checkpoint

from zebfast.exchange import (
    LocalExampleStore,
    LocalWeightStore,
    Namespace,
    StoreOptions,
    example_name,
)
from zebfast.exchange.hub.spool import Spool
from zebfast.experiment.experiment import Experiment, write_new
from zebfast.experiment.runlog import RunLog
from zebfast.experiment.status import snapshot as facts_module
from zebfast.experiment.status.liveness import last_sign
from zebfast.experiment.status.snapshot import Facts, gather
from zebfast.net import checkpoint as checkpoints
from zebfast.system.events import EventFile, Waiting


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    made = make_experiment()
    write_new(made, lambda path: tiny_checkpoint(path) and None)
    return made


def look(experiment: Experiment, root: Path) -> Facts:
    options = StoreOptions(state_dir=root / "run")
    with listening(pytest.fail):
        return gather(experiment, options=options, now=time.time())


def publish(root: Path, experiment: Experiment, **state: Any) -> None:
    store = LocalWeightStore(root / "run", Namespace.parse("first"))
    start = checkpoints.load(experiment.bootstrap)
    store.publish(start.weights, start.config.to_dict(), {"step": 3, "total_games": 9} | state)


def test_an_experiment_of_which_nothing_has_run(experiment: Experiment, tmp_path: Path) -> None:
    facts = look(experiment, tmp_path)
    assert (facts.state, facts.config, facts.producers, facts.rows) == (None, None, (), ())
    assert facts.exchange_errors == ()
    assert facts.bootstrap_config is not None
    assert facts.settings is None


def test_workers_are_known_by_their_newest_file(experiment: Experiment, tmp_path: Path) -> None:
    for age in (600.0, 300.0, 20.0):
        add_examples(tmp_path, age=age, n=10, model_step=2)
    add_examples(tmp_path, worker="evalaux-0", source="eval-eq-zeb", weights_name="other")
    evalaux, selfplay = look(experiment, tmp_path).producers
    assert (evalaux.worker_id, evalaux.source, evalaux.weights_name) == (
        "evalaux-0", "eval-eq-zeb", "other",
    )  # fmt: skip
    assert evalaux.games_per_s is None, "one file gives no rate"
    assert (selfplay.n_files, selfplay.source, selfplay.model_step) == (3, "selfplay-mcts", 2)
    assert selfplay.games_per_s == pytest.approx(20 / 600, rel=0.05)


def test_what_the_learner_has_counted_is_not_read_again(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = add_examples(tmp_path, age=20.0)
    entry = {"source": "selfplay-mcts", "last_unix": int(time.time()), "model_step": 2, "games": 2}
    streams = {"selfplay-mcts": {"files": 5, "games": 40}}
    publish(tmp_path, experiment, workers={"worker-0": entry}, streams=streams)
    monkeypatch.setattr(facts_module, "read_examples", lambda path: pytest.fail(f"read {path}"))
    [producer] = look(experiment, tmp_path).producers
    assert (producer.source, producer.model_step) == ("selfplay-mcts", 2)
    monkeypatch.undo()
    publish(tmp_path, experiment, workers={"worker-0": entry | {"last_unix": 1}})
    [producer] = look(experiment, tmp_path).producers
    assert producer.model_step == 0, "its newest file is newer than the account"
    newest.write_bytes(b"nothing of the kind")
    [producer] = look(experiment, tmp_path).producers
    assert (producer.source, producer.n_files) == (None, 1)


def test_a_state_that_makes_no_sense_is_told(experiment: Experiment, tmp_path: Path) -> None:
    publish(tmp_path, experiment, workers=[1], streams="x", learning=7, problems={})
    assert look(experiment, tmp_path).producers == ()
    (tmp_path / "run" / "first-state.json").write_text("[")
    facts = look(experiment, tmp_path)
    assert facts.state is None
    assert facts.exchange_errors[0].startswith("weights: ")


def test_waiting_and_refused_files_of_this_machine(experiment: Experiment, tmp_path: Path) -> None:
    store = LocalExampleStore(tmp_path / "run" / "examples", experiment.namespace)
    for reason in ("the first", "the second"):
        path = add_examples(tmp_path)
        store.quarantine(path.name, reason)
    spool = Spool(store.local_dir / "spool")
    for unix in (7.0, 5.0):
        spool.put(example_name("w", unix), lambda path: path.write_bytes(b"x") and None)
    facts = look(experiment, tmp_path)
    assert facts.waiting == (5.0, 7.0)
    assert {reason for _, reason in facts.refused} == {"the first", "the second"}


def test_settings_are_those_of_the_newest_run(experiment: Experiment, tmp_path: Path) -> None:
    log = RunLog(experiment.run_log)
    for weight in (0.5, 0.25):
        (experiment.directory / f"{weight}.toml").write_text(f"[learner]\neval = {weight}\n")
        log.start(stage="evalaux", host="h", version="1", commit=None, config_file=f"{weight}.toml")
    assert look(experiment, tmp_path).settings == {"eval": 0.25}
    (experiment.directory / "0.25.toml").write_text("[")
    assert look(experiment, tmp_path).settings is None


def test_what_the_learner_on_this_machine_tells_is_a_sign_of_it(
    experiment: Experiment, tmp_path: Path
) -> None:
    assert last_sign(look(experiment, tmp_path)) is None
    event = Waiting(reason="examples", text="Buffer 0/5000", unix=1234.5)
    EventFile(tmp_path / "run" / experiment.namespace.events_file).take(event)
    found = look(experiment, tmp_path)
    assert found.events == (event,)
    assert last_sign(found) == 1234.5
