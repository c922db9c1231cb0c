"""Events: told to all who asked, whole in files and pipes, and in the words people grep for."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import listening

from zebfast.system.events import (
    BatchDone,
    CycleDone,
    Ended,
    Evaluated,
    Event,
    EventFile,
    EventPipe,
    FleetNews,
    Incident,
    Ingested,
    Published,
    Retrying,
    StageChanged,
    Started,
    Waiting,
    console_text,
    emit,
    from_line,
    older_file,
    read_events,
    subscribed,
    to_line,
)

ROW = {
    "train/policy_loss": 1.94324, "train/value_loss": 0.24512, "train/seconds": 3.214,
    "stats/total_games": 117376, "stats/replay_buffer_selfplay": 129024,
    "stats/replay_buffer_eval_aux": 100000, "stats/eval_aux_mix_ratio": 0.05,
    "stats/eval_aux_policy_weight": 0.0, "stats/replay_reuse": None,
}  # fmt: skip
MATCH = {"win_rate": 0.75, "low": 0.7, "high": 0.8, "games": 2000}
STAGE: dict[str, Any] = {
    "stage": "exact", "number": 1, "n_stages": 3, "mode": "exact", "until_games": 40000,
    "lr": 1e-3, "lr_end": 1e-4, "reuse": 2.0,
}  # fmt: skip
BATCH = BatchDone(worker_id="vast-0", batch=1, games=256, examples=7168, games_per_s=3.84,
                  step=0, total_games=256)  # fmt: skip
#: Every kind of event, and its lines for people.
TOLD: list[tuple[Event, str | None]] = [
    (Started(program="worker", version="0.1.0", host="h", pid=7), None),
    (Ended(program="worker", code=1, reason="error: x"), None),
    (BATCH, "[vast-0] batch 1: 7168 examples, 3.8 games/s, step=0, total_games=256"),
    (Ingested(files=4, examples=28672, n_selfplay=28672),
     "Ingested 28,672 examples from 4 files [buffer: 28,672]"),
    (Ingested(files=4, examples=0, n_selfplay=28672, n_eval_aux=90, eval_aux_seen=100,
              eval_aux_kept=90, eval_aux_stale=10),
     "Ingested 0 examples from 4 files (eval_aux: 90 of 100 kept, 10 stale) "
     "[selfplay: 28,672, eval_aux: 90]"),
    (CycleDone(cycle=1, metrics=ROW),
     "Cycle    1: policy_loss=1.9432, value_loss=0.2451 (train=3.21s) "
     "[buffer: 129,024, games: 117,376]"),
    (CycleDone(cycle=1001, metrics={**ROW, "stats/replay_reuse": 2.25}, eval_aux=True),
     "Cycle 1001: policy_loss=1.9432, value_loss=0.2451 (train=3.21s), "
     "mix(self/eval)=0.95/0.05, eval_aux_policy_w=0, reuse=2.2 "
     "[selfplay: 129,024, eval_aux: 100,000, games: 117,376]"),
    (Evaluated(cycle=50, results={"random": MATCH}, metrics={}),
     "Eval    50: vs random 75.0% won (95 % interval 70.0% to 80.0%, 2,000 games)"),
    (Evaluated(cycle=0, results={}, metrics={}, number=1, outcome="first"),
     "Eval     0:; the first to be the best"),
    (Evaluated(cycle=9, results={}, metrics={}, number=2, outcome="kept", decided=0.4,
               best_cycle=5), "Eval     9:; vs best (step 5) 40.0% of decided: the best stays"),
    (Evaluated(cycle=9, results={}, metrics={}, number=2, outcome="collapsed", decided=0.1,
               best_cycle=5),
     "Eval     9:; vs best (step 5) 10.0% of decided: collapsed: the weights go back to those of "
     "step 5"),
    (Published(step=3, games=90), None),
    (StageChanged(**STAGE), "Stage 1 of 3, exact: exact games up to 40,000, lr 0.001 to 0.0001, "
                            "reuse 2"),
    (StageChanged(**STAGE, dropped=1234),
     "Stage 1 of 3, exact: exact games up to 40,000, lr 0.001 to 0.0001, reuse 2, 1,234 older "
     "examples dropped"),
    (Waiting(reason="examples", text="Buffer 0/5000 — waiting for workers..."),
     "Buffer 0/5000 — waiting for workers..."),
    (Waiting(reason=""), None),
    (Retrying(call="hub", error="503", seconds=5.0, attempt=1, attempts=4),
     "  HF transient error (attempt 1/4): 503\n  Retrying in 5s..."),
    (Retrying(call="start", error="away", seconds=5.0, attempt=1),
     "  cannot start yet, trying again in 5 s: away"),
    (Incident(what="exchange", text="  push error (will retry): away"),
     "  push error (will retry): away"),
    (FleetNews(fleet="zeb-x-selfplay", what="trouble", text="vast: no answer"), "vast: no answer"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "text"), TOLD)
def test_the_words_of_every_kind(event: Event, text: str | None) -> None:
    assert console_text(event) == text


def test_no_kind_is_left_out_above() -> None:
    assert {type(event) for event, _ in TOLD} == set(Event.__subclasses__())


@pytest.mark.parametrize(("event", "_text"), TOLD)
def test_a_line_is_read_as_it_was_written(event: Event, _text: str | None) -> None:
    line = to_line(event)
    assert line.count(b"\n") == 1
    assert from_line(line) == event
    assert from_line(line.decode()) == event


def test_readers_understand_newer_writers() -> None:
    facts = json.loads(to_line(BATCH))
    assert from_line(json.dumps({**facts, "zebfast": 2, "new": [1, 2]})) == BATCH
    assert from_line(json.dumps({**facts, "event": "of tomorrow"})) is None


@pytest.mark.parametrize(
    "changes",
    [{"batch": "1"}, {"batch": True}, {"batch": None}, {"worker_id": 3}, {"games_per_s": "fast"}],
)
def test_what_is_of_another_type_is_no_event(changes: dict[str, Any]) -> None:
    assert from_line(json.dumps({**json.loads(to_line(BATCH)), **changes})) is None


@given(st.one_of(st.text(), st.binary()))
def test_any_other_line_is_no_event(line: str | bytes) -> None:
    assert from_line(line) is None
    start = '{"zebfast": 1, "event": "batch done", '
    assert from_line(start + str(line)) is None


def test_a_missing_field_is_no_event() -> None:
    facts = json.loads(to_line(BATCH))
    del facts["batch"]
    assert from_line(json.dumps(facts)) is None


def test_numbers_that_are_not_finite_become_null() -> None:
    event = CycleDone(cycle=1, metrics={"train/policy_loss": math.nan, "train/lr": math.inf})
    found = from_line(to_line(event))
    assert isinstance(found, CycleDone)
    assert found.metrics == {"train/policy_loss": None, "train/lr": None}


def test_subscribers_are_told_while_they_listen() -> None:
    first: list[Event] = []
    second: list[Event] = []
    emit(BATCH)
    with subscribed(first.append), subscribed(second.append, second.append):
        emit(BATCH)
        thread = threading.Thread(target=emit, args=(Published(step=1, games=2),))
        thread.start()
        thread.join()
    emit(BATCH)
    assert len(first) == 2
    assert len(second) == 4


def test_what_a_subscriber_raises_is_the_callers() -> None:
    def fail(_event: Event) -> None:
        raise BrokenPipeError

    with subscribed(fail), pytest.raises(BrokenPipeError):
        emit(BATCH)
    emit(BATCH)


def test_the_innermost_console_alone_has_the_words() -> None:
    outer: list[str] = []
    inner: list[str] = []
    with listening(outer.append):
        emit(BATCH)
        with listening(inner.append):
            emit(Retrying(call="hub", error="503", seconds=5.0, attempt=1, attempts=4))
        emit(BATCH)
    assert len(outer) == 2
    assert inner == ["  HF transient error (attempt 1/4): 503", "  Retrying in 5s..."]


def test_a_file_stays_small_and_keeps_the_newest(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "run" / "events.jsonl", limit=4000)
    for step in range(200):
        file.take(Published(step=step, games=step))
    sizes = [path.stat().st_size for path in (file.path, older_file(file.path))]
    assert max(sizes) <= 4000
    steps = [event.step for event in read_events(file.path) if isinstance(event, Published)]
    assert steps == list(range(steps[0], 200))
    assert 20 < len(steps) < 200


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "events.jsonl")
    file.take(BATCH)
    with open(file.path, "ab") as handle:
        handle.write(to_line(BATCH)[:40])  # killed while writing
    assert read_events(file.path) == [BATCH]
    file.take(BATCH)
    assert read_events(file.path) == [BATCH, BATCH]
    file.path.write_bytes(b"\xff\xfe\n[1]\n{}\n" + file.path.read_bytes())
    assert read_events(file.path) == [BATCH, BATCH]


def test_no_file_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl") == []


def test_a_full_disk_ends_nobody() -> None:
    EventFile(Path("/dev/full")).take(BATCH)


CHILD = """
import sys
from zebfast.system.events import Published, emit, subscribed, write_to
with subscribed(write_to(int(sys.argv[1]))):
    for step in range(int(sys.argv[2])):
        emit(Published(step=step, games=0))
"""


def test_a_child_tells_its_parent() -> None:
    told: list[Event] = []
    pipe = EventPipe(told.append)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(pipe.fd), "3000"],
                             pass_fds=[pipe.fd])  # fmt: skip
    pipe.start()
    assert child.wait(60) == 0
    pipe.join(30)
    assert [event.step for event in told if isinstance(event, Published)] == list(range(3000))


def test_a_parent_that_is_gone_ends_no_child() -> None:
    source, end = os.pipe()
    os.close(source)
    child = subprocess.run([sys.executable, "-c", CHILD, str(end), "10"], pass_fds=[end])
    os.close(end)
    assert child.returncode == 0
