"""Tables of the records of tools/strength.py in Markdown, for the pages that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zebfast.arena.stats import wilson_interval

NOTHING = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; every column but the first is a number."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def percent(share: float, low: float, high: float) -> str:
    """A share with its 95 % interval, in %."""
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def seen_from(pair: Mapping[str, Any], player: str) -> dict[str, Any]:
    """A pairing as one of its two players sees it."""
    if pair["player_a"] == player:
        return dict(pair)
    low, high = wilson_interval(wins=pair["losses"], games=pair["games"])
    return {
        **pair,
        "player_a": pair["player_b"],
        "player_b": pair["player_a"],
        "wins": pair["losses"],
        "losses": pair["wins"],
        "win_rate": pair["losses"] / pair["games"],
        "win_rate_low": low,
        "win_rate_high": high,
        "mean_margin": -pair["mean_margin"],
        "contract_rate": 1 - pair["contract_rate"],  # a contract is never a tie
        "contract_rate_low": 1 - pair["contract_rate_high"],
        "contract_rate_high": 1 - pair["contract_rate_low"],
        **_decided_from_there(pair),
    }


def _decided_from_there(pair: Mapping[str, Any]) -> dict[str, float]:
    if "decided_share" not in pair:
        return {}
    return {
        "decided_share": 1 - pair["decided_share"],
        "decided_low": 1 - pair["decided_high"],
        "decided_high": 1 - pair["decided_low"],
        "z": -pair["z"],
    }


def decided_text(pair: Mapping[str, Any]) -> str:
    """The share of games that were no tie, with its interval and z; a dash in older records."""
    if "z" not in pair:
        return NOTHING
    share = percent(pair["decided_share"], pair["decided_low"], pair["decided_high"])
    return f"{share}, z {pair['z']:+.1f}"


def square(record: Mapping[str, Any]) -> list[str]:
    """Every player against every other, by points / by contract, strongest first, with Elo."""
    elo = {rating["player"]: rating for rating in record["elo"]["ratings"]}
    names = sorted(elo, key=lambda name: -elo[name]["elo"])
    cells: dict[tuple[str, str], str] = {}
    for pair in record["pairs"]:
        for player in (pair["player_a"], pair["player_b"]):
            seen = seen_from(pair, player)
            rates = f"{100 * seen['win_rate']:.1f} / {100 * seen['contract_rate']:.1f}"
            cells[player, seen["player_b"]] = rates
    rows = []
    for number, name in enumerate(names, 1):
        low, high = elo[name]["elo_low"], elo[name]["elo_high"]
        rating = f"{elo[name]['elo']:+.0f} ({low:+.0f} to {high:+.0f})"
        others = [cells.get((name, other), NOTHING) for other in names]
        rows.append([f"{number} {name}", rating, *others])
    return table(["", "Elo, 95 % interval", *map(str, range(1, len(names) + 1))], rows)


def times(record: Mapping[str, Any]) -> list[str]:
    """Players by what a decision takes, and what they won against each opponent."""
    alone = record["alone"]
    head = (
        "",
        "ms a decision alone: mean, 95 %",
        "ms a decision side by side",
        "against",
        "won of decided, %",
        "won by points, %",
        "won by contract, %",
        "games",
    )
    rows = []
    for pair in sorted(record["pairs"], key=lambda pair: alone[pair["player_a"]]["mean_ms"]):
        took = alone[pair["player_a"]]
        rows.append(
            [
                pair["player_a"],
                f"{took['mean_ms']:.2f}, {took['p95_ms']:.2f}",
                f"{pair['ms_a_decision'][0]:.2f}",
                pair["player_b"],
                decided_text(pair),
                percent(*(pair[f"win_rate{end}"] for end in ("", "_low", "_high"))),
                percent(*(pair[f"contract_rate{end}"] for end in ("", "_low", "_high"))),
                f"{pair['games']:,}",
            ]
        )
    return table(head, rows)


def ablations(record: Mapping[str, Any]) -> list[str]:
    """Rows of an ablation: those of one group and setting with other seeds are one line."""
    pairs = {(pair["player_a"], pair["player_b"]): pair for pair in record["pairs"]}
    opponents = list(dict.fromkeys(pair["player_b"] for pair in record["pairs"]))
    settings: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in record["rows"]:
        settings.setdefault((row["group"], row["changed"]), []).append(row)
    specs = {player["name"]: player["spec"] for player in record["players"]}
    rows = []
    for (group, changed), alike in settings.items():
        against = [[pairs[row["name"], opponent] for row in alike] for opponent in opponents]
        took = [pair["ms_a_decision"][0] for pair in against[0]]
        note = next((f"; {row['note']}" for row in alike if row["note"]), "")
        rows.append(
            [
                f"{group}: {changed}{note}",
                _recipes(alike)
                or " ".join(dict.fromkeys(f"`{specs[row['name']]}`" for row in alike)),
                _mean([row["labels"] for row in alike], ",.0f"),
                _mean([row["minutes"] for row in alike], ".1f"),
                " ".join(str(row["seed"]) for row in alike if row["seed"] is not None) or NOTHING,
                _mean(took, ".2f"),
                *map(pooled, against),
            ]
        )
    games = {pair["games"] for pair in record["pairs"]}
    won = [f"won against {opponent}, %" for opponent in opponents]
    trained = any(row.get("recipe") for row in record["rows"])
    player = "recipe" if trained else "player"
    head = ("", player, "labels", "minutes", "seeds", "ms a decision side by side", *won)
    used = [n for n in range(len(head)) if n == 0 or any(row[n] != NOTHING for row in rows)]
    return [
        *table([head[n] for n in used], ([row[n] for n in used] for row in rows)),
        "",
        f"{' or '.join(f'{n:,}' for n in sorted(games))} games a player and opponent; with several "
        "seeds the mean, and in brackets each.",
    ]


def _recipes(rows: Sequence[Mapping[str, Any]]) -> str:
    """Links to what rows were trained by, nothing for rows that name none."""
    files = dict.fromkeys(row["recipe"] for row in rows if row.get("recipe"))
    return " ".join(f"[{Path(file).stem}]({file})" for file in files)


def _mean(figures: Sequence[float | None], form: str) -> str:
    """The mean of those that are there."""
    there = [figure for figure in figures if figure is not None]
    return format(sum(there) / len(there), form) if there else NOTHING


def pooled(pairs: Sequence[Mapping[str, Any]]) -> str:
    """What one network won with its interval, or several: the mean, and each."""
    if len(pairs) == 1:
        pair = pairs[0]
        return percent(pair["win_rate"], pair["win_rate_low"], pair["win_rate_high"])
    rates = [100 * pair["win_rate"] for pair in pairs]
    each = ", ".join(f"{rate:.1f}" for rate in rates)
    return f"{sum(rates) / len(rates):.1f} ({each})"


def curves(record: Mapping[str, Any]) -> list[str]:
    """Of every training the last look at which its network was the best so far, which it keeps."""
    rows = []
    for name, run in record["trainings"].items():
        last = run["points"][-1]
        kept = next((look for look in reversed(run["points"]) if look["is_best"]), last)
        for opponent, figures in kept["against"].items():
            rows.append(
                [
                    name,
                    f"{last['minutes']:.1f}",
                    f"{last['games']:,}",
                    str(run["collapses"]),
                    f"{kept['minutes']:.1f}",
                    opponent,
                    percent(figures["win_rate"], figures["low"], figures["high"]),
                    f"{figures['match_games']:,}" if "match_games" in figures else NOTHING,
                ]
            )
    head = (
        "",
        "minutes in all",
        "games trained on",
        "collapses",
        "best network at minute",
        "against",
        "won by points, %",
        "games",
    )
    return table(head, rows)


def calibrations(record: Mapping[str, Any]) -> list[str]:
    """Errors of every forecast."""
    titles = {"won": "game won", "contract": "contract"}
    rows = [
        [
            f"{key}: {titles[what]}",
            f"{100 * one['ece']:.2f}",
            f"{100 * one['ece_by_chance']:.2f}",
            f"{one['brier']:.4f}",
            f"{one['brier_of_rate']:.4f}",
            f"{one['decisions']:,} of {result['games']:,} games",
        ]
        for key, result in record["results"].items()
        for what, one in result["forecasts"].items()
    ]
    head = ("", "calibration error, %", "by chance up to, %", "Brier score", "of the mere rate", "")
    return table(head, rows)


def reliability(record: Mapping[str, Any]) -> list[str]:
    """What happened, bin by bin: % said to have a chance in the bin, and % of them that did."""
    bins = [f"{10 * number} to {10 * number + 10}" for number in range(10)]
    rows = []
    for key, result in record["results"].items():
        for what, one in result["forecasts"].items():
            cells = dict.fromkeys(bins, NOTHING)
            for found in one["bins"]:
                name = bins[round(10 * found["from"])]
                cells[name] = f"{100 * found['said']:.1f}: {100 * found['happened']:.1f}"
            rows.append([f"{key}: {what}", *cells.values()])
    return table(["said, %: happened, %", *bins], rows)


def beliefs(record: Mapping[str, Any]) -> list[str]:
    """What every answer is worth on hidden dominoes."""
    rows = []
    for network, result in record["results"].items():
        for answer, figures in result["answers"].items():
            hidden, unknown = figures["hidden"], figures["unknown"]
            rows.append(
                [
                    f"{network}: {answer}",
                    *(
                        f"{100 * one['accuracy']:.2f} ± {196 * one['accuracy_se']:.2f}"
                        for one in (hidden, unknown)
                    ),
                    f"{hidden['brier']:.4f}",
                    f"{hidden['log_loss']:.4f}",
                    f"{100 * hidden['overconfident']:+.1f}",
                    f"{hidden['dominoes']:,}",
                ]
            )
    head = (
        "",
        "right on hidden dominoes, %",
        "of them, not known, %",
        "Brier score",
        "log loss",
        "surer than right by, %",
        "dominoes",
    )
    return table(head, rows)


def belief_by_trick(record: Mapping[str, Any]) -> list[str]:
    """Accuracy by trick on dominoes that are not known."""
    rows = [
        [f"{network}: {answer}", *(f"{100 * one['accuracy']:.1f}" for one in figures["tricks"])]
        for network, result in record["results"].items()
        for answer, figures in result["answers"].items()
    ]
    return table(["right in trick, %", *map(str, range(1, 8))], rows)
