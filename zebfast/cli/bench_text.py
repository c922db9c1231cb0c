"""The report of `zebfast bench`: as plain values, and on one screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from zebfast.cli.console import NOTHING
from zebfast.cli.play_stages import PARTS
from zebfast.cli.stages import Measurement, default_device

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
    found = bottleneck(results)
    return {
        "machine": machine(),
        "stages": [{**asdict(result), "rate": result.rate} for result in results],
        "bytes_per_example": next(
            (r.detail["bytes_per_example"] for r in results if r.key == "examples_written"), None
        ),
        "selfplay_time": {r.key: spent(r, results) for r in results if "waiting_share" in r.detail},
        "bottleneck": found[0] if found else None,
        "hint": found[1] if found else None,
    }


def machine() -> dict[str, Any]:
    """See machine_facts, with the instruction set that the core runs with."""
    from zebfast.cli.doctor import core_build
    from zebfast.cli.tuned import machine_facts

    return {**machine_facts(default_device()), "isa": core_build()}


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
    m = found["machine"]
    gpu = m["gpu"] or "no GPU"
    click.echo(f"{m['cpu']}, {m['cores']} cores, {m['isa']}; {gpu}; torch {m['torch']}"[:80])
    for stage in found["stages"]:
        size = stage["detail"].get("bytes_per_example")
        more = f", {size:.1f} bytes each" if size else ""
        click.echo(f"{_number(stage['rate']):>11} {stage['unit']:<14} {stage['what']}{more}")
    if found["selfplay_time"]:
        whats = {stage["key"]: stage["what"] for stage in found["stages"]}
        _print_time(found["selfplay_time"], whats)
        click.echo(found["bottleneck"])
        click.echo(found["hint"])


def _print_time(times: dict[str, dict[str, float]], whats: dict[str, str]) -> None:
    heading = "".join(f"{'~' + name if name == 'solver' else name:>10}" for name in _COLUMNS)
    click.echo(f"{'Where its time goes':<28}{heading}")
    for key, shares in times.items():
        cells = "".join(
            f"{shares[name]:>10.1%}" if name in shares else f"{NOTHING:>10}" for name in _COLUMNS
        )
        click.echo(f"{_short(whats[key]):<28}{cells}")


def _short(what: str) -> str:
    return what.removeprefix("self-play, ").removesuffix(", all cores")


def _number(value: float) -> str:
    """With at least three figures."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.1f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
