"""`zebfast bench --tune`: the fastest way to play on this machine, found by playing."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.console import NOTHING
from zebfast.cli.tuned import Circumstances, Entry, as_flags, remember, today, tuned_file
from zebfast.cli.worker import default_threads, selfplay_config
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.stats import SelfPlayStats
from zebfast.selfplay.trial import Trial
from zebfast.selfplay.tuning import Setting, Tuned, Tuner, grid
from zebfast.system.machine import usable_cores

if TYPE_CHECKING:
    from zebfast.net.evaluator import Evaluator

SEED = 42


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be tuned.

    Attributes:
        network: config of the network, as it is published.
        weights: by name.
        name: of the network, for people.
        selfplay: how to search; its games and groups are the default's.
        device, dtype: where and in what precision the network runs.
    """

    network: Mapping[str, Any]
    weights: Mapping[str, Any]
    name: str
    selfplay: SelfPlayConfig
    device: str
    dtype: str

    @property
    def default(self) -> Setting:
        n_groups = self.selfplay.n_groups
        return Setting(
            n_parallel_games=self.selfplay.n_parallel_games,
            n_groups=n_groups,
            threads=default_threads(n_groups),
        )


class _Trials:
    """The games of every setting that is still in the running."""

    def __init__(self, job: Job) -> None:
        from zebfast.net.evaluator import Evaluator
        from zebfast.net.networks import config_from_dict

        self._job = job
        self._evaluator: Evaluator = Evaluator(
            config_from_dict(job.network), job.weights, device=job.device, dtype=job.dtype
        )
        self._open: dict[Setting, Trial] = {}

    def look(self, setting: Setting, seconds: float) -> SelfPlayStats:
        """Play on; the first look at a setting begins its games. MemoryError if there is none."""
        import torch

        torch.set_num_threads(setting.threads)
        try:
            if setting not in self._open:
                config = replace(
                    self._job.selfplay,
                    n_parallel_games=setting.n_parallel_games,
                    n_groups=setting.n_groups,
                )
                self._open[setting] = Trial(self._evaluator, config=config, seed=SEED)
                self._open[setting].run(0)  # the first step pays for buffers
            return self._open[setting].run(seconds)
        except torch.cuda.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None

    def drop(self, setting: Setting) -> None:
        """Give the memory of a setting's games back."""
        self._open.pop(setting, None)
        gc.collect()


def tune(job: Job) -> Tuned:
    """Look at settings for less than a minute, with one line of progress on a terminal.

    Raises:
        NothingFits: there is no memory for any.
    """
    trials, default = _Trials(job), job.default
    games, shapes = grid(
        cores=usable_cores(), on_gpu=job.device.startswith("cuda"), default=default
    )
    looks = 0

    def show(setting: Setting) -> None:
        nonlocal looks
        looks += 1
        if sys.stderr.isatty():
            click.echo(f"\r\033[Klook {looks}: {as_flags(asdict(setting))}", err=True, nl=False)

    tuner = Tuner(trials.look, default, on_look=show, on_drop=trials.drop)
    try:
        return tuner.tune(games, shapes)
    finally:
        if sys.stderr.isatty():
            click.echo("\r\033[K", err=True, nl=False)


def keep(job: Job, tuned: Tuned) -> Path:
    """Remember the outcome; the file that it is in. OSError as it comes."""
    entry = Entry(
        circumstances=Circumstances.of(
            job.network, job.selfplay, device=job.device, dtype=job.dtype
        ),
        setting=tuned.chosen,
        games_per_second=tuned.games_per_second,
        gain=tuned.gain,
        date=today(),
    )
    path = tuned_file()
    remember(path, entry, lambda line: click.echo(line, err=True))
    return path


def print_tuned(job: Job, tuned: Tuned) -> None:
    """The table of what was tried, the choice, and what it brings."""
    search = job.selfplay.search
    click.echo(
        f"{job.name}, {search.n_simulations} simulations, {job.selfplay.worlds} worlds, "
        f"on {job.device} in {job.dtype}:"
    )
    click.echo(f"{'games/s':>10}  {'games':>6}  {'groups':>6}  {'threads':>7}  {'looks':>5}")
    for tried in sorted(tuned.tried, key=lambda t: t.setting.size):
        setting, rate = tried.setting, tried.games_per_second
        speed = "no memory" if tried.out_of_memory else f"{rate:.1f}" if rate else NOTHING
        marks = [("chosen", tuned.chosen), ("default", tuned.default)]
        click.echo(
            f"{speed:>10}  {setting.n_parallel_games:>6}  {setting.n_groups:>6}  "
            f"{setting.threads:>7}  {len(tried.looks):>5}  "
            + ", ".join(word for word, marked in marks if marked == setting)
        )
    if not tuned.settled:
        click.echo("Too few looks to choose by, so nothing is changed: again when less runs here")
        return
    gain = (
        "the default has not enough memory"
        if tuned.gain is None
        else f"{tuned.gain:.2f} times the default's (told apart from {tuned.noise:.0%})"
    )
    click.echo(
        f"Chosen: {as_flags(asdict(tuned.chosen))}: {tuned.games_per_second:.1f} games/s, {gain}"
    )


def tune_command(flags: dict[str, Any], *, as_json: bool) -> None:
    """`zebfast bench --tune` with these parsed flags.

    Raises:
        click.UsageError: one sentence where they cannot be used.
    """
    remembered = flags["remember"]
    try:
        job = _job(flags)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    tuned = tune(job)
    path = keep(job, tuned) if remembered and tuned.settled else None
    if as_json:
        tried = [
            {**asdict(t.setting), "games_per_second": t.games_per_second, "looks": len(t.looks),
             "out_of_memory": t.out_of_memory}
            for t in tuned.tried
        ]  # fmt: skip
        told = {
            name: getattr(tuned, name) for name in ("games_per_second", "gain", "noise", "settled")
        }
        chosen, default = asdict(tuned.chosen), asdict(tuned.default)
        click.echo(json.dumps({"chosen": chosen, "default": default, **told, "tried": tried,
                               "remembered_in": path and str(path)}))  # fmt: skip
        return
    print_tuned(job, tuned)
    if path is not None:
        click.echo(f"Remembered in {path} for workers that play this way (--forget drops it)")


def _job(flags: dict[str, Any]) -> Job:
    """ValueError, BadCheckpoint or OSError where there is no such network or device."""
    from zebfast.cli.learn import choose_device
    from zebfast.cli.stages import fresh_network
    from zebfast.net import checkpoint

    device = choose_device(flags["device"])
    selfplay = selfplay_config({**flags, "n_parallel_games": None, "n_groups": None}, device)
    if flags["checkpoint"] is None:
        config, weights = fresh_network(flags["size"], flags["tokenizer"])
        name = f"{flags['size']} {flags['tokenizer']} network"
    else:
        found = checkpoint.load(flags["checkpoint"])
        config, weights, name = found.config, found.weights, flags["checkpoint"].name
    return Job(
        network=config.to_dict(),
        weights=weights,
        name=name,
        selfplay=selfplay,
        device=device,
        dtype=flags["dtype"],
    )
