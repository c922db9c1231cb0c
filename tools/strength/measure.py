"""What tools/strength.py does for each kind of record."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from provenance import without_folders

from strength.belief import beliefs
from strength.calibration import calibration as calibrated
from strength.calibration import forecasts
from strength.pairs import Entrant, Names, Pairings, alone, clock, entrants, opened, play
from strength.record import read_record
from strength.states import WORLDS, Network, States, played_states, read_network
from strength.trainings import read_curve, read_rows
from zebfast.arena.matrix import Matrix, MatrixConfig
from zebfast.arena.players.base import Player
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.records import Record, RecordError
from zebfast.core.solver_pool import SolverPool


def note(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def matrix(record: Record, args: argparse.Namespace) -> None:
    """Everyone against everyone, then ratings."""
    players = entrants(args.players)
    if len(players) < 2:
        raise RecordError("a matrix needs two players or more")
    # In the turn of the dearer player: what is cheap is there soon.
    pairs = sorted(combinations(range(len(players)), 2), key=lambda pair: (pair[1], pair[0]))
    wanted = [(players[a].name, players[b].name) for a, b in pairs]
    pairings = _play(record, args, players, wanted)
    content = record.content
    if content["complete"]:
        found = as_matrix(content, pairings)
        content["elo"] = found.as_dict()["elo"]
        record.save()


def as_matrix(content: Mapping[str, Any], pairings: Pairings) -> Matrix:
    """The matrix of a complete record, as `zebfast eval --matrix` would have played it."""
    names = [player["name"] for player in content["players"]]
    config = MatrixConfig(
        players=tuple(names),
        weights=tuple(player["sha256"] for player in content["players"]),
        n_deals=content["n_deals"],
        seed=content["settings"]["seed"],
    )
    found = Matrix(config)
    for a, b in config.pairs:
        pairing = pairings.found[names[a], names[b]]
        found.points[a, b] = pairing.points[: config.n_deals]
        found.seconds[a, b] = pairing.seconds
    return found


def times(record: Record, args: argparse.Namespace) -> None:
    """Every player against every opponent, and what its decisions take one at a time."""
    players, opponents = entrants(args.players), entrants(args.opponent)
    everyone = entrants([*args.players, *args.opponent])
    wanted = [(one.name, other.name) for other in opponents for one in players]
    took = record.content.setdefault("alone", {})
    with opened(everyone, args.threads) as built:
        for one in everyone:
            if one.name not in took:
                took[one.name] = alone(built[one.name], args.alone, seed=args.seed)
                note(f"{one.name}: {took[one.name]['mean_ms']:.2f} ms a decision alone")
    _play(record, args, everyone, wanted)


def ablation(record: Record, args: argparse.Namespace) -> None:
    """Every row's player against every opponent."""
    rows = read_rows(args.rows)
    players = entrants([f"{row['name']}={row.pop('player')}" for row in rows])
    opponents = entrants(args.opponent)
    wanted = [(one.name, other.name) for one in players for other in opponents]
    record.content["rows"] = rows
    _play(record, args, [*players, *opponents], wanted)


def _play(
    record: Record, args: argparse.Namespace, players: Sequence[Entrant], wanted: Sequence[Names]
) -> Pairings:
    """Play what is missing; the record has all pairings and knows whether it is complete."""
    content = record.content
    _same_weights(content, players)
    pairings = Pairings(
        wanted, n_deals=args.n_deals, seed=args.seed, entries=content.get("pairs", [])
    )
    content["players"] = [player.as_dict() for player in players]
    content["n_deals"] = args.n_deals
    for other in args.others:
        theirs = read_record(other, content["kind"])
        if theirs["settings"] != content["settings"]:
            raise RecordError(f"{other} was measured with other settings: {theirs['settings']}")
        _same_weights(theirs, players)
        pairings.take_over(theirs["pairs"])
        content["runs"] += [run for run in theirs["runs"] if run not in content["runs"]]

    def save() -> None:
        content["pairs"] = pairings.entries()
        content["complete"] = not pairings.missing
        record.save()

    with opened(players, args.threads) as built:
        play(pairings, players, built, mine=_share(args.share), save=save, say=note)
    return pairings


def _same_weights(content: Mapping[str, Any], players: Sequence[Entrant]) -> None:
    """RecordError where a name stands for another player in the record."""
    known = {player["name"]: player for player in content.get("players", [])}
    for player in players:
        if known.get(player.name, player.as_dict()) != player.as_dict():
            raise RecordError(
                f"the record has another player called {player.name!r}: {known[player.name]}"
            )


def _share(text: str) -> Callable[[int], bool]:
    """Which of the missing pairings "IofN" plays. RecordError for anything else."""
    found = re.fullmatch(r"([1-9]\d*)of([1-9]\d*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise RecordError(f"--share {text!r}: expected I of N, as in 1of2")
    mine, of = int(found[1]) - 1, int(found[2])
    return lambda number: number % of == mine


def calibration(record: Record, args: argparse.Namespace) -> None:
    """Every network in games with itself, and against every opponent: what it says of them."""

    def figures(network: Network, states: States) -> dict[str, Any]:
        found = forecasts(network.answers(states.obs), states)
        return {"forecasts": {what: calibrated(one, states) for what, one in found.items()}}

    _watch(record, args, figures, worlds=0)


def belief(record: Record, args: argparse.Namespace) -> None:
    """The same games: its belief head, and the layouts that its searches weigh."""

    def figures(network: Network, states: States) -> dict[str, Any]:
        answers, sources = network.answers(states.obs), network.beliefs
        found = beliefs(answers, states, sources=sources, worlds=WORLDS)
        return {"worlds": WORLDS, "answers": found}

    _watch(record, args, figures, worlds=WORLDS)


def _watch(
    record: Record,
    args: argparse.Namespace,
    figures: Callable[[Network, States], dict[str, Any]],
    *,
    worlds: int,
) -> None:
    """Play the games that the record does not have yet, and add their figures."""
    for name, path in map(read_network, args.network):
        network = Network(name, path)
        _same_network(record, name, path)
        for against in (None, *args.opponent):
            key = f"{name} against {without_folders(against or 'itself')}"
            done = record.content.setdefault("results", {}).get(key)
            if done is not None and done["games"] == 2 * args.n_deals:
                continue
            with SolverPool(args.threads) as pool:
                states = played_states(
                    network,
                    None if against is None else _opponent(against, pool),
                    seed=args.seed,
                    n_deals=args.n_deals,
                    worlds=worlds,
                    say=_progress(key),
                )
            found = {"games": 2 * args.n_deals, "seed": args.seed, **figures(network, states)}
            record.content["results"][key] = found
            record.save()
    _complete(record)


def _same_network(record: Record, name: str, path: Path) -> None:
    """Say which weights a name stands for. RecordError where the record has others for it."""
    networks = record.content.setdefault("networks", {})
    facts = {"file": path.name, "sha256": weights_digest(parse_spec(f"zeb:source={path}"))}
    if networks.setdefault(name, facts) != facts:
        raise RecordError(f"the record has other weights called {name!r}")


def _progress(key: str) -> Callable[[int, int], None]:
    """A line for so many games done of all, and the time that is left at this pace."""
    began = time.monotonic()

    def say(done: int, total: int) -> None:
        left = (time.monotonic() - began) * (total - done) / done
        note(f"{key}: {done:,} of {total:,} games, {clock(left)} left")

    return say


def _opponent(text: str, pool: SolverPool) -> Player:
    return build_player(parse_spec(text), device="cpu", pool=pool)


def curve(record: Record, args: argparse.Namespace) -> None:
    """What the metrics of some trainings say of their strength."""
    runs = record.content.setdefault("trainings", {})
    for given in args.runs:
        name, equals, path = given.partition("=")
        if not (name and equals and path):
            raise RecordError(f"{given!r}: expected NAME=METRICS.jsonl")
        runs[name] = read_curve(Path(path))
        last = runs[name]["points"][-1]
        note(
            f"{name}: {len(runs[name]['points'])} looks, the last at {last['minutes']:.0f} minutes"
        )
    _complete(record)


def _complete(record: Record) -> None:
    record.content["complete"] = True
    record.save()
