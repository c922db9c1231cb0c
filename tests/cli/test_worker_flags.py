"""Flags of the self-play search reach its options; without them the options are their defaults."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import pytest

from zebfast.cli.worker import worker
from zebfast.cli.worker_config import config_from_flags
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig


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


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--root", "gumbel", "--noise-fraction", "0.1"), "must be 0 with the gumbel root"),
        (("--full-share", "0.5", "--n-simulations", "8"), "fast_simulations is 16, but must be"),
        (("--full-share", "0"), "not in the range"),
        (("--cache-mb", "-1"), "not in the range"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    with pytest.raises(click.UsageError, match=why):
        selfplay(tmp_path, *flags)
