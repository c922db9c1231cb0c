"""Every workload, in the order of the pipeline: core, networks, play, files, learner.

One entry, here or in core_workloads.py, is all that new work needs to be timed: by `zebfast bench`,
in the records of the speed suite and by `make gate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.arena.pairs import LOWEST_BID
from zebfast.benchmark import core_workloads
from zebfast.benchmark.core_workloads import SAMPLED, TRUE
from zebfast.benchmark.workload import (
    GATE,
    N_SIMULATIONS,
    RECORD,
    REPORT,
    SEED,
    SIZE,
    Constant,
    Done,
    Missing,
    Work,
    Workload,
    default_device,
    evaluator,
    example_writer,
    finished_games,
    fresh_network,
    games_at,
    mixed_observations,
    trainer,
    training_config,
    workload,
)
from zebfast.core.observe import games_to_examples
from zebfast.core.options import SearchOptions
from zebfast.rules import N_PLIES
from zebfast.system.machine import usable_cores

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "peer" / "zeb-557k-1m.pt"

# --- networks and learner -------------------------------------------------------------------------


def attention(_folder: Path, *, dtype: str) -> Work:
    """Attention of one medium layer over 256 observations of 13 tokens."""
    from zebfast.core.attention import attention as attend

    lengths = np.full(256, 13)
    random = np.random.default_rng(1).normal(size=(lengths.sum(), 3 * 128)).astype(np.float32)
    qkv = random if dtype == "fp32" else (random.view(np.uint32) >> 16).astype(np.uint16)
    out = np.empty((len(qkv), 128), qkv.dtype)

    def work() -> Done:
        attend(qkv, lengths, out, n_heads=4)
        return Done(len(lengths))

    return work


def evaluations(
    _folder: Path, *, batch: int, tokenizer: str = "v1", gpu: bool = True, **options: Any
) -> Work:
    """Positions through the leaf evaluator, on one thread or the GPU, where one may be and is."""
    device = default_device() if gpu else "cpu"
    ready = evaluator(tokenizer=tokenizer, device=device, **options)
    asked, out = mixed_observations(batch), np.zeros((batch, 8), np.float32)
    how = ready.describe() if options else ""

    def work() -> Done:
        ready.evaluate(asked, out)
        return Done(batch, trace=asked, how=how)

    return work


def loading(_folder: Path, *, size: str, tokenizer: str = "v1") -> Work:
    """New weights into an evaluator that is there already; those of v2 with a belief head."""
    belief_head = tokenizer == "v2"
    ready = evaluator(size, tokenizer, belief_head=belief_head)
    _, new = fresh_network(size, tokenizer, belief_head=belief_head)

    def work() -> Done:
        ready.load(new)
        return Done(1, trace=sorted(new))

    return work


def learner_steps(
    _folder: Path, *, n_steps: int, size: str = SIZE, tokenizer: str = "v1", **settings: Any
) -> Work:
    """Optimizer steps on batches from a replay buffer."""
    training, sources = trainer(size, tokenizer, **settings)

    def work() -> Done:
        done = training.train(sources, n_steps=n_steps, should_stop=lambda: False).n_steps
        return Done(done, trace=done)

    return work


def learner_steps_here(folder: Path, *, tokenizer: str) -> Work:
    """The same on every core, or on the GPU."""
    return learner_steps(
        folder, n_steps=10, tokenizer=tokenizer, n_threads=usable_cores(), device=default_device()
    )


# --- play -----------------------------------------------------------------------------------------


def selfplay(_folder: Path, *, n_games: int, worlds: str = "sampled", **search: Any) -> Work:
    """Whole games through `SelfPlay` with the constant evaluator: trees, threads, hand-over."""
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    config = SelfPlayConfig(
        n_parallel_games=n_games, n_groups=1, worlds=worlds, search=SearchOptions(**search)
    )

    def work() -> Done:
        games, stats = SelfPlay(Constant(), config=config, seed=SEED).play(n_games, lookahead=False)
        return Done(n_games, trace=(games, stats.simulations))

    return work


def selfplay_network(_folder: Path) -> Work:
    """The same with a small v1 network; what is played may hang on its last bits."""
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    ready = evaluator("small")
    search = SearchOptions(n_simulations=3, exact_tricks=6, temperature=0)
    config = SelfPlayConfig(n_parallel_games=2, n_groups=1, search=search)

    def work() -> Done:
        games, _ = SelfPlay(ready, config=config, seed=SEED).play(2, lookahead=False)
        return Done(2, trace=games["hands"])

    return work


def selfplay_in_swing(
    _folder: Path, *, n_games: int = 128, tokenizer: str = "v1", **options: Any
) -> Work:
    """Self-play in full swing (see trial.py) for a moment, a group a core, two for a GPU."""
    from zebfast.benchmark.trial import Trial, time_shares
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.selfplay.stats import SelfPlayStats

    device = default_device()
    n_groups = 2 if device == "cuda" else max(usable_cores(), 2)
    search = SearchOptions(n_simulations=N_SIMULATIONS, exact_tricks=options.pop("exact_tricks", 7))
    config = SelfPlayConfig(
        n_parallel_games=max(n_games, n_groups), n_groups=n_groups, search=search, **options
    )
    trial = Trial(evaluator(tokenizer=tokenizer, device=device), config=config, seed=SEED)
    seen = SelfPlayStats()

    def work() -> Done:
        nonlocal seen
        stats = trial.run(0.75)
        seen += stats
        return Done(stats.plays / N_PLIES, time_shares(seen, on_gpu=device == "cuda"))

    return work


def whole_games(
    network: Any, *, n_groups: int, n_games: int, worlds: str = "true", **search: Any
) -> Work:
    """Games side by side from first deal to last play."""
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    options = SearchOptions(**{"n_simulations": N_SIMULATIONS, "exact_tricks": 0, **search})
    config = SelfPlayConfig(
        n_parallel_games=n_games, n_groups=n_groups, search=options, worlds=worlds
    )

    def work() -> Done:
        played = SelfPlay(network, config=config, seed=SEED)
        games, stats = played.play(n_games, lookahead=False)
        busy, n = stats.tree_seconds + stats.evaluator_seconds, len(games)
        return Done(
            n,
            {
                "evaluations_per_game": stats.evaluations / n,
                "simulations_per_game": stats.simulations / n,
                "reused_visits_per_game": stats.reused / n,
                "terminal_simulations_per_game": stats.terminals / n,
                "solved_simulations_per_game": stats.solved / n,
                "network_share": stats.evaluator_seconds / busy,
            },
        )

    return work


def games_of(_folder: Path, *, network: str, n_games: int, **search: Any) -> Work:
    """Games of a network as a worker plays them: a group a core, or two on a GPU.

    The published one, or an untrained compact one, which plays more games because it wants large
    batches.
    """
    from zebfast.net import checkpoint
    from zebfast.net.devices import open_evaluator

    if network == "compact":
        n_games *= 4
        config, weights = fresh_network(tokenizer="v2")
    elif PUBLISHED.is_file():
        found = checkpoint.load(PUBLISHED)
        config, weights = found.config, found.weights
    else:
        raise Missing(f"{PUBLISHED.name} is not on this machine")
    device = default_device()
    ready = open_evaluator(config, weights, device=device, dtype="auto")
    n_groups = 2 if device == "cuda" else max(2, usable_cores())
    return whole_games(ready, n_groups=n_groups, n_games=n_games, **search)


def labels(_folder: Path, *, teacher: str, n_rounds: int, all_cores: bool) -> Work:
    """Labelled decisions of games with a fresh v2 network, a teacher and all that goes with it.

    An untrained network's favourites are as costly as any; its games have as many decisions.
    """
    from zebfast.selfplay.teaching import GAMES_PER_GROUP, Teaching, TeachingConfig

    n_groups = max(2, usable_cores()) if all_cores else 1
    n_games = GAMES_PER_GROUP * n_groups
    config = TeachingConfig(teacher=teacher, n_groups=n_groups, n_parallel_games=n_games)
    teaching = Teaching(
        evaluator(tokenizer="v2", device=default_device()), config=config, seed=SEED
    )

    def work() -> Done:
        _, stats = teaching.play(n_rounds * n_games)
        return Done(
            stats.labels,
            {
                "games": stats.finished,
                "evaluations_per_label": stats.evaluations / stats.labels,
                "evaluations_per_batch": stats.evaluations / stats.batches,
                "network_share": stats.evaluator_seconds / stats.thread_seconds,
                "engine_share": stats.tree_seconds / stats.thread_seconds,
            },
        )

    return work


def match(_folder: Path, *, first: str, second: str, n_games: int, n_threads: int = 0) -> Work:
    """A match of two players by their specs, every deal both ways; 0 threads = every core."""
    from zebfast.arena.match import play_match
    from zebfast.arena.players.build import build_player
    from zebfast.arena.players.specs import parse_spec
    from zebfast.core.solver_pool import SolverPool

    pool = SolverPool(n_threads or usable_cores())
    one, other = (build_player(parse_spec(spec), pool=pool) for spec in (first, second))

    def work() -> Done:
        result = play_match(one, other, n_games=n_games, seed=SEED)
        return Done(n_games, trace=(result.games, result.wins))

    return work


def labels_of(_folder: Path, *, n_games: int) -> Work:
    """Games of a small v2 network, all of them labelled, in one group from first to last play."""
    from zebfast.selfplay.teaching import Teaching, TeachingConfig

    config = TeachingConfig(teacher="rollout", n_groups=1, n_parallel_games=n_games)
    ready = evaluator("small", "v2", device="cpu")

    def work() -> Done:
        _, stats = Teaching(ready, config=config, seed=SEED).play(n_games, lookahead=False)
        return Done(stats.labels, trace=n_games)

    return work


class _Counted:
    """Worlds as a rollout player draws them; n: how many so far."""

    def __init__(self, worlds: Any) -> None:
        self.worlds, self.weights, self.n = worlds, worlds.weights, 0

    def draw(self, games: Any, rng: Any, first: int, last: int, weights: Any) -> Any:
        """See WorldSource."""
        self.n += (last - first) * len(games)
        return self.worlds.draw(games, rng, first, last, weights)


def decisions(_folder: Path, *, spec: str, plies: tuple[int, ...], each: int) -> Work:
    """Decisions alone, one after the other, by a player that searches with the shipped network.

    In a game that is already open or nearly over, so many of each. A unit is a world looked at.
    """
    from zebfast.arena.pairs import PlayRng
    from zebfast.arena.players.build import build_player
    from zebfast.arena.players.specs import parse_spec
    from zebfast.core.masks import has_choice
    from zebfast.core.solver_pool import SolverPool

    player: Any = build_player(parse_spec(spec), device="cpu", pool=SolverPool(1))
    player.worlds = _Counted(player.worlds)
    alone = []
    for ply in plies:
        batch = games_at(ply, 4 * each)
        open_rows = np.flatnonzero(has_choice(batch.legal()))[:each]
        alone += [batch.take([row]) for row in open_rows]
    bids, row = np.array([LOWEST_BID], np.uint8), np.zeros(1, np.intp)

    def work() -> Done:
        before = player.worlds.n
        for number, batch in enumerate(alone):
            numbers = np.array([number], np.uint64)
            player.choose(batch, row, PlayRng(SEED, numbers, batch.n_plays), bids)
        n = player.worlds.n - before
        return Done(n, {"worlds_per_decision": n / len(alone)}, trace=len(alone))

    return work


def match_network(_folder: Path) -> Work:
    """A bare policy against random, what the learner's own evaluation plays."""
    from zebfast.arena.match import evaluate_network

    ready = evaluator("small")
    return lambda: Done(4, trace=evaluate_network(ready, n_games=4, seed=SEED).games)


def priced_hands(_folder: Path, *, n: int) -> Work:
    """Hands with all nine declarations, by the shipped network in its fastest precision."""
    from zebfast.arena.bidders.specs import network_prices, parse_bidder

    prices = network_prices(parse_bidder("lowest:0.5"))
    hands = games_at(0, n).held[:, 0].copy()
    return lambda: Done(n, trace=prices.of(hands) > 0)


def bids(_folder: Path, *, n: int) -> Work:
    """First calls of whole games, by what every call is worth."""
    from zebfast.arena.bidders.auctions import Auctions
    from zebfast.arena.bidders.specs import build_bidder, parse_bidder
    from zebfast.core.whole_game import WholeGameBatch

    bidder = build_bidder(parse_bidder("value"))
    seats = Auctions.of_games(WholeGameBatch(n, seed=SEED), np.arange(n))
    return lambda: Done(n, trace=seats.legal >> bidder.call(seats) & np.uint32(1))


# --- files, replay, exchange ----------------------------------------------------------------------


def _many_games(n: int) -> np.ndarray:
    """GAME_DTYPE [n], the same 32 over and over: a file does not mind."""
    return np.tile(finished_games(32), n // 32)


def written(folder: Path, *, suffix: str = "safetensors", n_games: int) -> Work:
    """Example files onto the disk, flushed and renamed as a worker does."""
    path, n = folder / f"b_0_00.{suffix}", N_PLIES * n_games
    write = example_writer(suffix, _many_games(n_games))

    def work() -> Done:
        write(path)
        size = path.stat().st_size
        return Done(n, {"bytes_per_example": size / n}, trace=size)

    return work


def read(folder: Path, *, suffix: str = "safetensors", n_games: int) -> Work:
    """Example files read and checked as a learner does."""
    from zebfast.selfplay.example_files import read_examples

    path = folder / f"b_0_00.{suffix}"
    example_writer(suffix, _many_games(n_games))(path)
    detail = {"bytes_per_example": path.stat().st_size / (N_PLIES * n_games)}

    def work() -> Done:
        n = len(read_examples(path).records)
        return Done(n, detail, trace=n)

    return work


def ingest(folder: Path) -> Work:
    """Four files found, read and counted by the reader's thread and the ingestor."""
    from zebfast.exchange import Namespace
    from zebfast.exchange.local import LocalExampleStore
    from zebfast.learner.data.ingest import Ingestor
    from zebfast.learner.data.reader import ExampleReader
    from zebfast.learner.data.replay import ReplayMixture
    from zebfast.learner.state import Progress

    store, n_games = LocalExampleStore(folder, Namespace()), 4 * 2048
    write = example_writer("safetensors", _many_games(n_games // 4))
    for number in range(4):
        store.put(f"b_{number}_00.safetensors", write)
    config = training_config(replay_buffer_size=N_PLIES * n_games)
    pace: dict[str, Any] = {"poll_seconds": 60, "prune_seconds": 60, "squash_after": 0}

    def work() -> Done:
        reader = ExampleReader(store, known=(), expected={}, **pace)
        taken = Ingestor(
            reader,
            ReplayMixture(config),
            Progress(lineage="bench"),
            held=(),
            has_belief_head=True,
            has_points_head=False,
        )
        while taken.progress.total_games < n_games:
            taken.adopt(wait=10.0)
        reader.close(10.0)
        return Done(N_PLIES * n_games, trace=taken.progress.total_games)

    return work


def replay(_folder: Path) -> Work:
    """Batches drawn from a replay buffer that examples are added to."""
    from zebfast.learner.data.replay import ReplayMixture

    examples = games_to_examples(finished_games(64))
    config = training_config(replay_buffer_size=4 * len(examples))

    def work() -> Done:
        sources = ReplayMixture(config)
        for _ in range(8):
            sources.selfplay.add(examples)
        drawn = sources.draw(n_steps=32, batch_size=64, seed=SEED, step=0)
        return Done(32, trace=np.asarray(drawn.rows))

    return work


def exchanged(folder: Path, *, publish: bool) -> Work:
    """Weights of a medium network into the exchange, or out of it again."""
    from zebfast.exchange import Namespace
    from zebfast.exchange.local import LocalWeightStore

    config, weights = fresh_network()
    store = LocalWeightStore(folder, Namespace())

    def put() -> Done:
        store.publish(weights, config.to_dict(), {"step": 1, "total_games": 1})
        return Done(1, trace=sorted(weights))

    def pull() -> Done:
        pulled: Any = store.pull()
        return Done(1, trace=sorted(pulled.state_dict))

    put()
    return put if publish else pull


# --- all of them ----------------------------------------------------------------------------------

_SOLVED: Mapping[str, Any] = {"worlds": "sampled", "exact_tricks": 7}
_GUMBEL: Mapping[str, Any] = {"n_simulations": 32, "root": "gumbel"}

# fmt: off
_NETWORKS = (
    *(workload(RECORD, f"attention_{dtype}", "observations/s",
               f"attention of one medium layer, 13 tokens, {dtype}, one core",
               attention, dtype=dtype, rounds=100)
      for dtype in ("fp32", "bf16")),
    workload(REPORT, "evaluations", "evaluations/s", f"{SIZE} network, one core or the GPU",
             evaluations, batch=256),
    workload(REPORT, "evaluations_v2", "evaluations/s", f"{SIZE} v2 network, one core or the GPU",
             evaluations, batch=256, tokenizer="v2"),
    *(workload(RECORD, f"evaluations_{kind}{batch}", "evaluations/s",
               f"medium {tokenizer} network, batches of {batch}, one core or the GPU",
               evaluations, batch=batch, tokenizer=tokenizer)
      for batch in (64, 512) for tokenizer, kind in (("v1", ""), ("v2", "v2_"))),
    workload(RECORD, "evaluations_auto_256", "evaluations/s",
             "medium network, batches of 256, --dtype auto, one core",
             evaluations, batch=256, gpu=False, dtype="auto"),
    *(workload(GATE, f"evaluations_{tokenizer}", "evaluations/s",
               f"32 positions, {tokenizer} medium",
               evaluations, batch=32, tokenizer=tokenizer, gpu=False)
      for tokenizer in ("v1", "v2")),
    workload(RECORD, "weight_loads", "swaps/s", f"swapping {SIZE} weights into the evaluator",
             loading, size=SIZE, rounds=3),
    *(workload(GATE, f"loading_{tokenizer}", "swaps/s", f"new weights, {tokenizer} small",
               loading, size="small", tokenizer=tokenizer)
      for tokenizer in ("v1", "v2")),
)
_PLAY = (
    *(workload(REPORT, key, "games/s", f"self-play, {what}, all cores",
               selfplay_in_swing, rounds=1, **options)
      for key, what, options in (
          ("selfplay_published_way", f"{SIZE} network, true deals", TRUE),
          ("selfplay_games", f"{SIZE} network", {}),
          ("selfplay_v2_published_way", f"{SIZE} v2 network, true deals",
           {"tokenizer": "v2", **TRUE}),
          ("selfplay_v2", f"{SIZE} v2 network", {"tokenizer": "v2"}))),
    *(workload(RECORD, f"selfplay_{network.split()[0]}_{key}", "games/s",
               f"self-play, {network} network, {what}, all cores",
               games_of, network=network.split()[0], n_games=n_games, rounds=1, **options)
      for network in ("published medium", "compact v2 medium")
      for key, n_games, what, options in (
          ("true_0", 64, "200 simulations, true deals", TRUE),
          ("sampled_4", 64, "200 simulations, sampled worlds, 4 tricks solved", SAMPLED),
          ("sampled_7", 512, "200 simulations, sampled worlds, all solved", _SOLVED),
          ("sampled_4_gumbel", 256,
           "32 simulations at a gumbel root, sampled worlds, 4 tricks solved",
           {**SAMPLED, **_GUMBEL}),
          ("sampled_7_gumbel", 512, "32 simulations at a gumbel root, sampled worlds, all solved",
           {**_SOLVED, **_GUMBEL}))),
    *(workload(RECORD, f"labels_{teacher}_{cores}_{'core' if cores == 'one' else 'cores'}",
               "labels/s", f"decisions labelled, {teacher}, medium v2 network, {cores} "
               f"{'core' if cores == 'one' else 'cores'}",
               labels, teacher=teacher, n_rounds=n_rounds, all_cores=cores == "all", rounds=1)
      for teacher, n_rounds in (("exact", 4), ("rollout", 2)) for cores in ("one", "all")),
    workload(RECORD, "decisions_10ms", "worlds/s",
             "decisions of search:ms=10 alone, one core", decisions,
             spec="search:ms=10", plies=(1, 5, 9, 13, 17), each=4, rounds=3),
    workload(GATE, "decisions", "worlds/s", "two decisions of search:worlds=16 alone", decisions,
             spec="search:worlds=16,dtype=fp32", plies=(6, 14), each=1),
    workload(GATE, "labels", "labels/s",
             "labelled decisions of 8 games side by side, rollouts of a small v2 network",
             labels_of, n_games=8),
    workload(RECORD, "priced_hands", "hands/s",
             "hands of 9 declarations by the shipped network, one core", priced_hands, n=2048),
    workload(GATE, "priced_hands_64", "hands/s", "the same, 64 hands", priced_hands, n=64),
    workload(RECORD, "bids", "calls/s", "calls by what they are worth, one core", bids, n=2048),
    workload(GATE, "match_v2", "games/s", "a match of 200 games, the shipped network and random",
             match, first="zeb", second="random", n_games=200, n_threads=1),
    workload(GATE, "selfplay_true", "games/s",
             "16 games of self-play, true deals, constant evaluator",
             selfplay, n_games=16, n_simulations=50, **TRUE),
    workload(GATE, "selfplay_exact", "games/s", "4 games of self-play, sampled worlds, all solved",
             selfplay, n_games=4, n_simulations=16, n_worlds=4, exact_tricks=7),
    workload(GATE, "selfplay_network", "games/s", "2 games of self-play with a small network",
             selfplay_network),
    *(workload(RECORD, f"match_random_{opponent}", "games/s",
               f"match of random against {opponent}, one core",
               match, first="random", second=opponent, n_games=20_000, rounds=3)
      for opponent in ("random", "heuristic")),
    *(workload(RECORD, f"eq_{n_worlds}_{opponent}", "games/s",
               f"games of E[Q] with {n_worlds} worlds against {opponent}, all cores",
               match, first=f"eq:n={n_worlds}", n_games=n_games, rounds=3,
               second=f"eq:n={n_worlds}" if opponent == "itself" else opponent)
      for n_worlds, n_games in ((10, 200), (100, 32)) for opponent in ("random", "itself")),
    workload(GATE, "match", "games/s", "a match of 1,000 games, random against heuristic",
             match, first="random", second="heuristic", n_games=1000),
    workload(GATE, "match_network", "games/s", "a match of 4 games of a small network",
             match_network),
    workload(GATE, "match_exact", "games/s", "a match of 2 games of E[Q] with 2 worlds",
             match, first="eq:n=2", second="eq:n=2", n_games=2, n_threads=1),
)
_FILES = (
    workload(REPORT, "examples_written", "examples/s", "compact example files, written",
             written, n_games=256),
    workload(REPORT, "examples_read", "examples/s", "compact example files, read and checked",
             read, n_games=256),
    *(workload(RECORD, f"ingest_{suffix}", "examples/s",
               f"reading and checking a .{suffix} example file of 64 games",
               read, suffix=suffix, n_games=64, rounds=5)
      for suffix in ("safetensors", "pt")),
    workload(GATE, "write_native", "examples/s", "2,048 games into a compact file",
             written, n_games=2048),
    workload(GATE, "write_pt", "examples/s", "32 games into a .pt file",
             written, suffix="pt", n_games=32),
    workload(GATE, "read_native", "examples/s", "2,048 games from a compact file",
             read, n_games=2048),
    workload(GATE, "read_pt", "examples/s", "32 games from a .pt file",
             read, suffix="pt", n_games=32),
    workload(GATE, "ingest", "examples/s", "4 compact files through reader and ingestor", ingest),
    workload(GATE, "publish", "versions/s", "medium weights into a directory",
             exchanged, publish=True),
    workload(GATE, "pull", "versions/s", "medium weights from a directory",
             exchanged, publish=False),
)
_LEARNER = (
    workload(GATE, "replay", "batches/s", "8 files into the replay buffer, 32 batches out", replay),
    workload(REPORT, "learner_steps", "steps/s", f"learner, {SIZE} network, batches of 64",
             learner_steps_here, tokenizer="v1"),
    workload(REPORT, "learner_steps_v2", "steps/s", f"learner, {SIZE} v2 network, batches of 64",
             learner_steps_here, tokenizer="v2"),
    *(workload(RECORD, key, "steps/s",
               f"learner, {size} network, batches of {batch_size}, one thread",
               learner_steps, n_steps=n_steps, size=size, batch_size=batch_size, rounds=3)
      for key, size, n_steps, batch_size in (
          ("learner_steps_small", "small", 20, 64), ("learner_steps_medium", "medium", 5, 64),
          ("learner_steps_medium_256", "medium", 2, 256),
          ("learner_steps_medium_1024", "medium", 1, 1024))),
    *(workload(GATE, f"learner_step_{tokenizer}", "steps/s",
               f"a step on 32 examples, {tokenizer} small",
               learner_steps, n_steps=1, size="small", tokenizer=tokenizer, batch_size=32,
               belief_head=True, train_diagnostics_every=1000)
      for tokenizer in ("v1", "v2")),
)
# fmt: on

WORKLOADS = (*core_workloads.WORKLOADS, *_NETWORKS, *_PLAY, *_FILES, *_LEARNER)


def used_by(use: str) -> dict[str, Workload]:
    """Those of "report", "record" or "gate" by key, in order."""
    return {entry.key: entry for entry in WORKLOADS if use in entry.uses}
