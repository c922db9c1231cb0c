"""Every reader of bytes from outside: what it is given, and the only errors that may come out.

``TARGETS`` has them by name. A reader is called with arbitrary bytes, as a file or an answer that
holds them would be; whatever else it raises, how long it takes and how much memory, is a finding.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from random_games import random_games

Read = Callable[[bytes], object]
Errors = tuple[type[BaseException], ...]


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        make: the reader and the errors that it declares; what they need is imported there.
        seeds: inputs that it takes.
        form: what a mutation knows of an input: ``json``, ``lines``, ``toml``, ``text``, ``pt``
            or ``safetensors``.
        largest: bytes of an input that are worth trying.
    """

    make: Callable[[], tuple[Read, Errors]]
    seeds: Callable[[], list[bytes]]
    form: str
    largest: int


TARGETS: dict[str, Target] = {}


def target(form: str, seeds: Callable[[], list[bytes]], *, largest: int = 4096) -> Any:
    """Registers the function below it, which makes a reader and names its errors."""

    def register(make: Callable[[], tuple[Read, Errors]]) -> Callable[[], tuple[Read, Errors]]:
        TARGETS[make.__name__] = Target(make, seeds, form, largest)
        return make

    return register


_KEPT: list[Any] = []  # a temporary directory ends with its object


@cache
def folder() -> Path:
    """A directory in memory where there is such a thing, for readers that take a path."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    _KEPT.append(made)
    return Path(made.name)


def of_file(read: Callable[[Path], object], name: str) -> Read:
    """``read`` of a file of that name that holds the bytes."""
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)

    def read_bytes(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return read_bytes


_UNDO: list[Callable[[], None]] = []


def replaced(owner: Any, name: str, value: Any) -> None:
    """Put ``value`` in place of an attribute; ``restore`` puts back what was there."""
    before = getattr(owner, name)
    _UNDO.append(lambda: setattr(owner, name, before))
    setattr(owner, name, value)


def restore() -> None:
    """Undo what targets replaced: other tests of this process need it."""
    while _UNDO:
        _UNDO.pop()()


def as_json(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def as_lines(*values: Any) -> bytes:
    return b"\n".join(as_json(*values)) + b"\n"


# --- examples ------------------------------------------------------------------------------------

METADATA = {
    "worker_id": "worker-0", "model_step": 3, "n_games": 2, "timestamp": 1_700_000_000.5,
    "source": "selfplay-mcts", "weights_name": "first",
}  # fmt: skip


def written(write: Callable[[Path], object], name: str) -> bytes:
    """The bytes of the file that ``write`` makes."""
    path = folder() / "made" / name
    path.parent.mkdir(exist_ok=True)
    write(path)
    return path.read_bytes()


def native_seeds() -> list[bytes]:
    from zebfast.selfplay.examples import write_native

    def of(source: str) -> bytes:
        told = METADATA | {"source": source}
        return written(lambda p: write_native(p, random_games(2, seed=1), told), "w.safetensors")

    return [of("selfplay-mcts"), of("eq-exact")]


def pt_seeds() -> list[bytes]:
    from zebfast.selfplay.examples_pt import write_pt

    return [
        written(lambda p, b=b: write_pt(p, random_games(2, seed=2)[:1], METADATA | {"n_games": 1},
                                        belief=b), "w.pt")
        for b in (True, False)
    ]  # fmt: skip


@target("safetensors", native_seeds)
def example_native() -> tuple[Read, Errors]:
    from zebfast.selfplay.example_files import read_examples
    from zebfast.selfplay.examples import BadExampleFile

    return of_file(read_examples, "worker-0_1_ab.safetensors"), (BadExampleFile,)


@target("pt", pt_seeds, largest=50_000)
def example_pt() -> tuple[Read, Errors]:
    from zebfast.selfplay.example_files import read_examples
    from zebfast.selfplay.examples import BadExampleFile

    return of_file(read_examples, "worker-0_1_ab.pt"), (BadExampleFile,)


# --- weights and checkpoints ---------------------------------------------------------------------


@cache
def network() -> Any:
    """A tiny network as a checkpoint: its sums take no time."""
    from zebfast.net import checkpoint
    from zebfast.net.v2 import V2Config

    return checkpoint.fresh(V2Config(width=16, n_blocks=1, belief_head=True), seed=1)


def weight_seeds() -> list[bytes]:
    from zebfast.exchange.state import pack_weights

    return [pack_weights(network().weights)[0]]


def checkpoint_seeds() -> list[bytes]:
    from zebfast.net import checkpoint

    return [written(lambda p: checkpoint.save(network(), p), "c.pt"), *weight_seeds()]


def safetensors_seeds() -> list[bytes]:
    from zebfast.net import checkpoint

    return [written(lambda p: checkpoint.save(network(), p), "c.safetensors")]


def bids_seeds() -> list[bytes]:
    from zebfast.net import shipped

    return [shipped.BIDS.read_bytes()]


@target("safetensors", bids_seeds)
def bids() -> tuple[Read, Errors]:
    from zebfast.arena.bidders.value import BadBids, Bids

    return of_file(Bids.load, "bids.safetensors"), (BadBids,)


def training_seeds() -> list[bytes]:
    from zebfast.learner.state import Progress, TrainingCheckpoint, save_checkpoint

    progress = Progress(lineage="a", step=3, total_games=40, ledger={"w_1_ab.pt", "w_2_ab.pt"})
    optimizer = {"state": {0: {"step": np.array(3.0, np.float32)}}}
    trainer = {"optimizer": optimizer, "optimizer_steps": 7,
               "rng": {"cpu": np.zeros(8, np.uint8)}, "scaler": None}  # fmt: skip
    weights, config = {"a": np.ones(2, np.float32)}, network().config.to_dict()
    held = TrainingCheckpoint(progress, weights, config, trainer)
    return [written(lambda p: save_checkpoint(p, held), "t.ckpt")]


@target("pt", lambda: [*pt_seeds(), *weight_seeds(), *training_seeds()], largest=50_000)
def archive() -> tuple[Read, Errors]:
    from zebfast.exchange.archive import BadArchive, read_archive

    return lambda data: read_archive(io.BytesIO(data)), (BadArchive,)


@target("pt", weight_seeds, largest=100_000)
def weights() -> tuple[Read, Errors]:
    from zebfast.exchange.errors import ExchangeError
    from zebfast.exchange.state import unpack_weights
    from zebfast.net.networks import BadCheckpoint, check_weights

    config = network().config
    return (
        lambda data: check_weights(config, unpack_weights(data, "model.pt")),
        (ExchangeError, BadCheckpoint),
    )


@target("pt", checkpoint_seeds, largest=100_000)
def checkpoint_pt() -> tuple[Read, Errors]:
    from zebfast.net import checkpoint

    return of_file(checkpoint.load, "c.pt"), (checkpoint.BadCheckpoint,)


@target("safetensors", safetensors_seeds, largest=100_000)
def checkpoint_safetensors() -> tuple[Read, Errors]:
    from zebfast.net import checkpoint

    return of_file(checkpoint.load, "c.safetensors"), (checkpoint.BadCheckpoint,)


@target("pt", training_seeds, largest=20_000)
def training_checkpoint() -> tuple[Read, Errors]:
    from zebfast.learner.state import CheckpointError, load_checkpoint

    return of_file(load_checkpoint, "t.ckpt"), (CheckpointError,)


@target("json", lambda: as_json(network().config.to_dict(), {
    "embed_dim": 64, "n_heads": 2, "n_layers": 2, "ff_dim": 128, "tokenizer": "v1"
}))  # fmt: skip
def network_config() -> tuple[Read, Errors]:
    from zebfast.net import checkpoint

    return of_file(checkpoint.read_config, "config.json"), (checkpoint.BadCheckpoint,)


# --- what is published beside them ---------------------------------------------------------------

STATE = {
    "step": 12, "total_games": 3400, "wandb_run_id": "abc123", "lineage": "ab12",
    "wandb_url": "https://wandb.ai/me/zeb/runs/abc123",
    "weights_sha256": "0" * 64, "pending": {"weights_sha256": "1" * 64},
    "learner": {"owner": "host", "id": "1f", "renewed": 1_700_000_000.5},
    "running": True, "host": "host", "updated_unix": 1_700_000_010.0, "eval_aux_games": 3,
    "optimizer_steps": 77, "problems": ["none"], "ingested": ["w_1_ab.pt"],
    "streams": {"selfplay-mcts": {"files": 3, "games": 40, "examples": 900,
                                  "last_unix": 1_700_000_001}},
    "workers": {"worker-0": {"source": "selfplay-mcts", "last_unix": 1_700_000_001, "games": 40,
                             "model_step": 11}},
    "learning": {"cycle": 12, "policy_loss": 0.5, "value_loss": 0.25, "eval_aux_enabled": True,
                 "eval_aux_policy_weight": 0.0, "eval_aux_mix_ratio": 0.1},
    "course": {"stage": 0, "frozen_games": None},
    "producer": {"mode": "selfplay-mcts", "sims": 16},
    "reverted_at": 12, "reverted_to": "abc", "reverted_to_step": 4,
}  # fmt: skip


@cache
def example_run() -> Any:
    from zebfast.exchange import Namespace
    from zebfast.exchange.place import Place
    from zebfast.experiment.experiment import Experiment, fleet_names
    from zebfast.selfplay.producer_kinds import BY_ROLE

    return Experiment(
        directory=folder() / "experiments" / "first", name="first",
        namespace=Namespace.parse("first"), created=datetime(2026, 2, 15, 12, 0, tzinfo=UTC),
        version="0.1.0", weights=Place.directory(folder() / "run"),
        examples=Place.directory(folder() / "run" / "examples"), fleets=fleet_names("first"),
        lineage={"kind": "fresh", "size": "small", "seed": 0},
        stages={role: kind.stage for role, kind in BY_ROLE.items()},
    )  # fmt: skip


@target("json", lambda: as_json(STATE, {"step": 0, "total_games": 0}, STATE | {
    "counted": {"streams": STATE["streams"], "workers": STATE["workers"], "eval_aux_games": 2},
}))  # fmt: skip
def state() -> tuple[Read, Errors]:
    """A published state, and everything that is made of one."""
    from zebfast.exchange.errors import ExchangeError
    from zebfast.exchange.lease import Lease
    from zebfast.exchange.state import announced, parse_state
    from zebfast.exchange.store import Weights
    from zebfast.experiment.watch.wandb_status import run_path
    from zebfast.learner.state import progress_from_state

    def read(data: bytes) -> None:
        found = parse_state(data, "training_state.json")
        announced(found, b"")
        Lease.of(found)
        run_path(found, "zeb")
        progress_from_state(Weights({}, {}, {"lineage": "a"} | found))

    return read, (ExchangeError,)


@target("json", lambda: as_json(STATE, {"step": 0, "total_games": 0}))
def status() -> tuple[Read, Errors]:
    """What is shown of a state: every check of ``experiment status``."""
    from zebfast.exchange.errors import ExchangeError
    from zebfast.exchange.state import parse_state
    from zebfast.experiment.status.report import status_of
    from zebfast.experiment.status.snapshot import Facts, _worker_facts

    experiment = example_run()
    store = SimpleNamespace(fetch=lambda names: _Nothing())

    def read(data: bytes) -> None:
        found = parse_state(data, "training_state.json")
        _worker_facts(store, found, {"worker-0": (1_700_000_000, "worker-0_1700000000_ab.pt")})
        facts = Facts(experiment=experiment, now=1_700_000_100.0, here="here", state=found)
        status_of(facts).to_json()

    return read, (ExchangeError,)


class _Nothing:
    def __enter__(self) -> dict[str, Path]:
        return {}

    def __exit__(self, *_: object) -> None:
        return None


@target("json", lambda: as_json({
    "ingested": ["w_1_ab.pt"], "sessions": {"0a1b": [0, 3, 5, 6]}, "optimizer_steps": 7,
    "counted": {"streams": STATE["streams"], "workers": STATE["workers"], "eval_aux_games": 2},
}))  # fmt: skip
def ledger() -> tuple[Read, Errors]:
    """What a state has in a file of its own, packed, and whose digest it names."""
    from zebfast.exchange import Namespace
    from zebfast.exchange.errors import ExchangeError
    from zebfast.exchange.state import whole
    from zebfast.exchange.store import Weights
    from zebfast.learner.state import progress_from_state

    namespace = Namespace.parse("first")
    name = f"{namespace.ledger_stem}.json.z"

    def read(data: bytes) -> None:
        packed = zlib.compress(data, 1)
        named = {"file": name, "sha256": hashlib.sha256(packed).hexdigest()}
        state = whole(STATE | {"ledger": named}, namespace, "state.json", lambda _: packed)
        progress_from_state(Weights({}, {}, state))

    return read, (ExchangeError,)


def manifest_of(**changes: Any) -> Any:
    from zebfast.exchange.mirror.manifest import Manifest
    from zebfast.system.files import FileMark

    base: dict[str, Any] = {
        "step": 4, "total_games": 60, "lineage": "l1", "wandb_run_id": None, "version": "0.1.0",
        "created_unix": 1_700_000_000.5, "files": {"model.ckpt": FileMark(3, "a" * 64)},
    }  # fmt: skip
    return Manifest(**(base | changes))


@target("json", lambda: [manifest_of().to_bytes(), manifest_of(wandb_run_id="abc").to_bytes()])
def manifest() -> tuple[Read, Errors]:
    from zebfast.exchange.mirror.manifest import IncompleteState, parse_manifest

    folder_name = manifest_of().folder
    return lambda data: parse_manifest(data, folder_name), (IncompleteState,)


@target("json", lambda: as_json({
    "format": 1, "latest": "step-00000004-0a1b2c3d", "lineage": "l1",
    "states": ["step-00000004-0a1b2c3d", "step-00000002-0a1b2c3d"],
}))  # fmt: skip
def latest() -> tuple[Read, Errors]:
    from zebfast.exchange.mirror.manifest import IncompleteState, read_folders

    return read_folders, (IncompleteState,)


BEAT = {
    "worker_id": "worker-0", "unix": 1_700_000_000.5, "phase": "playing", "source": "selfplay-mcts",
    "batch": 3, "total_games": 40, "games_per_s": 2.5, "model_step": 7, "restarts": 0,
    "earlier_batches": 0, "last_batch": 1_700_000_000.0, "gpu": None, "gpu_memory": None,
    "host": "h", "version": "0.1.0", "error": None,
}  # fmt: skip


@target("json", lambda: as_json(BEAT, BEAT | {"phase": "failed", "error": "no\x1b[31m disk"}))
def heartbeat() -> tuple[Read, Errors]:
    from zebfast.exchange.heartbeat import BadHeartbeat, parse_heartbeat
    from zebfast.experiment.status.report import status_of
    from zebfast.experiment.status.snapshot import Facts

    experiment = example_run()

    def read(data: bytes) -> None:
        beat = parse_heartbeat(data, "worker-0.json")
        beats = {beat.worker_id: beat}
        status_of(Facts(experiment=experiment, now=1.7e9, here="here", heartbeats=beats))

    return read, (BadHeartbeat,)


@target("text", lambda: [
    b"worker-0_1700000000_0a1b2c3d.safetensors", b"w.x-1_1_ab.pt", b"step-00000004-0a1b2c3d",
    b"large", b"heartbeats/worker-0.json",
], largest=300)  # fmt: skip
def names() -> tuple[Read, Errors]:
    from zebfast.exchange.heartbeat import is_heartbeat_name
    from zebfast.exchange.mirror.manifest import is_folder
    from zebfast.exchange.names import Namespace, oldest_first, parse_example_name

    def read(data: bytes) -> None:
        text = data.decode(errors="surrogateescape")
        if parse_example_name(text) or is_heartbeat_name(text) or is_folder(text):
            assert "/" not in text
            assert text.isascii()
            assert not text.startswith(".")
        oldest_first(text.split("\n"))
        found = Namespace.parse(text)
        assert "/" not in found.weights_file + found.state_file + found.examples_prefix

    return read, (ValueError,)


# --- what people write ---------------------------------------------------------------------------


def recipe_seeds() -> list[bytes]:
    from zebfast.experiment import experiment

    parent = Path(experiment.__file__).parent / "recipes"
    return [path.read_bytes() for path in sorted(parent.glob("*.toml"))]


@target("toml", recipe_seeds)
def recipe() -> tuple[Read, Errors]:
    from zebfast.learner.recipe import RecipeError, read_recipe

    return of_file(read_recipe, "recipe.toml"), (RecipeError,)


def experiment_seeds() -> list[bytes]:
    from zebfast.experiment.experiment import to_toml

    return [to_toml(example_run()).encode()]


@target("toml", experiment_seeds)
def experiment() -> tuple[Read, Errors]:
    from zebfast.experiment.experiment import EXPERIMENT_FILE, ExperimentError, read_experiment

    return (
        of_file(lambda path: read_experiment(path.parent), f"first/{EXPERIMENT_FILE}"),
        (ExperimentError,),
    )


@target("text", lambda: [
    b"random", b"heuristic2", b"zeb:source=a.pt,weights_name=x,temperature=0.5",
    b"eq:n=100,objective=make,adaptive=yes,posterior=0.5", b"search:sims=64,c_puct=1.5",
    b"search:method=rollout,n=8", b"zeb",
], largest=300)  # fmt: skip
def player_spec() -> tuple[Read, Errors]:
    from zebfast.arena.players.specs import PlayerSpecError, parse_spec

    return lambda data: parse_spec(data.decode(errors="replace")), (PlayerSpecError,)


LINE = (
    b"11,22,32,54,61,63,66/00,10,30,33,50,62,65/31,40,43,52,53,60,64/20,21,41,42,44,51,55 "
    b"fours 2 64,44"
)


@target("text", lambda: [LINE, LINE.replace(b"64,44", b"-"), b"66/-/65/- 3 0 -"], largest=1100)
def notation() -> tuple[Read, Errors]:
    """A game, and a position with open hands, in one line."""
    from zebfast.core.engine import Game
    from zebfast.core.solve import ImpossiblePosition, positions_from_text
    from zebfast.rules import IllegalPlay, ImpossibleDeal
    from zebfast.rules.notation import BadNotation

    known = (BadNotation, IllegalPlay, ImpossibleDeal, ImpossiblePosition)

    def read(data: bytes) -> None:
        text = data.decode(errors="replace")
        for parse in (Game.from_text, positions_from_text):
            try:
                parse(text)
            except known:
                continue

    return read, known


def solver_seeds() -> list[bytes]:
    one = {"decl": 3, "remaining": [[27], [26], [25], [24]], "leader": 1, "trick": [], "v": 4,
           "q": {"26": 4}}  # fmt: skip
    lines = as_lines(one, {"decl": 9, "positions": [{**one, "leader": 2}, one]})
    return [lines, gzip.compress(lines, mtime=0)]


@target("lines", solver_seeds)
def solver_lines() -> tuple[Read, Errors]:
    from zebfast.arena.io.json_lines import RecordingError
    from zebfast.arena.io.positions import position_array, read_positions
    from zebfast.core.solve import ImpossiblePosition, check_positions

    def read(data: bytes) -> None:
        found = list(read_positions(io.BytesIO(data)))
        check_positions(position_array(found))

    return read, (RecordingError, ImpossiblePosition)


def replay_seeds() -> list[bytes]:
    from zebfast.core.engine import Game

    games = random_games(1, seed=3)
    hands = [[int(d) for d in hand] for hand in games["hands"][0]]
    game = Game([sorted(hand) for hand in hands], int(games["decl"][0]), int(games["leader"][0]))
    plays = []
    for ply, domino in enumerate(games["plays"][0].tolist()):
        seat, before = game.to_play, sum(game.points)
        play: dict[str, Any] = {
            "seat": seat, "domino": domino, "slot": hands[seat].index(domino),
            "legal_slots": sorted(hands[seat].index(d) for d in game.legal()), "trick": None,
        }  # fmt: skip
        game.play(domino)
        if ply % 4 == 3:
            play["trick"] = {"winner": game.to_play, "points": sum(game.points) - before}
        plays.append(play)
    line = as_lines({"hands": hands, "decl": int(games["decl"][0]),
                     "bidder": int(games["leader"][0]), "plays": plays,
                     "points": list(game.points)})  # fmt: skip
    return [line, gzip.compress(line, mtime=0)]


def whole_game_seeds() -> list[bytes]:
    golden = Path(__file__).parent.parent / "golden" / "full_games.jsonl.gz"
    with gzip.open(golden) as lines:
        games = [json.loads(next(lines)) for _ in range(2)]
    for game in games:
        game["hands"] = game["hands"][:2]
    return as_json(*games)


@target("lines", whole_game_seeds)
def replay_whole_games() -> tuple[Read, Errors]:
    from zebfast.arena.io.json_lines import RecordingError
    from zebfast.arena.io.replay import read_games, replay_game

    return (
        of_file(lambda path: [replay_game(game) for game in read_games(path)], "whole.jsonl"),
        (RecordingError,),
    )


def table_seeds() -> list[bytes]:
    from zebfast.arena.table.protocol import request_of
    from zebfast.core.whole_game import WholeGame

    game, found = WholeGame(seed=3), []
    for step in (30, 0, 42, 0, 4):
        found.append(request_of(game.seen_by(game.seat or 0), "g"))
        (game.call if game.phase == "call" else game.declare)(step)
    game.play(game.legal_plays()[0])
    return as_json(*found[-2:], request_of(game.seen_by(game.seat or 0), "g"))


@target("json", table_seeds)
def table_request() -> tuple[Read, Errors]:
    from zebfast.arena.table.players import table_player
    from zebfast.arena.table.protocol import ProtocolError
    from zebfast.arena.table.seat import answer_line

    player = table_player("heuristic2")
    return of_file(lambda path: answer_line(player, path.read_bytes()), "request"), (ProtocolError,)


def whole_text_seeds() -> list[bytes]:
    from zebfast.core.whole_game import WholeGame

    game = WholeGame(seed=3)
    for call in (30, 0, 42, 0):
        game.call(call)
    game.declare(4)
    game.play(game.legal_plays()[0])
    return [str(WholeGame(seed=1)).encode(), str(game).encode()]


@target("text", whole_text_seeds)
def whole_game_text() -> tuple[Read, Errors]:
    from zebfast.core.whole_game import WholeGame
    from zebfast.rules import (
        BadNotation,
        IllegalCall,
        IllegalDeclaration,
        IllegalPlay,
        ImpossibleDeal,
        WrongPhase,
    )
    from zebfast.system.settings import SettingError

    return (
        of_file(lambda path: WholeGame.from_text(path.read_text(errors="replace")), "whole.txt"),
        (BadNotation, IllegalCall, IllegalDeclaration, IllegalPlay, ImpossibleDeal, WrongPhase,
         SettingError),
    )  # fmt: skip


@target("lines", replay_seeds)
def replay_lines() -> tuple[Read, Errors]:
    from zebfast.arena.io.json_lines import RecordingError
    from zebfast.arena.io.replay import read_games, replay_game

    return (
        of_file(lambda path: [replay_game(game) for game in read_games(path)], "replay.jsonl"),
        (RecordingError,),
    )


# --- what programs of ours leave for others ------------------------------------------------------


def event_seeds() -> list[bytes]:
    from zebfast.system.events import Incident, Retrying, Waiting, to_line

    events = [Incident(what="refused file", text="one"), Waiting(reason="weights", text="two"),
              Retrying(call="hub", error="e", seconds=2.0, attempt=1, attempts=4)]  # fmt: skip
    return [b"".join(map(to_line, events)), *map(to_line, events)]


@target("lines", event_seeds)
def events() -> tuple[Read, Errors]:
    from zebfast.system.events import console_text, from_line, read_events

    read_file = of_file(read_events, "events.jsonl")

    def read(data: bytes) -> None:
        from_line(data)
        for event in read_file(data):  # type: ignore[attr-defined]
            console_text(event)

    return read, ()


@target("lines", lambda: [as_lines(
    {"event": "start", "unix": 1.7e9, "run": "r1", "stage": "selfplay", "host": "h", "pid": 3,
     "version": "0.1.0", "config": "configs/r1.toml"},
    {"event": "incident", "unix": 1.7e9, "run": "r1", "kind": "pause", "line": "waits"},
    {"event": "end", "unix": 1.7e9, "run": "r1", "reason": "done", "exit_code": 0, "cycles": 3,
     "games": 40},
)])  # fmt: skip
def run_log() -> tuple[Read, Errors]:
    from zebfast.experiment.runlog import read_runs

    return of_file(read_runs, "runs.jsonl"), ()


@target("lines", lambda: [as_lines(
    {"step": 3, "time": 1.7e9, "train/policy_loss": 0.5, "stats/total_games": 40},
    {"step": 4, "time": 1.7e9, "train/policy_loss": None, "eval/vs_random_win_rate": 0.75},
)])  # fmt: skip
def metrics() -> tuple[Read, Errors]:
    from zebfast.experiment.series import Curves
    from zebfast.experiment.status.report import status_of
    from zebfast.experiment.status.snapshot import Facts
    from zebfast.learner.metrics import read_metrics

    experiment = example_run()

    def read(path: Path) -> None:
        rows = tuple(read_metrics(path))
        curves = Curves(path, None)
        curves.read(60.0)
        assert len(rows) - 1 <= curves.n_rows <= len(rows), "but for a last line without end"
        json.dumps(curves.part_after(None)[0], allow_nan=False)
        curves.follower.close()
        status_of(Facts(experiment=experiment, now=1.7e9, here="here", rows=rows))

    return of_file(read, "metrics.jsonl"), ()


def spec() -> Any:
    from zebfast.fleet.model import Spec

    return Spec(fleet="zeb-night-selfplay", experiment="night", role="selfplay", n=2)


def fleet_seeds() -> list[bytes]:
    from zebfast.fleet.model import FleetState
    from zebfast.fleet.state_file import write_state

    return [written(lambda p: write_state(p, FleetState(spec=spec())), "fleet.json")]


@target("json", fleet_seeds)
def fleet_state() -> tuple[Read, Errors]:
    from zebfast.fleet.state_file import FleetFileError, read_state

    return of_file(read_state, "fleet.json"), (FleetFileError,)


def market_seeds() -> list[bytes]:
    from zebfast.fleet.market_history import _FORMAT, MarketHistory
    from zebfast.system.settings import encode

    return as_json({"format": _FORMAT, **encode(MarketHistory())})


@target("json", market_seeds)
def market() -> tuple[Read, Errors]:
    from zebfast.fleet import market_history

    def read(path: Path) -> None:
        market_history.read_history(path)

    # Else a directory would fill with copies.
    replaced(market_history, "set_aside", lambda path: path)
    return of_file(read, "market.json"), ()


def watch_seeds() -> list[bytes]:
    from zebfast.experiment.watch.state import WatchState, save_state

    return [written(lambda p: save_state(p, WatchState()), "watch.json")]


@target("json", watch_seeds)
def watch_state() -> tuple[Read, Errors]:
    from zebfast.experiment.watch import state as watch

    return of_file(watch.load_state, "watch.json"), ()


MACHINE = {"asked": 1.7e9, "label": "first-selfplay/0a1b2c3d", "slot": "0", "boot": "b"}


@target("json", lambda: as_json(MACHINE, MACHINE | {"destroyed": 1.7e9}))
def local_machine() -> tuple[Read, Errors]:
    from zebfast.fleet.local import LocalProvider
    from zebfast.fleet.provider import ProviderError

    root = folder() / "machines"
    provider = LocalProvider.__new__(LocalProvider)
    provider._directory = root
    return of_file(lambda _: provider._present(), "machines/0a/machine.json"), (ProviderError,)


@target("json", lambda: as_json({"seed": 5, "next_game": 64}))
def seed_progress() -> tuple[Read, Errors]:
    from zebfast.exchange import ExchangeError
    from zebfast.worker.progress import SeedProgress

    return of_file(lambda path: SeedProgress(path, 5).next_game, "progress.json"), (ExchangeError,)


@target("json", lambda: as_json({"format": 1, "entries": []}))
def tuned() -> tuple[Read, Errors]:
    from zebfast.benchmark import tuned_settings

    return of_file(tuned_settings.load, "tuned.json"), ()


def matrix_seeds() -> list[bytes]:
    from zebfast.arena.matrix import Matrix
    from zebfast.arena.matrix_files import save_matrix

    matrix = Matrix(matrix_config())
    matrix.points[0, 1], matrix.seconds[0, 1] = np.full((2, 2), 21, np.uint8), 1.5
    return [written(lambda p: save_matrix(matrix, p), "matrix.json")]


@cache
def matrix_config() -> Any:
    from zebfast.arena.matrix import MatrixConfig

    return MatrixConfig(("random", "heuristic"), (None, None), n_deals=2)


@target("json", matrix_seeds)
def matrix() -> tuple[Read, Errors]:
    from zebfast.arena.matrix_files import load_matrix
    from zebfast.arena.records import RecordError

    config = matrix_config()
    return of_file(lambda path: load_matrix(path, config), "matrix.json"), (RecordError,)


def cache_seeds() -> list[bytes]:
    return as_json({"lineage": "l1", "record_bytes": 68, "data_file": "replay-0a1b2c3d.bin",
                    "crc32": 0, "files": ["w_1_ab.pt"],
                    "buffers": [{"n_records": 0, "capacity": 100, "total_added": 0}]})  # fmt: skip


@target("json", cache_seeds)
def replay_cache() -> tuple[Read, Errors]:
    from zebfast.learner.data.replay import ReplayBuffer, ReplayCache

    directory = folder() / "replay"
    directory.mkdir()
    (directory / "replay-0a1b2c3d.bin").write_bytes(b"")
    cached = ReplayCache(directory, "l1")

    def read(path: Path) -> None:
        cached.load(ReplayBuffer(100))
        (directory / "replay-0a1b2c3d.bin").touch()

    return of_file(read, "replay/manifest.json"), ()


@target("json", lambda: as_json({"selfplay": 3, "open_directory": "offline-run-1"}))
def wandb_sent() -> tuple[Read, Errors]:
    from zebfast.learner.wandb import SentRows

    sent = SentRows(folder() / "wandb", "abc")

    def read(path: Path) -> None:
        sent.read()
        sent.put_away_killed()

    return of_file(read, "wandb/sent-abc.json"), ()


@target("json", lambda: as_json({"state": "running", "heartbeat": 1.7e9, "logged": 1.7e9,
                                 "cycle": 3, "games": 40}, {"problem": "no such run"}))  # fmt: skip
def wandb_answer() -> tuple[Read, Errors]:
    from zebfast.experiment.watch import wandb_status

    held = [b""]

    def run(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(stdout=held[0].decode(errors="replace"), returncode=1)

    stands_in = SimpleNamespace(run=run, TimeoutExpired=TimeoutError)
    replaced(wandb_status, "subprocess", stands_in)

    def read(data: bytes) -> None:
        held[0] = data
        wandb_status.ask("me/zeb/abc")

    return read, (wandb_status.WandbUnread,)


# --- answers of services -------------------------------------------------------------------------

SEPARATOR = b"\n\n\n"  # between the bodies of several answers in one input


def answers(data: bytes) -> Iterator[bytes]:
    """The bodies in an input, and then the last one again for ever."""
    parts = data.split(SEPARATOR)
    yield from parts
    while True:
        yield parts[-1]


class Answering:
    """In place of the network: requests are answered with the bodies of one input, in turn."""

    def __init__(self) -> None:
        self._bodies: Iterator[bytes] = iter(())

    def __call__(self, *_: Any, **__: Any) -> Any:
        from requests import Response

        response = Response()
        response.status_code, response._content = 200, next(self._bodies)
        # As where an answer says that it is JSON. Else requests would guess, for most of the time.
        response.encoding = "utf-8"
        return response

    def reader(self, calls: Iterable[Callable[[], object]], error: type[Exception]) -> Read:
        """Each of these calls is answered with the input from its beginning."""
        asked = list(calls)

        def read(data: bytes) -> None:
            for call in asked:
                self._bodies = iter(answers(data))
                try:
                    call()
                except error as told:
                    str(told)

        return read


OFFER = {"id": 7, "gpu_name": "RTX 3060", "dph_total": 0.1, "min_bid": 0.05, "num_gpus": 1,
         "machine_id": 3, "reliability2": 0.99, "inet_up": 300.0, "inet_down": 300.0,
         "disk_space": 40.0, "cuda_max_good": 12.8, "duration": 86400.0,
         "storage_total_cost": 0.01}  # fmt: skip
INSTANCE = {"id": 9, "label": "zeb-night-selfplay/0a1b2c3d", "actual_status": "running",
            "cur_state": "running", "intended_status": "running", "gpu_name": "RTX 3060",
            "machine_id": 3, "status_msg": "ok", "extra_env": [["HF_TOKEN", "hf_secret1"]],
            "dph_total": 0.1, "start_date": 1.7e9, "ssh_host": "h", "ssh_port": 22,
            "is_bid": True}  # fmt: skip


@target("json", lambda: as_json(
    {"success": True, "offers": [OFFER]}, {"success": True, "instances": [INSTANCE]},
    {"success": True, "new_contract": 9}, {"credit": 4.5},
    {"success": False, "error": "no_such_ask", "msg": "gone"},
))  # fmt: skip
def vast_answer() -> tuple[Read, Errors]:
    from zebfast.fleet.model import Launch, Offer
    from zebfast.fleet.provider import ProviderError
    from zebfast.fleet.vast import VastProvider
    from zebfast.fleet.vast_client import _Judged

    provider = VastProvider("k" * 20)
    answer = Answering()
    client = SimpleNamespace(get=answer, post=answer, put=answer, delete=answer)
    for sdk in provider._client._sdks.values():
        sdk.client = _Judged(client)
    launch = Launch(label="zeb-night-selfplay/0a", command="x", env={}, image="i", disk_gb=9.0)
    offer = Offer(provider="vast", id="7", gpu="RTX", price_per_hour=0.1)
    calls = [
        lambda: provider.offers(spec()),
        lambda: provider.offers(replace(spec(), interruptible=True)),
        lambda: provider.machines("zeb-night-selfplay"),
        lambda: provider.create(offer, launch),
        lambda: provider.destroy("9"),
        provider.credit,
    ]

    return answer.reader(calls, ProviderError), (ProviderError,)


@target("json", lambda: as_json(
    {"data": {"gpuTypes": [{"id": "NVIDIA GeForce RTX 3060", "displayName": "RTX 3060",
                            "community": {"uninterruptablePrice": 0.1}, "secure": None}]}},
    {"data": {"myself": {"clientBalance": 3.5, "pods": [
        {"id": "p1", "name": "zeb-night-selfplay/0a1b2c3d", "desiredStatus": "RUNNING",
         "runtime": {"x": 1}, "machine": {"gpuDisplayName": "RTX 3060"}, "machineId": "m",
         "costPerHr": 0.1,
         "lastStatusChange": "Rented by User: Sat Nov 21 2026 18:40:28 GMT+0000 (x)"}]}}},
    {"data": {"podTerminate": None}}, {"errors": [{"message": "no longer any instances"}]},
))  # fmt: skip
def runpod_answer() -> tuple[Read, Errors]:
    from runpod.api import graphql

    from zebfast.fleet.provider import ProviderError
    from zebfast.fleet.runpod import RunPodProvider

    provider = RunPodProvider("k" * 20)
    answer = Answering()
    replaced(graphql, "requests", SimpleNamespace(post=answer))
    calls = [
        lambda: provider.offers(spec()),
        lambda: provider.machines("zeb-night-selfplay"),
        lambda: provider.destroy("p1"),
        provider.credit,
    ]

    return answer.reader(calls, ProviderError), (ProviderError,)


def hub_seeds() -> list[bytes]:
    info = {"_id": "1", "id": "me/zeb", "sha": "a" * 40, "private": True, "siblings": []}
    entry = {"type": "file", "path": "first/worker-0_1_ab.safetensors", "size": 30, "oid": "b" * 40,
             "lfs": {"oid": "c" * 64, "size": 30, "pointerSize": 9}}  # fmt: skip
    beat = {"type": "file", "path": "first/heartbeats/worker-0.json", "size": 300, "oid": "d" * 40}
    state = {"type": "file", "path": "first-state.json", "size": 40, "oid": "e" * 40}
    tree = {"type": "directory", "path": "first/x", "size": 0, "oid": "f" * 40}
    return [SEPARATOR.join(as_json(info, listed)) for listed in ([entry, tree], [beat], [state])]


@target("json", hub_seeds)
def hub_answer() -> tuple[Read, Errors]:
    """What the Hub says of a repository, and lists in it."""
    import httpx2
    import huggingface_hub
    from huggingface_hub.utils._http import default_client_factory

    from zebfast.exchange import Namespace
    from zebfast.exchange.errors import ExchangeError
    from zebfast.exchange.hub import client as hub
    from zebfast.exchange.hub.dataset import Folder
    from zebfast.exchange.hub.examples import RemoteExampleStore
    from zebfast.exchange.hub.weights import HubWeightStore
    from zebfast.exchange.place import StoreOptions

    held = [iter(())]
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=next(held[0])))
    _UNDO.append(lambda: huggingface_hub.set_client_factory(default_client_factory))
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=transport))
    replaced(hub, "_prepared", True)
    options = StoreOptions(state_dir=folder() / "hub", attempts=1, retry_seconds=1e-6)
    home = folder() / "hub" / "examples"

    def look(data: bytes, call: Callable[[], object]) -> None:
        held[0] = iter(answers(data))
        try:
            call()
        except ExchangeError as error:
            str(error)

    def read(data: bytes) -> None:
        transported = Folder("me/zeb", "first", options=options)
        store = RemoteExampleStore(transported, home, options=options)
        look(data, store.list)
        look(data, store.heartbeats)
        look(data, HubWeightStore("me/zeb", Namespace.parse("first"), options=options).read_state)
        if store._incoming is not None:  # its end would start a thread, to send what is left
            store._incoming.remove()

    return read, (ExchangeError,)
