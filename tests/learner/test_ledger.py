"""The account of counted files: in little room for a year of many workers, and never counted twice.

Files that workers numbered are known by their session and number for ever, others by name while
they are there. What is much lies in a file of its own, which is there before a state names it.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning import run, state_of
from listening import listening

from zebfast.exchange import ExchangeError, LocalWeightStore, Namespace, Serial, example_name
from zebfast.exchange import state as state_files
from zebfast.exchange.names import new_session, serial_of
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data import ingest, reader
from zebfast.learner.sessions import MOST_SESSIONS, CountedSessions
from zebfast.learner.state import (
    Progress,
    Streams,
    TrainingCheckpoint,
    counted_state,
    load_checkpoint,
    progress_from_state,
    save_checkpoint,
)
from zebfast.selfplay.examples import Examples, write_native

Make = Callable[..., LearnerConfig]
AddNumbered = Callable[..., str]
SESSION = "0123456789abcdef"
WEIGHTS = {"w": np.zeros(2)}
LOOK, STATE = (
    100_000,
    1_000_000,
)  # bytes that a worker may read at a look, and all that is published


@pytest.fixture
def add_numbered(make_games: Any) -> AddNumbered:
    """``add_numbered(directory, number, session=SESSION)``: a file of 2 games as workers write."""

    def add(directory: Path, number: int, session: str = SESSION, unix: int = 1_700_000_000) -> str:
        serial = Serial(session, number)
        metadata = {
            "worker_id": "w", "model_step": 0, "n_games": 2, "timestamp": 1.0,
            "source": "selfplay-mcts", **serial.to_metadata(),
        }  # fmt: skip
        name = example_name("w", unix + number, serial=serial)
        directory.mkdir(parents=True, exist_ok=True)
        write_native(directory / name, make_games(2, seed=number), metadata)
        return name

    return add


def store_of(config: LearnerConfig) -> LocalWeightStore:
    return LocalWeightStore(config.stores.state_dir, config.namespace)


# --- Sessions.


def test_a_session_is_ranges_in_whatever_order_its_files_come() -> None:
    draw = random.Random(5)
    for _ in range(300):
        counted, wanted = CountedSessions(), set()
        for number in draw.choices(range(20), k=draw.randrange(1, 40)):
            assert (Serial("s", number) in counted) == (number in wanted)
            counted.add(Serial("s", number))
            wanted.add(number)
        edges = counted.edges["s"]
        ranges = zip(edges[::2], edges[1::2], strict=True)
        assert {n for first, end in ranges for n in range(first, end)} == wanted
        assert edges == sorted(set(edges))
    assert Serial("other", 3) not in counted


def test_sessions_that_were_silent_for_longest_make_room() -> None:
    counted = CountedSessions({f"{n:016x}": [0, 5] for n in range(MOST_SESSIONS)})
    counted.add(Serial(f"{0:016x}", 5))  # heard of again
    counted.add(Serial("f" * 16, 0))
    assert len(counted.edges) == MOST_SESSIONS
    assert Serial(f"{0:016x}", 5) in counted
    assert Serial(f"{1:016x}", 4) not in counted
    for number in range(0, 40_000, 2):  # somebody leaves out every other number
        counted.add(Serial("e" * 16, number))
    assert len(counted.edges["e" * 16]) == 40_000
    assert sum(map(len, counted.edges.values())) <= 8 * MOST_SESSIONS


@pytest.mark.parametrize(
    "edges",
    [None, [1], {"a": [2, 1]}, {"a": [1, 1]}, {"a": [1]}, {"a": "12"}, {"a": [True, 5]},
     {"a": [-1, 5]}, {"a": [0.5, 5]}],
)  # fmt: skip
def test_sessions_that_cannot_be_are_left_out(edges: Any) -> None:
    assert CountedSessions.from_plain(edges).edges == {}


@pytest.mark.parametrize(
    "more", [{"number": -1}, {"number": True}, {"number": 1 << 40}, {"session": "x" * 16},
             {"session": None}, {"number": 4}]
)  # fmt: skip
def test_a_serial_that_is_not_the_name_s_own_is_none(more: dict[str, Any]) -> None:
    serial = Serial(SESSION, 3)
    name = example_name("w", 5, serial=serial)
    assert serial_of(name, serial.to_metadata()) == serial
    assert serial_of(name, serial.to_metadata() | more) is None
    assert serial_of("w_5_00000000.pt", serial.to_metadata()) is None  # a copy: another file


# --- Counted once.


def test_a_file_that_comes_back_much_later_is_counted_once(
    make_config: Make, add_numbered: AddNumbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its upload arrived, its answer did not, and the worker was away for longer than an hour."""
    monkeypatch.setattr(ingest, "_FORGET_SECONDS", -1.0)
    config = make_config(max_cycles=3, keep_example_files=1, replay_cache_save_every=1)
    folder = config.examples.path
    names = [add_numbered(folder, number) for number in (2, 0, 1)]
    written = {name: (folder / name).read_bytes() for name in names}
    run(config)
    assert [path.name for path in folder.glob("*.safetensors")] == names[:1]
    run(replace(config, max_cycles=1))
    state = state_of(config)
    assert (state["total_games"], state["ingested"]) == (6, names[:1])
    (folder / names[2]).write_bytes(written[names[2]])
    run(replace(config, max_cycles=1))
    assert state_of(config)["total_games"] == 6
    # So it is on a machine that has nothing but what was published.
    (folder / names[1]).write_bytes(written[names[1]])
    config.checkpoint_path.unlink()
    add_numbered(folder, 3)
    run(replace(config, max_cycles=1, replay_cache=False))
    assert state_of(config)["total_games"] == 8


def test_nothing_is_deleted_and_the_listing_stays_short(
    make_config: Make, add_numbered: AddNumbered, monkeypatch: pytest.MonkeyPatch, add_file: Any
) -> None:
    monkeypatch.setattr(ingest, "MOST_LISTED", 2)
    monkeypatch.setattr(ingest, "_FORGET_SECONDS", -1.0)
    config = make_config(max_cycles=3, keep_example_files=0, replay_cache_save_every=1)
    folder = config.examples.path
    by_name = add_file(folder, 0)  # of an earlier version: known by its name alone
    names = {add_numbered(folder, number, unix=999_999_999_000) for number in range(6)}
    run(config)
    run(replace(config, max_cycles=1))
    listed = {path.name for path in folder.glob("*.safetensors")}
    archived = {path.name for path in (folder / "counted" / "9999-12-31").iterdir()}
    assert listed | archived == names | {by_name}
    assert by_name in listed
    assert len(listed) == 3
    state = state_of(config)
    assert state["total_games"] == 14
    assert set(state["ingested"]) == listed
    for path in (folder / "counted" / "9999-12-31").iterdir():
        path.rename(folder / path.name)  # as somebody does who wants them read again
    run(replace(config, max_cycles=1))
    assert state_of(config)["total_games"] == 14


# --- Room.


def a_year(n_workers: int = 1000, starts: int = 40, listed: int = 30_000) -> Progress:
    """What is left of a year in which every worker was started so often, each for 10,000 files.

    Of them a few were refused, and so many are listed. Ids are as long as fleets make them.
    """
    progress = Progress(lineage="0" * 16, step=100_000, total_games=10**10)
    draw = random.Random(1)
    edges = {f"{draw.getrandbits(64):016x}": [0, 4000, 4001, 7000, 7003, 10_000]
             for _ in range(starts * n_workers)}  # fmt: skip
    progress.sessions = CountedSessions(edges)
    progress.sessions.add(Serial(new_session(), 0))  # what is too much goes
    for worker in range(2 * n_workers):
        worker_id = f"zeb-an-experiment-selfplay-{worker:08x}"
        metadata = {"worker_id": worker_id, "model_step": 90_000, "n_games": 256,
                    "source": "selfplay-mcts"}  # fmt: skip
        name = example_name(worker_id, 1_795_000_000 + worker)
        progress.streams.count(name, Examples(np.zeros(7168), metadata))
    for number in range(listed):
        worker_id = f"zeb-an-experiment-selfplay-{number % n_workers:08x}"
        name = example_name(worker_id, 1_795_000_000 + number)
        progress.ledger.add(name)
        progress.numbered.add(name)
    return progress


def test_a_year_of_a_thousand_workers_fits(tmp_path: Path) -> None:
    progress = a_year()
    store = LocalWeightStore(tmp_path, Namespace())
    told = counted_state(progress, 10**8)
    shown = {"workers": progress.streams.newest_workers()}
    store.publish(WEIGHTS, {}, told | shown)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes["training_state.json"] <= LOOK / 2
    published = [size for name, size in sizes.items() if "state" in name or "ledger" in name]
    assert sum(published) <= STATE
    pulled = store.pull()
    assert pulled is not None
    whole = replace(pulled, state=store.whole(pulled.state))
    again = progress_from_state(whole)
    assert again.sessions == progress.sessions
    assert again.streams.workers == progress.streams.workers
    assert again.total_games == progress.total_games


def test_workers_have_room_in_a_state_whatever_they_are_called() -> None:
    streams = Streams()
    metadata = {"model_step": 1 << 52, "n_games": 256, "source": "selfplay-mcts"}
    for worker in range(300):
        examples = Examples(
            np.zeros(1), {**metadata, "worker_id": f"{worker:03d}" + "\u4e2d" * 197}
        )
        streams.count(f"w_5_{worker:08x}.pt", examples)
    shown = streams.newest_workers()
    assert len(json.dumps({"workers": shown}, indent=2)) < 35_000
    assert [name[:3] for name in shown] == [f"{n:03d}" for n in range(300 - len(shown), 300)]
    assert len(streams.workers) == 300


def test_a_push_that_waits_says_what_was_counted_when_it_was_made() -> None:
    progress = Progress("l", total_games=2)
    progress.note_counted("a", Serial(SESSION, 0))
    told = counted_state(progress, 1)
    as_it_was = json.dumps(told)
    progress.note_counted("b", Serial(SESSION, 1))
    assert json.dumps(told) == as_it_was


def test_a_checkpoint_knows_the_sessions(tmp_path: Path) -> None:
    progress = Progress(lineage="l", ledger={"a", "b"}, numbered={"b"})
    progress.sessions.add(Serial(SESSION, 4))
    save_checkpoint(tmp_path / "c", TrainingCheckpoint(progress, {}, {}, {}))
    saved = load_checkpoint(tmp_path / "c")
    assert saved is not None
    assert saved.progress == progress


def test_a_state_full_of_names_is_taken_over_and_becomes_small(
    make_config: Make, add_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier version wrote it: more than it, or what is written now, may have."""
    config = make_config(max_cycles=1, keep_example_files=0)
    add_file(config.examples.path, 1)
    run(config)
    store = store_of(config)
    path = store.directory / "training_state.json"
    names = [f"zeb-big-1-selfplay-cc92c141_{1795000000 + i}_{i:08x}.safetensors"
             for i in range(60_000)]  # fmt: skip
    state = json.loads(path.read_text())
    state["ingested"] = sorted([*state["ingested"], *names])
    state["total_games"] += len(names)
    path.write_text(json.dumps(state, indent=2))
    config.checkpoint_path.unlink()
    monkeypatch.setattr(state_files, "MAX_JSON_BYTES", path.stat().st_size - 1000)
    add_file(config.examples.path, 2)
    run(config)
    assert path.stat().st_size < LOOK
    small = store.read_state()
    assert small is not None
    assert small["total_games"] == 60_004
    assert "ingested" not in small
    assert set(names) < set(store.whole(small)["ingested"])
    with pytest.raises(ValueError, match="a learner of an older version cannot go on"):
        int(small["optimizer_steps"])  # which is the first that an older learner does
    run(config)
    assert state_of(config)["total_games"] == 60_004


# --- Written means readable.


LARGE = {"ingested": [f"name-{n}" for n in range(9000)], "counted": {}, "optimizer_steps": 5}


@pytest.mark.parametrize("n_replaced", count_to := range(6))
def test_a_kill_between_any_two_writes_leaves_a_whole_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_replaced: int
) -> None:
    store = LocalWeightStore(tmp_path, Namespace())
    old = {"step": 1, "total_games": 1, **LARGE}
    store.publish({"w": np.ones(1)}, {"a": 1}, old)
    new = {**old, "step": 2, "ingested": [*LARGE["ingested"], "another"]}  # type: ignore[misc]
    replaced, real = itertools.count(), os.replace

    def replace_some(source: Any, target: Any) -> None:
        if next(replaced) >= n_replaced:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_some)
        try:
            store.publish({"w": np.full(1, 2.0)}, {"a": 2}, new)
        except KeyboardInterrupt:
            assert n_replaced < max(count_to)
        else:
            assert n_replaced == max(count_to)
    again = LocalWeightStore(tmp_path, Namespace())
    pulled = again.pull()
    assert pulled is not None
    whole = again.whole(pulled.state)
    assert pulled.state_dict["w"][0] >= pulled.step == whole["step"]
    assert whole["ingested"] == (old if whole["step"] == 1 else new)["ingested"]
    again.publish({"w": np.ones(1)}, {"a": 3}, new)
    ledgers = list(tmp_path.glob("model-ledger*"))
    assert len(ledgers) == 1, "what a killed writer left is gone"
    again.publish({"w": np.ones(1)}, {"a": 3}, {**new, "ingested": ["one"], "counted": {}})
    state = again.read_state()
    assert state is not None
    assert (state["ingested"], state["optimizer_steps"]) == (["one"], 5)
    assert "ledger" not in state
    assert not list(tmp_path.glob("model-ledger*"))


def test_parts_of_a_large_account_change_without_the_others(tmp_path: Path) -> None:
    store = LocalWeightStore(tmp_path, Namespace())
    store.publish(WEIGHTS, {}, {"step": 1, **LARGE})
    store.update_state({"note": 1})
    store.publish(WEIGHTS, {}, {"step": 2})
    state = store.read_state()
    assert state is not None
    assert store.whole(state)["ingested"] == LARGE["ingested"]
    state = store.update_state({"ingested": ["only"]})
    assert store.whole(state) == {
        "step": 2, "note": 1, "ingested": ["only"], "counted": {}, "optimizer_steps": 5,
        "weights_sha256": state["weights_sha256"],
    }  # fmt: skip


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    with listening(found.append):
        yield found


def test_half_of_what_may_be_is_announced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    store = LocalWeightStore(tmp_path, Namespace())
    monkeypatch.setattr(state_files, "MAX_JSON_BYTES", 2000)
    store.update_state({"step": 1, "text": "x" * 900})
    assert not lines
    for step in (2, 3):
        store.update_state({"step": step, "text": "x" * 1000})
    [line] = lines
    assert line.startswith("  training_state.json has 1,0")
    assert "of at most 2,000 bytes" in line
    with pytest.raises(ExchangeError, match="expected one JSON object"):
        store.update_state({"step": 4, "text": "x" * 2000})
    with pytest.raises(ExchangeError, match="step = -1"):
        store.publish(WEIGHTS, {}, {"step": -1})
    state = store.read_state()
    assert state is not None
    assert state["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["training_state.json"]


def test_a_ledger_without_room_waits_and_the_state_before_stays(
    make_config: Make, add_file: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing ends: training goes on, and files that go make room."""
    monkeypatch.setattr(state_files, "_MOST_INLINE", 100)
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    run(config)
    before = state_of(config)
    with monkeypatch.context() as patch:
        patch.setattr(state_files, "MAX_LEDGER_BYTES", 50)
        add_file(config.examples.path, 2)
        patch.setattr(LearnerConfig, "last_push_seconds", 0.1)
        text = "\n".join(run(replace(config, max_cycles=3)))
    assert "delete example files that were trained on" in text
    assert "the last weights are not published yet" in text
    assert state_of(config)["step"] == before["step"]
    run(config)
    assert state_of(config)["total_games"] == 4
    assert state_of(config)["step"] == 5


def test_half_a_listing_is_announced_once(
    make_config: Make, add_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_LISTED", 4)
    config = make_config(max_cycles=3)
    for number in range(3):
        add_file(config.examples.path, number)
    told = [line for line in run(config) if "of at most 4 files" in line]
    assert len(told) == 1
    assert "lists 3 of at most 4 files: move some away" in told[0]


@pytest.mark.parametrize("how", ["gone", "cut", "other", "no JSON", "path"])
def test_a_ledger_that_is_not_as_it_was_written_is_refused(tmp_path: Path, how: str) -> None:
    store = LocalWeightStore(tmp_path, Namespace())
    state = store.publish(WEIGHTS, {}, {"step": 1, **LARGE})
    [path] = tmp_path.glob("model-ledger-*.json.z")
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "path":
        state = {**state, "ledger": {**state["ledger"], "file": "../model-ledger-00000000.json.z"}}
    else:
        text = b'{"step": 5}' if how == "other" else b"["
        ledger = state_files.Ledger("x", zlib.compress(text))
        path.write_bytes(ledger.data)
        state = {**state, "ledger": {**state["ledger"], "sha256": ledger.sha256}}
    with pytest.raises(ExchangeError, match=r"ledger"):
        store.whole(state)


# --- Killed at each write.


def killed_at(number: int, config: LearnerConfig) -> bool:
    """Run a learner that ends, as if killed, instead of its so-manieth rename or removal.

    False where it came to its end before.
    """
    child = os.fork()
    if child == 0:
        left = itertools.count(number, -1)

        def fatal(real: Any) -> Any:
            def call(*arguments: Any, **more: Any) -> None:
                if next(left) == 0:
                    os._exit(9)
                real(*arguments, **more)

            return call

        os.replace, os.unlink = fatal(os.replace), fatal(os.unlink)
        try:
            run(config)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow  # some thirty learners each
@pytest.mark.parametrize("keep", [1, 0])
@pytest.mark.parametrize("is_lost", [False, True])
def test_killed_at_any_write_every_game_is_counted_once(
    make_config: Make,
    add_numbered: AddNumbered,
    monkeypatch: pytest.MonkeyPatch,
    keep: int,
    is_lost: bool,
) -> None:
    """With all of it in a ledger's file, and files that go, are forgotten at once and come back."""
    monkeypatch.setattr(state_files, "_MOST_INLINE", 0)
    monkeypatch.setattr(ingest, "MOST_LISTED", 1)
    monkeypatch.setattr(ingest, "_FORGET_SECONDS", -1.0)
    other = "f" * 16
    for number in itertools.count():
        config = make_config(
            run=f"r{number}", max_cycles=2, keep_example_files=keep, replay_cache_save_every=1
        )
        folder = config.examples.path
        first = add_numbered(folder, 0)
        late = (folder / first).read_bytes()
        add_numbered(folder, 1)
        run(config)
        add_numbered(folder, 2)
        add_numbered(folder, 3, session=other)
        was_killed = killed_at(number, config)
        if is_lost:  # another machine, which has only what was published
            config.checkpoint_path.unlink()
            config = replace(config, replay_cache=False)
        add_numbered(folder, 4)
        (folder / first).write_bytes(late)
        run(config)
        state = state_of(config)
        assert state["total_games"] == 10, number
        assert store_of(config).whole(state)["sessions"] == {SESSION: [0, 3, 4, 5], other: [3, 4]}
        saved = load_checkpoint(config.checkpoint_path)
        assert saved is not None
        assert saved.progress.total_games == 10
        if not was_killed:
            break
    assert number > 10
