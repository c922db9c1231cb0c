"""Whole runs over both streams: kill switch, age, counting, foreign files, an overlapped reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning import learn, run, state_of

from zebfast.exchange import ExchangeError, LocalExampleStore, TransientError
from zebfast.learner import session
from zebfast.learner.config import EvalAuxConfig, LearnerConfig
from zebfast.learner.data.reader import ForeignExamples
from zebfast.learner.metrics import read_metrics
from zebfast.learner.sessions import CountedSessions
from zebfast.learner.state import Streams, load_checkpoint
from zebfast.selfplay.examples import Examples
from zebfast.selfplay.examples_pt import write_pt

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]
EVAL = "eval-eq-zeb"
SELF = "selfplay-mcts"


def rows_of(config: LearnerConfig) -> list[dict[str, Any]]:
    return read_metrics(config.stores.state_dir / config.namespace.metrics_file)


def test_both_streams_are_trained_on_and_told_apart(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1, batch_size=20, eval_aux=EvalAuxConfig(batch_fraction=0.25))
    add_file(config.examples.path, 1)
    add_file(config.examples.path, 2, n_games=3, source=EVAL, worker_id="evalaux-0")
    text = "\n".join(run(config))
    assert "(eval_aux: 84 of 84 kept) [selfplay: 56, eval_aux: 84]" in text
    assert "mix(self/eval)=0.75/0.25, eval_aux_policy_w=0" in text
    assert "[selfplay: 56, eval_aux: 84, games: 2]" in text
    [row] = rows_of(config)
    assert row["stats/eval_aux_mix_ratio"] == 0.25
    assert row["stats/replay_buffer_eval_aux"] == row["ingest/eval_aux_kept_examples"] == 84
    assert (row["stats/total_games"], row["stats/eval_aux_games"]) == (2, 3)
    for source in ("selfplay", "eval_aux"):
        for loss in ("policy", "value", "belief"):
            assert np.isfinite(row[f"train/{source}_{loss}_loss"])
    # Its weight is 0: the policy loss is that of self-play alone.
    assert row["train/policy_loss"] == pytest.approx(row["train/selfplay_policy_loss"])
    assert row["train/value_loss"] != pytest.approx(row["train/selfplay_value_loss"])
    state = state_of(config)
    assert (state["total_games"], state["eval_aux_games"]) == (2, 3)
    assert {s: found["games"] for s, found in state["streams"].items()} == {
        "selfplay-mcts": 2,
        EVAL: 3,
    }
    assert state["workers"]["evalaux-0"]["source"] == EVAL
    assert state["learning"]["eval_aux_mix_ratio"] == 0.25


def test_kill_switch_leaves_the_files_for_later(make_config: Make, add_file: AddFile) -> None:
    off = make_config(max_cycles=1, eval_aux=EvalAuxConfig(enabled=False))
    on = replace(off, eval_aux=EvalAuxConfig())
    selfplay = add_file(off.examples.path, 1)
    evaluation = add_file(off.examples.path, 2, source=EVAL)
    lines = run(off)
    assert any("[buffer: 56, games: 2]" in line for line in lines)
    assert not any("mix(" in line for line in lines)
    assert rows_of(off)[-1]["ingest/eval_aux_skipped_disabled_examples"] == 56
    assert state_of(off)["ingested"] == [selfplay]
    run(on)
    assert rows_of(on)[-1]["stats/eval_aux_mix_ratio"] > 0
    assert state_of(on)["ingested"] == [selfplay, evaluation]
    run(off)  # the rollback: at once, and what is in the buffer stays there
    assert rows_of(off)[-1]["stats/eval_aux_mix_ratio"] == 0
    assert rows_of(off)[-1]["stats/replay_buffer_eval_aux"] == 56
    assert state_of(off)["eval_aux_games"] == 2


def test_skipped_files_may_be_pruned(make_config: Make, add_file: AddFile) -> None:
    config = make_config(
        max_cycles=1, keep_example_files=1, eval_aux=EvalAuxConfig(enabled=False),
        replay_cache_save_every=1,
    )  # fmt: skip
    for number in range(4):
        add_file(config.examples.path, number, source=EVAL)
    last = add_file(config.examples.path, 9)
    run(config)
    assert [p.name for p in config.examples.path.glob("*.safetensors")] == [last]


def test_the_oldest_files_are_those_taken_in_first_whatever_clocks_said(
    make_config: Make, add_file: AddFile
) -> None:
    """One worker's clock is decades ahead: its files are not kept in place of newer ones."""
    config = make_config(max_cycles=1, keep_example_files=2, replay_cache_save_every=1)
    ahead = add_file(config.examples.path, 10**9, worker_id="ahead")
    first = add_file(config.examples.path, 1)
    run(config)
    newest = [add_file(config.examples.path, 10**9 - 1), add_file(config.examples.path, 0)]
    run(config)
    run(config)  # it also knows their order after a restart
    assert {p.name for p in config.examples.path.glob("*.safetensors")} == set(newest)
    state = state_of(config)
    assert (state["total_games"], {ahead, first} <= set(state["ingested"])) == (8, True)
    assert state["workers"]["ahead"]["last_unix"] <= time.time()
    source = state["streams"]["selfplay-mcts"]
    assert source["last_unix"] <= time.time()


def test_a_clock_that_was_set_back_does_not_hide_what_comes_then() -> None:
    counted, now = Streams(), int(time.time())
    examples = Examples(np.zeros(0), {"worker_id": "w", "model_step": 5, "source": SELF,
                                      "n_games": 8})  # fmt: skip
    counted.count(f"w_{now + 86_400}_aa.pt", examples)
    later = replace(examples, metadata=examples.metadata | {"model_step": 6})
    counted.count(f"w_{now - 60}_bb.pt", later)
    assert counted.sources[SELF]["last_unix"] in (now, now + 1)
    assert counted.workers["w"]["model_step"] == 6
    assert counted.summary(now + 60)[SELF]["games_per_s"] == pytest.approx(16 / 120, abs=0.01)


def test_games_of_one_seed_are_counted_once_whatever_their_files_are_called(
    make_config: Make, add_file: AddFile
) -> None:
    """Two workers have the same --seed; their files overlap, and differ in size."""
    config, seed = make_config(max_cycles=1, replay_cache_save_every=1), 2**63 - 1
    config = replace(config, eval_aux=EvalAuxConfig(enabled=False))
    told = {"seed": seed, "given_seed": True, "model_step": 3}
    add_file(config.examples.path, 1, 4, first_game=0, **told)
    twin = add_file(config.examples.path, 2, 3, first_game=3, worker_id="twin", **told)
    add_file(config.examples.path, 3, 2, first_game=4, **told)
    add_file(config.examples.path, 4, 2, first_game=0, source=EVAL, **told)
    lines = run(config)
    [line] = [line for line in lines if "left out" in line]
    assert f"{twin} is left out: games 3 to 5 of seed {seed}, played by step 3" in line
    assert state_of(config)["total_games"] == 6
    assert twin in state_of(config)["ingested"]
    config.checkpoint_path.unlink()  # the published state knows it, too
    again = add_file(config.examples.path, 5, 2, first_game=0, **told)
    add_file(config.examples.path, 6, 2, first_game=0, **told | {"model_step": 4})
    add_file(config.examples.path, 7, 2, first_game=0, **told | {"given_seed": False})
    lines = run(replace(config, eval_aux=EvalAuxConfig()))
    assert [again in line for line in lines if "left out" in line] == [True]
    assert state_of(config)["total_games"] == 10
    assert state_of(config)["eval_aux_games"] == 2


def test_a_seed_is_known_for_its_newest_steps() -> None:
    counted = CountedSessions()
    for step in range(1, 200):
        assert counted.add_games(SELF, 7, step, range(10))
        assert not counted.add_games(SELF, 7, step, range(9, 11))
        assert counted.add_games(EVAL, 7, step, range(10))
    assert len(counted.edges) == 64
    assert not counted.add_games(SELF, 7, 168, range(1))
    assert counted.add_games(SELF, 8, 168, range(1))


def test_old_evaluation_files_are_dropped_and_counted(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=5, eval_aux=EvalAuxConfig(max_model_lag=3))
    add_file(config.examples.path, 1)
    run(config)
    add_file(config.examples.path, 2, source=EVAL, model_step=1)  # 4 cycles ago
    add_file(config.examples.path, 3, source=EVAL, model_step=5)
    run(replace(config, max_cycles=1))
    row = rows_of(config)[-1]
    assert row["ingest/eval_aux_seen_examples"] == 112
    assert row["ingest/eval_aux_skipped_stale_examples"] == 56
    assert row["ingest/eval_aux_kept_examples"] == row["stats/replay_buffer_eval_aux"] == 56
    assert state_of(config)["eval_aux_games"] == 4
    run(replace(config, max_cycles=1))  # neither is seen again
    assert rows_of(config)[-1]["ingest/eval_aux_seen_examples"] == 0
    assert rows_of(config)[-1]["stats/replay_buffer_eval_aux"] == 56


def test_a_place_full_of_foreign_files_is_refused(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1)
    names = [add_file(config.examples.path, n, weights_name="other") for n in range(2)]
    with pytest.raises(ForeignExamples) as caught:
        run(config)
    sentence = str(caught.value)
    assert "weights_name is 'other'; expected " in sentence
    assert str(config.examples.path) in sentence
    assert isinstance(caught.value, ExchangeError)
    assert sorted(p.name for p in config.examples.path.iterdir()) == names  # nothing was moved
    assert state_of(config)["total_games"] == 0


def test_a_foreign_worker_later_does_not_stop_the_run(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=2)
    add_file(config.examples.path, 1)

    def say(line: str) -> None:
        if line.startswith("Cycle    1:"):
            add_file(config.examples.path, 2, weights_name="other")

    assert learn(config, say=say) == 0
    assert (config.examples.path / "bad").is_dir()
    state = state_of(config)
    assert state["total_games"] == 2
    assert any("weights_name is 'other'" in problem["line"] for problem in state["problems"])


class Behind(LocalExampleStore):
    """A store that, once ``held``, fetches when ``gate`` opens; ``down`` makes listing fail."""

    gate = threading.Event()
    held = threading.Event()
    down = threading.Event()
    hidden: frozenset[str] = frozenset()
    looks = 0

    def list(self) -> list[str]:
        if self.down.is_set():
            raise TransientError("the Hub is away")
        Behind.looks += 1
        return [name for name in super().list() if name not in self.hidden]

    @contextmanager
    def fetch(self, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
        if self.held.is_set():
            assert self.gate.wait(60)
        with super().fetch(names) as paths:
            yield paths


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> type[Behind]:
    Behind.gate.clear()
    Behind.held.clear()
    Behind.down.clear()
    Behind.hidden = frozenset()

    def open_examples(place: Any, namespace: Any, **_more: Any) -> Behind:
        return Behind(place.path, namespace)

    monkeypatch.setattr(session, "open_examples", open_examples)
    return Behind


def test_training_goes_on_while_files_are_fetched(
    make_config: Make, add_file: AddFile, behind: type[Behind]
) -> None:
    """Cycles are trained that the fetch waits for: it could never end if training waited for it."""
    config = make_config(max_cycles=None, max_minutes=0.5)
    add_file(config.examples.path, 1)
    cycles: list[str] = []

    def say(line: str) -> None:
        if line.startswith("Cycle"):
            cycles.append(line)
            if len(cycles) == 1:
                behind.held.set()  # before the reader can see the file
                add_file(config.examples.path, 2)
            if len(cycles) == 10:
                assert "games: 2]" in line
                behind.gate.set()
            if "games: 4]" in line:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(config, say=say)
    assert len(cycles) > 10
    assert 0 < rows_of(config)[5]["train/share_of_time"] <= 1


def test_listing_that_fails_is_said_once_and_training_goes_on(
    make_config: Make, add_file: AddFile, behind: type[Behind]
) -> None:
    config = make_config(max_cycles=20)
    add_file(config.examples.path, 1)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith("Cycle    1:"):
            behind.down.set()
        if line.startswith("Cycle   15:"):
            behind.down.clear()
            add_file(config.examples.path, 2)

    assert learn(config, say=say) == 0
    assert lines.count("  ingest error (skipping): the Hub is away") <= 1
    assert lines[-1].startswith("Stopped after cycle 20 (4 games)")


def test_a_file_that_vanishes_and_comes_back_is_counted_once(
    make_config: Make, add_file: AddFile, behind: type[Behind]
) -> None:
    """As a listing that is behind, or a worker that uploads again, makes it look."""
    config = make_config(max_cycles=6)
    names = [add_file(config.examples.path, number) for number in range(2)]

    def wait_for_looks(n: int) -> None:
        wanted, deadline = behind.looks + n, time.monotonic() + 60
        while behind.looks < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def say(line: str) -> None:
        if line.startswith("Cycle    2:"):
            behind.hidden = frozenset(names[:1])
            wait_for_looks(3)
        if line.startswith("Cycle    4:"):
            behind.hidden = frozenset()
            wait_for_looks(3)

    assert learn(config, say=say) == 0
    assert state_of(config)["total_games"] == 4
    assert rows_of(config)[-1]["stats/replay_buffer_selfplay"] == 112


def test_crash_between_the_stores_counts_both_streams_once(
    make_config: Make, add_file: AddFile
) -> None:
    """The replay cache is behind the checkpoint: files are read again, not counted again."""
    config = make_config(replay_cache_save_every=1000, eval_aux=EvalAuxConfig(batch_fraction=0.5))
    for number in range(3):
        add_file(config.examples.path, number, source=(EVAL if number else "selfplay-mcts"))

    class Crash(Exception):
        pass

    def die(line: str) -> None:
        if line.startswith("Cycle    3:"):
            raise Crash

    with pytest.raises(Crash):
        learn(config, say=die)
    saved = load_checkpoint(config.stores.state_dir / "model.ckpt")
    assert saved is not None
    assert (saved.progress.total_games, saved.progress.eval_aux_games) == (2, 4)
    run(replace(config, max_cycles=1))
    state = state_of(config)
    assert (state["total_games"], state["eval_aux_games"]) == (2, 4)
    assert state["streams"][EVAL]["files"] == 2
    row = rows_of(config)[-1]
    assert row["stats/replay_buffer_selfplay"] == 56
    assert row["stats/replay_buffer_eval_aux"] == 112


def test_belief_head_without_targets_is_said_once(make_config: Make, make_games: Any) -> None:
    config = make_config(max_cycles=1)
    assert config.examples.path is not None
    config.examples.path.mkdir(parents=True)
    for number in range(3):
        metadata = {
            "worker_id": "w", "model_step": 0, "n_games": 1, "timestamp": 1,
            "source": "selfplay-mcts",
        }  # fmt: skip
        path = config.examples.path / f"w_{number}_ab.pt"
        write_pt(path, make_games(1, seed=number), metadata, belief=False)
    lines = run(config)
    assert sum("no belief targets" in line for line in lines) == 1
    assert state_of(config)["total_games"] == 3
