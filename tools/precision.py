"""Measures what a network loses and gains in lower precision: what it says, how it plays, how fast.

    python tools/precision.py --output bench/records/precision/<date>-shipped.json

One record of one network, the shipped one unless --network says otherwise:

    said     on decisions of its own games (favourite play in fp32): how often its favourite is that
             of fp32, how far priors and values are from those in fp32
    played   matches of its bare policy in each precision, on the same deals with the same draws
    speed    microseconds a row of every kernel and of torch, in turns, the least of all rounds;
             one thread, in batches of several sizes
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import origin

from zebfast.arena.match import play_deals
from zebfast.arena.players.base import NetworkPlayer, plain_player
from zebfast.arena.records import Format, RecordError
from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice
from zebfast.core.network import Network, kernels
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames
from zebfast.net import checkpoint, shipped
from zebfast.net.checkpoint import BadCheckpoint
from zebfast.net.precision import EXACT

FORMAT = Format("record of precisions")
SEED = 16  # of the games that decisions are taken from
MATCH_SEED = 20
OPPONENTS = ("heuristic2", "random")
BATCHES = (1, 8, 64, 256, 1024)
Evaluate = Callable[[NDArray[Any], NDArray[np.float32]], None]


def network(path: Path) -> Callable[..., Network]:
    """Makes the network of a file in any precision."""
    held = checkpoint.load(path)
    shape: Any = held.config
    weights = {name: np.asarray(tensor) for name, tensor in held.weights.items()}
    return lambda **how: Network(shape.width, shape.n_blocks, shape.belief_head, weights, **how)


def decisions(net: Network, n: int) -> NDArray[Any]:
    """OBS_DTYPE[n]: decisions with a choice of games that the network plays with itself."""
    found: list[NDArray[Any]] = []
    games = RolloutGames(GameBatch.deal(n // 12, seed=SEED))
    obs, evals = np.empty(n // 12, OBS_DTYPE), np.empty((n // 12, 8), np.float32)
    while waiting := games.advance(obs):
        net.evaluate(obs[:waiting], evals[:waiting])
        found.append(obs[:waiting][has_choice(obs[:waiting]["legal"])])
        games.play_greedy(evals[:waiting])
    every = np.concatenate(found)
    if len(every) < n:
        raise RecordError(f"only {len(every)} decisions came of the games, not {n}")
    return every[np.linspace(0, len(every) - 1, n).astype(np.int64)]


def said(net: Network, exact: Network, obs: NDArray[Any]) -> dict[str, Any]:
    """How far answers are from those in fp32."""
    got, want = np.empty((2, len(obs), 8), np.float32)
    net.evaluate(obs, got)
    exact.evaluate(obs, want)
    gap = np.abs(got - want)
    priors, values = gap[:, :7].max(1), gap[:, 7]
    other = got[:, :7].argmax(1) != want[:, :7].argmax(1)
    best = np.sort(want[other, :7], axis=1)[:, -2:]
    return {
        "decisions": len(obs),
        "same_favourite": round(float(1 - other.mean()), 5),
        "other_favourites_apart": _spread(best[:, 1] - best[:, 0]),
        "prior": _spread(priors),
        "value": _spread(values),
    }


def _spread(x: NDArray[np.float32]) -> dict[str, float]:
    if not len(x):
        return {}
    at = np.quantile(x, (0.5, 0.99, 0.999))
    names = ("median", "of_99_percent", "of_999_permille")
    return {
        "mean": round(float(x.mean()), 6),
        **{name: round(float(value), 6) for name, value in zip(names, at, strict=True)},
        "largest": round(float(x.max()), 6),
    }


def played(nets: Mapping[str, Network], opponent: str, n_games: int) -> dict[str, Any]:
    """Every precision against one opponent; `less_fp32`: on the same deals, with its error."""
    wins: dict[str, NDArray[np.float64]] = {}
    for precision, net in nets.items():
        player = NetworkPlayer(name=precision, evaluator=net)
        rival = plain_player(opponent)
        done = play_deals(player, rival, seed=MATCH_SEED, first_deal=0, n_deals=n_games // 2)
        wins[precision] = (np.sign(done.margins) + 1).mean(axis=1) / 2
    found = {}
    for precision, won in wins.items():
        more = won - wins[EXACT]
        found[precision] = {
            "games": 2 * len(won),
            "won": round(float(won.mean()), 5),
            "won_se": round(float(won.std(ddof=1) / len(won) ** 0.5), 5),
            "less_fp32": round(float(more.mean()), 5),
            "less_fp32_se": round(float(more.std(ddof=1) / len(more) ** 0.5), 5),
            "deals_that_differ": int(np.count_nonzero(more)),
        }
    return found


def speed(ways: Mapping[str, Evaluate], obs: NDArray[Any], rounds: int) -> dict[str, Any]:
    """Microseconds a row by batch size, the least of several rounds in turns."""
    best = {name: dict.fromkeys(BATCHES, np.inf) for name in ways}
    for n in BATCHES:
        batch, evals = np.resize(obs, n), np.empty((n, 8), np.float32)
        for _ in range(rounds):
            for name, evaluate in ways.items():
                evaluate(batch, evals)
                times = max(1, 512 // n)
                began = time.thread_time()
                for _ in range(times):
                    evaluate(batch, evals)
                took = (time.thread_time() - began) / times / n
                best[name][n] = min(best[name][n], 1e6 * took)
    return {name: {str(n): round(us, 2) for n, us in of.items()} for name, of in best.items()}


def by_torch(path: Path) -> dict[str, Evaluate]:
    """torch's ways of running the network, where it is installed."""
    try:
        import torch

        from zebfast.net.torch.evaluator import TorchEvaluator
    except ImportError:
        return {}
    torch.set_num_threads(1)
    held = checkpoint.load(path)
    made = {
        dtype: TorchEvaluator(held.config, held.weights, device="cpu", dtype=dtype)
        for dtype in (EXACT, "bf16")
    }
    return {f"torch {dtype}": evaluator.evaluate for dtype, evaluator in made.items()}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--network", type=Path, default=shipped.PATH, help="default: the shipped")
    found.add_argument("--output", type=Path, required=True, help="the record, JSON")
    found.add_argument("--positions", type=int, default=100_000, help="decisions compared")
    found.add_argument("--games", type=int, default=20_000, help="of every match")
    found.add_argument("--rounds", type=int, default=20, help="of timing")
    return found


def measured(args: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """The results of a record."""
    make = network(args.network)
    here = [(name, precision) for name, precision, supported in kernels() if supported]
    nets = {p: make(precision=p) for p in dict.fromkeys(precision for _, precision in here)}
    obs = decisions(nets[EXACT], args.positions)
    found: dict[str, Any] = {
        "said": {p: said(net, nets[EXACT], obs) for p, net in nets.items() if p != EXACT}
    }
    for precision, of in found["said"].items():
        say(f"{precision}: the favourite of fp32 in {100 * of['same_favourite']:.2f} %")
    found["played"] = {}
    for opponent in OPPONENTS:
        found["played"][opponent] = matches = played(nets, opponent, args.games)
        for precision, of in matches.items():
            say(f"{precision} against {opponent}: won {100 * of['won']:.2f} %, "
                f"{100 * of['less_fp32']:+.2f} ± {196 * of['less_fp32_se']:.2f}")  # fmt: skip
    ways: dict[str, Evaluate] = {
        name: make(precision=precision, kernel=name).evaluate
        for name, precision in here
        if not name.endswith("-baseline")
    }
    shuffled = np.random.default_rng(0).permutation(obs)
    found["speed"] = speed({**ways, **by_torch(args.network)}, shuffled, args.rounds)
    for name, of in found["speed"].items():
        say(f"{name}: {', '.join(f'{n} rows {us}' for n, us in of.items())} microseconds a row")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with a sentence for what cannot be used."""
    args = parser().parse_args(argv)
    try:
        settings = {"seed": SEED, "match_seed": MATCH_SEED, "rounds": args.rounds}
        command = sys.argv if argv is None else ["precision.py", *argv]
        content = {
            **origin("python tools/precision.py", command),
            "network": args.network.name,
            "settings": settings,
        }
        args.output.parent.mkdir(parents=True, exist_ok=True)
        record = FORMAT.open(args.output, content, resume=False, check=lambda _: None)
        results = measured(args, lambda text: print(text, file=sys.stderr, flush=True))
        record.content["results"] = results
        record.save()
    except (RecordError, BadCheckpoint, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
