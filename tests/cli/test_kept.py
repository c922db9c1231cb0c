"""What was there before settings were fields: every flag, and files as 0e1ba2b wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from zebfast.cli.main import cli
from zebfast.exchange import Place
from zebfast.exchange.heartbeat import parse_heartbeat
from zebfast.experiment.experiment import read_experiment, to_toml
from zebfast.experiment.watch.progress import Seen
from zebfast.experiment.watch.state import load_state
from zebfast.fleet.market_history import read_history
from zebfast.fleet.state_file import read_state, write_state
from zebfast.system.settings import describe

OLD = Path(__file__).parents[1] / "golden" / "settings"
FLAGS: dict[str, dict[str, dict[str, Any]]] = json.loads((OLD / "flags.json").read_text())


def command_of(path: str) -> click.Command:
    """The command that a person calls so."""
    command: click.Command = cli
    for name in path.split()[1:]:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, path
        command = found
    return command


@pytest.mark.parametrize("path", sorted(FLAGS))
def test_no_flag_is_lost(path: str) -> None:
    options = {
        spelled: option
        for option in command_of(path).params
        if isinstance(option, click.Option)
        for spelled in (*option.opts, *option.secondary_opts)
    }
    for flag, was in FLAGS[path].items():
        option = options[flag]
        assert {*was["also"]} <= {*option.opts, *option.secondary_opts}
        assert option.envvar == was["env"], flag
        if was["default"] is not None:
            default = option.default
            plain = str(default) if isinstance(default, Path) else default
            assert plain == was["default"], flag


def test_described_settings_are_flags() -> None:
    from zebfast.core.options import SearchOptions
    from zebfast.fleet.model import Spec
    from zebfast.learner.config import EvalAuxConfig, LearnerConfig
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.worker.config import WorkerConfig

    for path, kinds in {
        "zebfast worker": ((SearchOptions, ""), (SelfPlayConfig, ""), (WorkerConfig, "")),
        "zebfast learn": ((LearnerConfig, ""), (EvalAuxConfig, "eval_aux_")),
        "zebfast fleet up": ((Spec, ""),),
    }.items():
        spelled = {flag for option in command_of(path).params for flag in option.opts}
        for kind, prefix in kinds:
            for row in describe(kind, prefix=prefix):
                flag = row.flag.partition("/")[0]
                assert flag in spelled or flag[1:] in spelled, f"{path} {row.flag}"


def test_an_old_experiment_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    directory = tmp_path / "first"
    directory.mkdir()
    shutil.copy(OLD / "experiment.toml", directory)
    read = read_experiment(directory)
    assert read.examples == Place("bucket", "me/zeb-games")
    assert read.stages["evalaux"]["eval_aux_batch_fraction"] == 0.05
    assert read.learner == {"batch_size": 128, "amp": True, "lr": 3e-4}
    assert to_toml(read) == (OLD / "experiment.toml").read_text()


def test_an_old_fleet_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    state = read_state(OLD / "fleet.json")
    assert state is not None
    [machine] = state.machines.values()
    assert (machine.price_per_hour, machine.terminating) == (0.08, "stalled")
    assert (state.spec.max_price_per_hour, state.spec.max_surge) == (0.1, 2)
    write_state(tmp_path / "fleet.json", state)
    assert json.loads((tmp_path / "fleet.json").read_text()) == json.loads(
        (OLD / "fleet.json").read_text()
    )


def test_an_old_market_is_read(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    shutil.copy(OLD / "market.json", path)
    history = read_history(path)
    assert history.rates["selfplay RTX 3060"].games_per_s == 4.0
    assert history.searches["vast"].offers[0].price_per_hour == 0.07
    assert (history.strikes, history.quota_until) == ({"vast h": 2}, {"vast": 12.0})


def test_what_an_old_watcher_and_an_old_worker_said_is_read() -> None:
    state = load_state(OLD / "watch.json")
    assert (state.looked, state.key, state.restarts) == (10.0, "stalled", (7.0,))
    assert state.seen == {"metrics": Seen("3", 9.0)}
    beat = parse_heartbeat((OLD / "w0.json").read_bytes(), "w0.json")
    assert (beat.phase, beat.batch, beat.gpu_memory) == ("playing", 3, 100.0)
