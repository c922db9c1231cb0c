"""Prints the table of games per dollar by GPU type; tools/readme.py puts it into the docs.

A model, not a measurement: games/s = share x peak / (operations an evaluation x evaluations a
game), but no more than the host's cores work out the trees of. Operations are counted on the
network itself at the lengths that leaves have; evaluations a game come from the newest record;
peaks, prices and what is assumed stand with their sources in tools/cost_model.json.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from generated import ROOT
from records import RECORDS, newest_figures, number
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(ROOT))

from zebfast.core.records import OBS_DTYPE
from zebfast.net.networks import sized
from zebfast.net.torch.folded import fold
from zebfast.net.torch.pipeline import plan

DATA = ROOT / "tools" / "cost_model.json"
_BATCH = 4096  # leaves sent to a GPU at once
_HOUR = 3600
FLEETS = (1, 10, 100, 1000)
N_PLIES = 28  # examples of a game


class Setting(NamedTuple):
    """One way of playing: what its record says of a game."""

    what: str
    evaluations: float  # a game
    trees: float  # games/s whose trees and endings one core works out
    lengths: dict[int, int]  # how many of the sampled leaves have so many valid tokens


def setting(entry: Mapping[str, Any], folder: Path) -> Setting:
    """The newest record of a setting. KeyError if no record has it."""
    figure, record = newest_figures(folder)[entry["figure"]]
    detail = figure["detail"]
    busy = (1 - detail["network_share"]) * record["machine"]["cores"]
    lengths = {int(length): n for length, n in entry["lengths"].items()}
    return Setting(entry["what"], detail["evaluations_per_game"], figure["value"] / busy, lengths)


def batch_lengths(lengths: Mapping[int, int]) -> np.ndarray:
    """int64[_BATCH]: a batch with that distribution of lengths."""
    every = np.repeat(list(lengths), list(lengths.values()))
    return np.sort(every)[np.arange(_BATCH) * len(every) // _BATCH]


def operations(tokenizer: str, size: str, lengths: Mapping[int, int]) -> float:
    """Floating-point operations an evaluation, padding of the GPU's pieces included."""
    config = sized(tokenizer, size, belief_head=False)
    weights = {name: np.zeros(shape, np.float32) for name, shape in config.parameters().items()}
    net = fold(config, weights, device=torch.device("meta"), dtype=torch.float16)
    wanted = batch_lengths(lengths) if tokenizer == "v1" else np.zeros(_BATCH, np.int64)
    total = 0
    for piece in plan(wanted, None)[1]:
        raw = torch.empty(piece.rows, OBS_DTYPE.itemsize, dtype=torch.uint8, device="meta")
        with torch.inference_mode():
            net.on_device(raw, piece.length)  # what is made once is not counted
            with FlopCounterMode(display=False) as counter:
                net.on_device(raw, piece.length)
        total += counter.get_total_flops()
    return total / _BATCH


def rates(
    gpu: Mapping[str, Any], shares: Iterable[float], flops: float, way: Setting
) -> list[tuple[float, bool]]:
    """Games a second for each share of the peak, and whether the host's cores are what limits."""
    cap = gpu["cores"] * way.trees
    speeds = [share * gpu["tflops"] * 1e12 / (flops * way.evaluations) for share in shares]
    return [(min(speed, cap), speed >= cap) for speed in speeds]


def speed_text(found: list[tuple[float, bool]]) -> str:
    """``45.4 to 136``; a star where the cores limit."""
    return span([f"{number(speed)}{'*' * limited}" for speed, limited in found])


def dollar_text(found: list[tuple[float, bool]], dollars_an_hour: float) -> str:
    """Million games a dollar."""
    return span([number(speed * _HOUR / dollars_an_hour / 1e6) for speed, _ in found])


def span(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def data() -> dict[str, Any]:
    """Peaks, prices and what is assumed."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def table(data: Mapping[str, Any], folder: Path, root: str = "") -> str:
    """The table in Markdown and what it assumes; links begin with ``root``."""
    found = {name: setting(entry, folder) for name, entry in data["settings"].items()}
    columns = [(c["network"], c["size"], found[c["setting"]]) for c in data["columns"]]
    cost = [operations(network, size, way.lengths) for network, size, way in columns]
    heads = [f"{network} {size}, {way.what}: games/s" for network, size, way in columns]
    lines = [
        "| GPU, cores, $/h | " + "".join(f"{head} | million games a $ | " for head in heads),
        "|---|" + "---:|---:|" * len(columns),
    ]
    for gpu in data["gpus"]:
        price = gpu["dollars_an_hour"]
        cells = [f"{gpu['name']}, {gpu['cores']}, {price:.2f}"]
        for flops, (_, _, way) in zip(cost, columns, strict=True):
            speeds = rates(gpu, data["share"], flops, way)
            cells += [speed_text(speeds), dollar_text(speeds, price)]
        lines.append(f"| {' | '.join(cells)} |")
    for known in data["published"]:
        price, speeds = known["dollars_an_hour"], [(known["games_per_s"], False)]
        cells = [f"published: {known['what']}, {price:.2f}"]
        cells += [speed_text(speeds), dollar_text(speeds, price)]
        cells += ["–"] * (2 * len(columns) - 2)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*(line.rstrip() for line in lines), "", caption(data, columns, cost, root)])


def fleets(data: Mapping[str, Any], folder: Path) -> str:
    """Games a second and dollars an hour of so many hosts of a kind, in Markdown.

    Of the first and the last of the model's columns, and of what was published as measured; so many
    times over, for workers do not wait for each other.
    """
    heads = [f"{n:,} worker{'s' * (n > 1)}" for n in FLEETS]
    lines = [f"| host | plays | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(FLEETS)]

    def row(host: str, plays: str, speeds: list[float], dollars_an_hour: float) -> None:
        cells = [
            f"{span([number(n * speed) for speed in speeds])} games/s, ${n * dollars_an_hour:,.2f}"
            for n in FLEETS
        ]
        lines.append(f"| {host} | {plays} | {' | '.join(cells)} |")

    known = data["published"][0]
    row(known["what"], "as published", [known["games_per_s"]], known["dollars_an_hour"])
    for column in (data["columns"][0], data["columns"][-1]):
        way = setting(data["settings"][column["setting"]], folder)
        flops = operations(column["network"], column["size"], way.lengths)
        for gpu in data["gpus"]:
            speeds = [speed for speed, _ in rates(gpu, data["share"], flops, way)]
            plays = f"{column['network']} {column['size']}"
            row(f"{gpu['name']}, {gpu['cores']} cores", plays, speeds, gpu["dollars_an_hour"])
    reading, record = newest_figures(folder)["ingest_safetensors"]
    ways = [data["settings"][data["columns"][at]["setting"]]["what"] for at in (0, -1)]
    text = (
        "Games a second, and dollars an hour. The first line is from "
        f"{known['source']}; all others are by the model of "
        f"[games a dollar](performance.md#games-a-dollar), v1 large with {ways[0]}, v2 medium with "
        f"{ways[1]}, which no GPU has confirmed. Nothing is taken off for many workers. One core "
        f"of a learner reads {number(reading['value'] / N_PLIES)} games/s "
        f"({record['machine']['cpu']}, {record['date']}); what is beyond it is not learned from."
    )
    return "\n".join([*lines, "", textwrap.fill(text, 100, break_on_hyphens=False)])


def caption(
    data: Mapping[str, Any],
    columns: list[tuple[str, str, Setting]],
    cost: list[float],
    root: str,
) -> str:
    """What is assumed, in words and numbers."""
    low, high = (f"{100 * share:.0f}" for share in data["share"])
    each = [
        f"{network} {size} {number(flops / 1e6)} MFLOP, padding included, "
        f"{number(way.evaluations)} evaluations, {1000 / way.trees:.1f} ms of a core for trees "
        f"and endings ({way.what})"
        for flops, (network, size, way) in zip(cost, columns, strict=True)
    ]
    text = (
        "A model: nothing in it but the published rows was run on a GPU. Assumed: the network "
        f"reaches {low} to {high} % of the published dense half-precision peak; the host has so "
        "many cores and they do nothing else (* where they limit, not the GPU); every network "
        "needs as many evaluations as the published medium one in the newest record. An "
        f"evaluation and a game: {'; '.join(each)}. With all endings solved, the default, cores "
        "limit on every GPU. Peaks, prices and their sources: "
        f"[tools/cost_model.json]({root}tools/cost_model.json); printed by "
        "`python tools/cost_model.py`."
    )
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


if __name__ == "__main__":
    print(table(data(), RECORDS))
