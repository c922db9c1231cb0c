"""`zebfast bench`: how fast each stage runs here, what limits, and the behaviour signature.

With --tune: the settings with which this machine plays fastest.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from zebfast.benchmark import tuned_settings
from zebfast.benchmark.trial import PARTS, Job, Trials
from zebfast.benchmark.tuning import Setting, Tuned, Tuner, grid
from zebfast.benchmark.workload import (
    Measurement,
    Missing,
    default_device,
    fresh_network,
    measure,
)
from zebfast.benchmark.workloads import used_by
from zebfast.cli.messages import note
from zebfast.cli.options import ModeOption, Number
from zebfast.cli.worker import (
    default_threads,
    search_options,
    selfplay_config,
    tuned_file,
    worker,
)
from zebfast.system.machine import usable_cores
from zebfast.system.settings import A_DAY

STAGES = tuple(used_by("report").values())

_OF_TUNING = ("checkpoint", "size", "tokenizer", "device", "dtype", "remember")
_OF_REPORT = ("seconds", "stages", "signature", "forget")


@click.command(
    name="bench",
    epilog="Examples: zebfast bench --seconds 5, zebfast bench --stage random_games, "
    "zebfast bench --tune --checkpoint model.pt",
)
@click.option("--signature", is_flag=True, help="Print only the behaviour signature, one integer.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--seconds",
    type=Number(0, A_DAY, low_open=True),
    default=1.25,
    show_default=True,
    help="Time for each stage; one piece of work is always finished.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice([stage.key for stage in STAGES]),
    help="Measure only this stage; may be repeated (default: all).",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Find the parallel games, groups and threads with which this machine plays fastest, in "
    "less than a minute, and remember them for workers on it. All options below go with it.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Network to tune for (default: an untrained one; its size is what matters).",
)
@click.option("--size", metavar="NAME", default="medium", show_default=True, help="Of that one.")
@click.option("--tokenizer", metavar="NAME", default="v1", show_default=True, help="Of that one.")
@search_options
@click.option("--remember/--no-remember", default=True, help="Keep the outcome for workers.")
@click.option("--forget", is_flag=True, help="Forget everything that was ever tuned here.")
@click.pass_context
def bench(
    context: click.Context,
    /,
    signature: bool,
    as_json: bool,
    seconds: float,
    stages: tuple[str, ...],
    tune: bool,
    forget: bool,
    **flags: Any,
) -> None:
    """Measure each stage for a moment and name the bottleneck of self-play.

    The signature is computed from fixed seeds; it changes if, and only if, the engine or the
    search behaves differently.
    """
    _refuse_what_changes_nothing(context, tune)
    if signature:
        from zebfast.selfplay.signature import signature as behaviour_signature

        number = behaviour_signature()
        click.echo(json.dumps({"signature": number}) if as_json else str(number))
    elif forget:
        path = tuned_file()
        had = tuned_settings.forget(path)
        click.echo(f"Removed {path}" if had else f"Nothing was remembered in {path}")
    elif tune:
        _tune(flags, as_json=as_json)
    else:
        _measure([s for s in STAGES if not stages or s.key in stages], seconds, as_json)


# Where and in what precision a worker's network runs.
bench.params.extend(p for p in worker.params if p.name in ("device", "dtype"))


def _measure(chosen: list[Any], seconds: float, as_json: bool) -> None:
    """Each stage in turn, then the report; what is measured now on a terminal."""
    results = []
    for number, stage in enumerate(chosen, start=1):
        _progress(f"{number}/{len(chosen)} {stage.what}")
        try:
            results.append(measure(stage, seconds=seconds))
        except Missing as error:
            _progress("")
            note(f"{stage.key} is left out: {error}")
    _progress("")
    found = report(results)
    if as_json:
        click.echo(json.dumps(found))
    else:
        print_report(found)


def _progress(text: str) -> None:
    """What is done now, on a terminal only, in place of what was said before."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", err=True, nl=False)


def _refuse_what_changes_nothing(context: click.Context, tune: bool) -> None:
    """UsageError for an option on the command line that goes with the other of the two jobs."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if not tune and (name in _OF_TUNING or isinstance(parameter, ModeOption)):
            raise click.UsageError(f"{parameter.opts[0]} goes with --tune: give both, or neither")
        if tune and name in _OF_REPORT:
            raise click.UsageError(f"{parameter.opts[0]} does not go with --tune: leave one out")


# --- the report -----------------------------------------------------------------------------------

_DEFAULT = "selfplay_games"  # the stage whose bottleneck is named first
_COLUMNS = ("network", "trees", "solver", "python", "waiting")
_NAMES = {"network": "the network", "trees": "tree search", "solver": "the exact solver",
          "python": "Python between the steps", "waiting": "waiting for a core"}  # fmt: skip
_HINTS = {
    "network": "a v2 network, --root gumbel with fewer simulations, a GPU",
    "trees": "fewer simulations and --root gumbel, --early-stop, more cores",
    "solver": "fewer simulations and --root gumbel, --early-stop, more cores",
    "python": "more games at once; zebfast bench --tune finds how many",
    "waiting": "fewer other programs; zebfast bench --tune finds good groups",
}


def report(results: Sequence[Measurement]) -> dict[str, Any]:
    """The whole report as plain values: machine, stages, time, bottleneck and what would help."""
    from zebfast.cli.doctor import core_build

    found = bottleneck(results)
    return {
        "machine": {**tuned_settings.machine_facts(default_device()), "isa": core_build()},
        "stages": [{**asdict(result), "rate": result.rate} for result in results],
        "bytes_per_example": next(
            (r.detail["bytes_per_example"] for r in results if r.key == "examples_written"), None
        ),
        "selfplay_time": {r.key: spent(r, results) for r in results if "waiting_share" in r.detail},
        "bottleneck": found[0] if found else None,
        "hint": found[1] if found else None,
    }


def spent(selfplay: Measurement, results: Sequence[Measurement]) -> dict[str, float]:
    """Shares of a self-play stage's time by _COLUMNS; the solver's only where it is used.

    The solver is not timed, which would cost more than it does: what the trees take beyond what
    as many simulations take in the stage without it is counted as the solver's, so the drawing of
    worlds is in it. Both are times on a core, whatever else the machine did meanwhile.
    """
    shares = {part: selfplay.detail[f"{part}_share"] for part in PARTS}
    plain = next((r for r in results if r.key == "simulations"), None)
    if plain is not None and selfplay.detail["solved_per_game"]:
        took = selfplay.detail["tree_nanoseconds_per_simulation"]
        beyond = max(0.0, 1 - plain.detail["nanoseconds_each"] / took) if took else 0.0
        shares["solver"] = shares["trees"] * beyond
        shares["trees"] -= shares["solver"]
    return {name: shares[name] for name in _COLUMNS if name in shares}


def bottleneck(results: Sequence[Measurement]) -> tuple[str, str] | None:
    """One sentence, what self-play spends its time on, and what would help; None if not measured.

    Of the default settings, or of those that were measured.
    """
    played = [r for r in results if "waiting_share" in r.detail]
    if not played:
        return None
    chosen = next((r for r in played if r.key == _DEFAULT), played[0])
    shares = spent(chosen, results)
    name = max(shares, key=lambda part: shares[part])
    return (
        f"Bottleneck of {_short(chosen.what)}: {_NAMES[name]}, {shares[name]:.0%} of its time.",
        f"What would help: {_HINTS[name]}.",
    )


def print_report(found: dict[str, Any]) -> None:
    """At most 24 lines of 80 columns."""
    from zebfast.cli.console import NOTHING

    m = found["machine"]
    gpu = m["gpu"] or "no GPU"
    click.echo(
        f"{m['cpu']}, {m['cores']} cores, {m['isa']}; {gpu}; torch {m['torch'] or 'none'}"[:80]
    )
    for stage in found["stages"]:
        size = stage["detail"].get("bytes_per_example")
        more = f", {size:.1f} bytes each" if size else ""
        click.echo(f"{_number(stage['rate']):>11} {stage['unit']:<14} {stage['what']}{more}")
    if found["selfplay_time"]:
        heading = "".join(f"{'~' * (name == 'solver') + name:>10}" for name in _COLUMNS)
        click.echo(f"{'Where its time goes':<28}{heading}")
        whats = {stage["key"]: _short(stage["what"]) for stage in found["stages"]}
        for key, shares in found["selfplay_time"].items():
            cells = (f"{shares[n]:.1%}" if n in shares else NOTHING for n in _COLUMNS)
            click.echo(f"{whats[key]:<28}" + "".join(f"{cell:>10}" for cell in cells))
        click.echo(found["bottleneck"])
        click.echo(found["hint"])


def _short(what: str) -> str:
    return what.removeprefix("self-play, ").removesuffix(", all cores")


def _number(value: float) -> str:
    """With at least three figures."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.1f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


# --- --tune ---------------------------------------------------------------------------------------


def tune(job: Job) -> Tuned:
    """Look at settings for less than a minute, with one line of progress on a terminal.

    Raises:
        NothingFits: there is no memory for any.
    """
    n_games, n_groups = job.selfplay.n_parallel_games, job.selfplay.n_groups
    threads = default_threads(n_groups)
    default = Setting(n_parallel_games=n_games, n_groups=n_groups, threads=threads)
    on_gpu = job.device.startswith("cuda")
    games, shapes = grid(cores=usable_cores(), on_gpu=on_gpu, default=default)
    trials, looks = Trials(job), 0

    def show(setting: Setting) -> None:
        nonlocal looks
        looks += 1
        _progress(f"look {looks}: {tuned_settings.as_flags(asdict(setting))}")

    try:
        tuner = Tuner(trials.look, default, on_look=show, on_drop=trials.drop)
        return tuner.tune(games, shapes)
    finally:
        _progress("")


def print_tuned(job: Job, tuned: Tuned) -> None:
    """The table of what was tried, the choice, and what it brings."""
    from zebfast.cli.console import NOTHING

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
    flags = tuned_settings.as_flags(asdict(tuned.chosen))
    click.echo(f"Chosen: {flags}: {tuned.games_per_second:.1f} games/s, {gain}")


def _tune(flags: dict[str, Any], *, as_json: bool) -> None:
    """`zebfast bench --tune` with these parsed flags.

    Raises:
        click.UsageError: one sentence where they cannot be used.
    """
    try:
        job = _job(flags)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    tuned = tune(job)
    path = None
    if flags["remember"] and tuned.settled:
        path = tuned_file()
        entry = tuned_settings.Entry(
            circumstances=tuned_settings.Circumstances.of(
                job.network, job.selfplay, device=job.device, dtype=job.dtype
            ),
            setting=tuned.chosen,
            games_per_second=tuned.games_per_second,
            gain=tuned.gain,
            date=time.strftime("%Y-%m-%d"),
        )
        tuned_settings.remember(path, entry)
    if as_json:
        tried = [
            {**asdict(t.setting), "games_per_second": t.games_per_second, "looks": len(t.looks),
             "out_of_memory": t.out_of_memory}
            for t in tuned.tried
        ]  # fmt: skip
        told = {**asdict(replace(tuned, tried=())), "tried": tried}
        click.echo(json.dumps({**told, "remembered_in": path and str(path)}))
        return
    print_tuned(job, tuned)
    if path is not None:
        click.echo(f"Remembered in {path} for workers that play this way (--forget drops it)")


def _job(flags: dict[str, Any]) -> Job:
    """ValueError, BadCheckpoint or OSError where there is no such network or device."""
    from zebfast.cli.options import choose_device
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
