"""Flags of the self-play search reach its options; without them the options are their defaults."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import pytest

from zebfast.cli.worker import config_from_flags, refuse_flags_of_the_other, worker
from zebfast.core.options import SearchOptions
from zebfast.selfplay.auctions import AuctionOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.selfplay.whole_hands import WholeHandsConfig
from zebfast.system.settings import SettingError
from zebfast.worker.config import RecipeConfig
from zebfast.worker.opponent import OpponentOptions
from zebfast.worker.options import task_of


def selfplay(folder: Path, *flags: str) -> SelfPlayConfig:
    args = ["--repo-id", str(folder), "--output-dir", str(folder / "out"), "--device", "cpu"]
    context = worker.make_context("worker", [*args, *flags])
    producer = config_from_flags(context.params)[0].producer
    assert isinstance(producer, SelfPlayConfig)
    return producer


def test_defaults_are_those_of_the_options(tmp_path: Path) -> None:
    config = selfplay(tmp_path)
    assert config.search == SearchOptions()
    assert config.cache_mb == SelfPlayConfig().cache_mb == 0


def test_every_option_has_a_flag(tmp_path: Path) -> None:
    """Each field of the options differs from its default when its flag does."""
    flags = {
        "n_simulations": "64", "max_nodes": "99", "n_worlds": "5", "exact_tricks": "3",
        "c_puct": "2", "root": "gumbel", "temperature": "0.5", "noise_alpha": "0.2",
        "gumbel_scale": "0.7", "full_share": "0.25", "fast_simulations": "8",
    }  # fmt: skip
    switches = ["early_stop", "transpositions", "skip_decided"]
    names = {"max_nodes": "max_mcts_nodes"}
    args = [f"--{names.get(n, n).replace('_', '-')}={value}" for n, value in flags.items()]
    args += [f"--{n.replace('_', '-')}" for n in switches]
    config = selfplay(tmp_path, *args, "--cache-mb", "3")
    assert config.cache_mb == 3
    plain = SearchOptions(noise_fraction=0.1)
    for option in fields(SearchOptions):
        assert getattr(config.search, option.name) != getattr(plain, option.name), option.name
    assert selfplay(tmp_path, "--noise-fraction", "0.1").search == plain


def of_mode(folder: Path, *flags: str) -> object:
    args = ["--repo-id", str(folder), "--output-dir", str(folder / "out"), "--device", "cpu"]
    context = worker.make_context("worker", [*args, *flags])
    return config_from_flags(context.params)[0].producer


@pytest.mark.parametrize("teacher", ["exact", "rollout"])
def test_a_teachers_defaults_are_those_of_its_config(tmp_path: Path, teacher: str) -> None:
    config = of_mode(tmp_path, "--mode", teacher, "--n-groups", "2")
    assert config == TeachingConfig(teacher=teacher)
    more = of_mode(tmp_path, "--mode", teacher, "--n-groups", "4")
    assert isinstance(more, TeachingConfig)
    assert more.n_parallel_games == 2 * TeachingConfig().n_parallel_games


def test_every_setting_of_a_teacher_has_a_flag(tmp_path: Path) -> None:
    flags = {
        "label-share": "0.5", "label-worlds": "8", "temperature": "0.5", "explore": "0.3",
        "exact-tricks": "3", "n-parallel-games": "12", "n-groups": "3",
    }  # fmt: skip
    args = [f"--{name}={value}" for name, value in flags.items()]
    config = of_mode(tmp_path, "--mode", "rollout", *args)
    for field in fields(TeachingConfig):
        assert getattr(config, field.name) != getattr(TeachingConfig(), field.name), field.name


def test_every_setting_of_whole_hands_has_a_flag(tmp_path: Path) -> None:
    flags = {
        "auction-share": "0.2", "contract-share": "0.1", "least-threshold": "0.1",
        "most-threshold": "0.9", "overbid": "0.5", "wild": "0.3", "explore": "0.3",
    }  # fmt: skip
    args = [f"--{name}={value}" for name, value in flags.items()]
    config = of_mode(tmp_path, "--mode", "game", "--n-groups", "2", *args)
    assert isinstance(config, WholeHandsConfig)
    for field in fields(AuctionOptions):
        assert getattr(config, field.name) != getattr(AuctionOptions(), field.name), field.name
    assert of_mode(tmp_path, "--mode", "game", "--n-groups", "2") == WholeHandsConfig()


def test_a_worker_of_a_recipe_says_what_its_machine_asks_for(tmp_path: Path) -> None:
    config = of_mode(tmp_path, "--mode", "recipe", "--n-groups", "3", "--games-per-batch", "64")
    own = {"n_groups": 3, "games_per_batch": 64, "n_parallel_games": None, "threads": None}
    assert config == RecipeConfig(machine=own, default_groups=3)
    plain = of_mode(tmp_path, "--mode", "recipe")
    assert isinstance(plain, RecipeConfig)
    assert set(plain.machine.values()) == {None}
    assert plain.default_groups >= 2


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--mode", "exact", "--n-simulations", "9"), "give --mode selfplay"),
        (("--mode", "exact", "--exact-tricks", "2"), "changes nothing in --mode exact"),
        (("--mode", "recipe", "--explore", "0.2"), "give --mode exact"),
        (("--label-share", "0.5"), "changes nothing in --mode selfplay"),
        (("--mode", "rollout", "--wild", "0.5"), "give --mode game"),
    ],
)
def test_flags_of_other_modes(tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    args = ["--repo-id", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--device", "cpu"]
    context = worker.make_context("worker", [*args, *flags])
    with pytest.raises(click.UsageError, match=why):
        refuse_flags_of_the_other(context, context.params["mode"])


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--root", "gumbel", "--noise-fraction", "0.1"), "expected 0 with the gumbel root"),
        (("--full-share", "0.5", "--n-simulations", "8"), "fast_simulations is 16: expected"),
        (("--full-share", "0"), "not in the range"),
        (("--cache-mb", "-1"), "not in the range"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    with pytest.raises(click.UsageError, match=why):
        selfplay(tmp_path, *flags)


def test_an_opponent_is_named_by_flags_and_by_no_run(tmp_path: Path) -> None:
    args = ["--repo-id", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--device", "cpu"]

    def told(*flags: str) -> OpponentOptions:
        context = worker.make_context("worker", [*args, *flags])
        return config_from_flags(context.params)[0].opponent

    assert told() == OpponentOptions()
    found = told("--opponent", "my.py:best,illegal=replace", "--opponent-share", "0.3")
    assert found == OpponentOptions(opponent="my.py:best,illegal=replace", opponent_share=0.3)
    with pytest.raises(click.UsageError, match="opponent is zeb: expected a policy, as FILE"):
        told("--opponent", "zeb")
    with pytest.raises(click.UsageError, match="opponent is given"):
        told("--opponent", "my.py", "--mode", "exact")
    with pytest.raises(SettingError, match="'opponent' is no option of selfplay"):
        task_of({"mode": "selfplay", "opponent": "my.py"}, {})
