"""`zebfast bench`: how fast each stage runs here, which one limits, and the behaviour signature."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from zebfast.cli.exact_stages import STAGES as EXACT_STAGES
from zebfast.cli.stages import STAGES as RUN_STAGES
from zebfast.cli.stages import Measurement, bytes_per_example, measure

STAGES = (*EXACT_STAGES, *RUN_STAGES)
STAGE_KEYS = [stage.key for stage in STAGES]


@click.command(
    name="bench",
    epilog="Example: zebfast bench --seconds 5   (one stage: zebfast bench --stage random_games)",
)
@click.option("--signature", is_flag=True, help="Print only the behaviour signature, one integer.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Time for each stage; one piece of work is always finished.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(STAGE_KEYS),
    help="Measure only this stage; may be repeated (default: all).",
)
def bench(signature: bool, as_json: bool, seconds: float, stages: tuple[str, ...]) -> None:
    """Measure each stage for a few seconds and name the bottleneck of self-play.

    The signature is computed from fixed seeds; it changes if, and only if, the engine or the
    search behaves differently.
    """
    if signature:
        from zebfast.selfplay.signature import signature as behaviour_signature

        number = behaviour_signature()
        click.echo(json.dumps({"signature": number}) if as_json else str(number))
        return
    chosen = [stage for stage in STAGES if not stages or stage.key in stages]
    results = []
    for stage in chosen:
        if sys.stderr.isatty():
            click.echo(f"measuring: {stage.what}", err=True)
        results.append(measure(stage, seconds=seconds))
    size = None if stages else bytes_per_example()
    if as_json:
        click.echo(json.dumps(report(results, size)))
        return
    for result in results:
        click.echo(f"{result.rate:>14,.1f} {result.unit:<14} {result.what}")
        for name, value in result.detail.items():
            click.echo(f"{'':>29} {name.replace('_', ' ')}: {_figure(name, value)}")
    if size is not None:
        click.echo(f"{size:>14,.1f} {'bytes':<14} per example in the compact format")
    limit = bottleneck(results)
    if limit:
        click.echo(limit)


def _figure(name: str, value: float) -> str:
    return f"{value:.0%}" if name.endswith("_share") else f"{value:,.0f}"


def report(results: Sequence[Measurement], size: float | None) -> dict[str, Any]:
    """The whole report as plain values."""
    stages = [{**asdict(result), "rate": result.rate} for result in results]
    return {"stages": stages, "bytes_per_example": size, "bottleneck": bottleneck(results)}


def bottleneck(results: Sequence[Measurement]) -> str | None:
    """One sentence: what self-play spends its time on. None if self-play was not measured."""
    shares = next((r.detail for r in results if r.key == "selfplay_games"), None)
    if shares is None:
        return None
    network, trees = shares["network_share"], shares["trees_share"]
    name, share = ("network", network) if network >= trees else ("tree search", trees)
    return f"Bottleneck of self-play here: the {name}, {share:.0%} of its time."
