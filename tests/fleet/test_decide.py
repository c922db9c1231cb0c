"""Every rule of a fleet, one row each: what is remembered, what is seen, what follows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fleet_looks import FLEET, MIN, NOW, SPEC, asked, beat, known, look, machine, names

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.model import Instance, Machine, Spec


@dataclass(frozen=True)
class Row:
    """One look: what is remembered, listed and beaten; who is destroyed, how many are rented."""

    rule: str
    known: tuple[Instance, ...] = ()
    machines: tuple[Machine, ...] = ()
    beats: tuple[Heartbeat, ...] = ()
    destroyed: str = ""
    rent: int = 0
    said: str = ""
    spec: Spec = SPEC
    state: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)


FOUR = replace(SPEC, n=4)
TWO = replace(SPEC, n=2)
A, B, C = known("a"), known("b"), known("c")
GONE = known("a", missing_since=NOW - 3 * MIN)
ALL_PLAY = (machine("a"), machine("b"), machine("c"))
LOAD = (known("a", up_since=None, progress=None, progress_at=None, games_per_s=None),)
QUIET = {"progress": None, "games_per_s": None}
ERROR = {"phase": "failed", "error": "CUDA error: out of memory"}

ROWS = [
    Row("nothing there: all are asked for", spec=FOUR, rent=4),
    Row("all is well", known=(A,), machines=(machine("a"),), beats=(beat("a"),)),
    Row("one is missing", known=(A,), machines=(machine("a"),), spec=TWO, rent=1),
    # loading
    Row("loading for 9 minutes", known=(replace(LOAD[0], asked=NOW - 9 * MIN),),
        machines=(machine("a", "loading"),)),
    Row("loading for 11 minutes", known=(replace(LOAD[0], asked=NOW - 11 * MIN),),
        machines=(machine("a", "loading"),), destroyed="a!", rent=1),
    Row("loading again after it has played", known=(A,), machines=(machine("a", "loading"),)),
    # set-up
    Row("no heartbeat for 9 minutes", known=(known("a", progress_at=NOW - 9 * MIN, **QUIET),),
        machines=(machine("a"),)),
    Row("no heartbeat for 11 minutes", known=(known("a", progress_at=NOW - 11 * MIN, **QUIET),),
        machines=(machine("a"),), destroyed="a!", rent=1,),
    Row("the first heartbeat after 11 minutes",
        known=(known("a", progress_at=NOW - 11 * MIN, **QUIET),),
        machines=(machine("a"),), beats=(beat("a", 0),)),
    # progress
    Row("the same batch for 14 minutes", known=(known("a", progress_at=NOW - 14 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7),)),
    Row("the same batch for 16 minutes", known=(known("a", progress_at=NOW - 16 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7),), destroyed="a!", rent=1),
    Row("a new batch after 16 minutes", known=(known("a", progress_at=NOW - 16 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 8),)),
    Row("its heartbeat has become nonsense", known=(known("a", progress_at=NOW - 16 * MIN),),
        machines=(machine("a"),), destroyed="a!", rent=1),
    Row("16 minutes, uploads only every 10", known=(known("a", progress_at=NOW - 16 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7),),
        spec=replace(SPEC, upload_interval=600.0)),
    Row("26 minutes, uploads every 10", known=(known("a", progress_at=NOW - 26 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7),), destroyed="a!", rent=1,
        spec=replace(SPEC, upload_interval=600.0)),
    Row("no heartbeat can be read", known=(known("a", progress_at=NOW - 30 * MIN),),
        machines=(machine("a"),), seen={"heard": False}),
    # fatal errors
    Row("it has just failed", known=(A,), machines=(machine("a"),), beats=(beat("a", **ERROR),)),
    Row("failing for 4 minutes", known=(known("a", failing_since=NOW - 4 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7, **ERROR),)),
    Row("failing for 6 minutes", known=(known("a", failing_since=NOW - 6 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 7, **ERROR),), destroyed="a!", rent=1),
    Row("it failed, was restarted and has not failed again",
        known=(known("a", failing_since=NOW - 6 * MIN),),
        machines=(machine("a"),), beats=(beat("a", 0, earlier_batches=7, restarts=1),)),
    Row("an error in the log for 6 minutes",
        known=(known("a", failing_since=NOW - 6 * MIN, progress_at=NOW - 6 * MIN, **QUIET),),
        machines=(machine("a"),), destroyed="a!", rent=1,
        seen={"log_errors": {f"{FLEET}/a": "No module named 'zebfast'"}}),
    Row("an error in the log of one that beats",
        known=(known("a", failing_since=NOW - 6 * MIN),), machines=(machine("a"),),
        beats=(beat("a"),), seen={"log_errors": {f"{FLEET}/a": "error: from yesterday"}}),
    # states that nothing comes back from
    Row("stopped", known=(A,), machines=(machine("a", "stopped"),), destroyed="a", rent=1),
    Row("outbid", known=(A,), machines=(machine("a", "stopped", interruptible=True),),
        destroyed="a", rent=1),
    Row("exited", known=(A,), machines=(machine("a", "exited"),), destroyed="a!", rent=1),
    Row("offline", known=(A,), machines=(machine("a", "offline"),), destroyed="a!", rent=1),
    Row("unknown", known=(A,), machines=(machine("a", "unknown"),), destroyed="a!", rent=1),
    # prices
    Row("at the cap", known=(A,), machines=(machine("a", price_per_hour=0.10009),),
        beats=(beat("a"),)),
    Row("above the cap", known=(A,), machines=(machine("a", price_per_hour=0.1002),), destroyed="a",
        rent=1, beats=(beat("a"),)),
    # labels
    Row("two with one label: the younger goes", known=(A,), destroyed="twin", spec=TWO, rent=1,
        machines=(machine("a", started=NOW - 9), machine("a", id="twin", started=NOW - 5))),
    Row("no surplus: the younger must be gone first", known=(A,), destroyed="twin", rent=0,
        spec=replace(SPEC, n=2, max_surge=0),
        machines=(machine("a", started=NOW - 9), machine("a", id="twin", started=NOW - 5))),
    Row("one of another fleet", known=(A,), beats=(beat("a"),),
        machines=(machine("a"), machine("x", label="zeb-first-selfplays/x"))),
    Row("not remembered, room for it", machines=(machine("x"),), said="x was not remembered"),
    Row("not remembered, room within the surplus", known=(A,), said="x was not remembered",
        machines=(machine("a"), machine("x", "loading")), beats=(beat("a", 7, games_per_s=0.0),)),
    Row("not remembered, no room", known=(A, B), destroyed="x",
        machines=(machine("a"), machine("b"), machine("x", started=NOW - MIN)), spec=TWO,
        beats=(beat("a"), beat("b"))),
    Row("not remembered, room for two: the oldest", destroyed="x",
        machines=tuple(machine(name, "loading", started=NOW - age * MIN)
                       for name, age in (("x", 3), ("y", 9), ("z", 5)))),
    Row("not remembered, no room, though it plays", known=(A, B), destroyed="x",
        machines=(machine("a", "loading"), machine("b", "loading"), machine("x", started=1.0)),
        beats=(beat("x"),)),
    Row("not remembered, and loading for 11 minutes", destroyed="x!", rent=1,
        machines=(machine("x", "loading", started=NOW - 11 * MIN),)),
    # requests without an answer
    Row("asked for just now, not listed yet", known=(asked("a", 1),)),
    Row("asked for 9 minutes ago, never listed", known=(asked("a", 9),)),
    Row("asked for 11 minutes ago, first seen not listed now", known=(asked("a", 11),)),
    Row("asked for 11 minutes ago, missing for a minute",
        known=(asked("a", 11, missing_since=NOW - MIN),)),
    Row("asked for 11 minutes ago, never listed",
        known=(asked("a", 11, missing_since=NOW - 3 * MIN),), rent=1, said="is gone"),
    Row("asked for 11 minutes ago, its provider is silent", known=(asked("a", 11),),
        seen={"silent": frozenset({"vast"})}),
    Row("asked for, and now listed", known=(asked("a", 2),), machines=(machine("a", "loading"),)),
    Row("missing in one list", known=(known("a", listed_at=NOW - MIN),)),
    Row("missing in one list, and nobody looked for an hour",
        known=(known("a", listed_at=NOW - 60 * MIN),)),
    Row("missing in lists for a minute", known=(known("a", missing_since=NOW - MIN),)),
    Row("missing in lists for 3 minutes", known=(GONE,), rent=1, said="is gone"),
    Row("missing in lists for 3 minutes, and works", known=(GONE,),
        beats=(beat("a"),)),
    Row("rented a minute ago, not listed yet", known=(asked("a", 1, id="id-a"),)),
    Row("its provider is silent", known=(A,), seen={"silent": frozenset({"vast"})}),
    Row("another provider is silent", known=(GONE,), rent=1, said="is gone",
        seen={"silent": frozenset({"runpod"})}),
    # scaling down
    Row("too many: one that is not running goes first", known=(A, B, C), destroyed="b", spec=TWO,
        machines=(machine("a"), machine("b", "loading"), machine("c")),
        beats=(beat("a"), beat("c"))),
    Row("too many: not running goes before not playing", destroyed="ba",
        known=(known("a", asked=NOW - 5 * MIN, games_per_s=None), B, C),
        machines=(machine("a"), machine("b", "loading"), machine("c"))),
    Row("too many: then the youngest", destroyed="b", spec=TWO, machines=ALL_PLAY,
        known=(A, known("b", asked=NOW - 30 * MIN), C)),
    Row("too many of one age: then the worst $ a game", destroyed="b", spec=TWO,
        known=(A, known("b", games_per_s=1.0), C), machines=ALL_PLAY),
    Row("one that does not play goes before a younger one that does", destroyed="a", spec=TWO,
        known=(known("a", games_per_s=None), B, known("c", asked=NOW - 5 * MIN)),
        machines=ALL_PLAY),
    Row("the surplus stays until enough of them play", known=(A, B), spec=SPEC,
        machines=(machine("a", "loading"), machine("b", "loading"))),
    Row("the surplus goes once enough of them play", known=(A, B), destroyed="b",
        machines=(machine("a"), machine("b", "loading"))),
    Row("more than n + surplus: at once", known=(A, B, C), destroyed="a",
        machines=tuple(machine(name, "loading") for name in "abc")),
    Row("none wanted any more", known=(A,), machines=(machine("a"),), destroyed="a",
        spec=replace(SPEC, n=0)),
    # never more than n + surplus, those that are being destroyed included
    Row("three break at once", known=(A, B, C), spec=replace(SPEC, n=3), destroyed="a!b!c!",
        machines=tuple(machine(name, "exited") for name in "abc"), rent=1, said="3 missing, 1"),
    Row("no surplus: first gone, then replaced", known=(A,), spec=replace(SPEC, max_surge=0),
        machines=(machine("a", "exited"),), destroyed="a!", rent=0, said="1 missing, 0"),
    Row("it was to be destroyed and is still there: again, without a strike",
        known=(known("a", terminating="is exited"),), machines=(machine("a"),), beats=(beat("a"),),
        destroyed="a", rent=1),
    # down and budgets
    Row("taken down", known=(A, B), machines=(machine("a"), machine("x")), destroyed="ax",
        state={"wanted": False}),
    Row("dollars used up", known=(A,), machines=(machine("a"),), destroyed="a",
        spec=replace(SPEC, budget_dollars=1.0), state={"spent": 0.9999}, said="budget is used up"),
    Row("dollars nearly used up", known=(A,), machines=(machine("a"),), beats=(beat("a"),),
        spec=replace(SPEC, budget_dollars=1.0), state={"spent": 0.99}),
    Row("hours used up", known=(A,), machines=(machine("a"),), destroyed="a",
        spec=replace(SPEC, budget_hours=1.0), said="1.0 of 1 hours"),
    # nothing is asked for
    Row("no weights yet", seen={"has_weights": False}, said="no weights yet"),
    Row("weights not known", seen={"has_weights": None}, said="not known whether"),
    Row("lacks credit: a pause", state={"paused_until": NOW + MIN, "pause_reason": "no credit"},
        said="no credit, next try in 60 s"),
    Row("after the pause one is asked for", state={"paused_until": NOW - 1}, spec=FOUR, rent=1),
    Row("no credit anywhere", seen={"credit": {"vast": 0.0}}, said="lacks credit"),
    Row("credit at one of two", seen={"credit": {"vast": 0.0, "runpod": 9.0}}, rent=1,
        spec=replace(SPEC, providers=("vast", "runpod"))),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.rule for row in ROWS])
def test_rule(row: Row) -> None:
    decision = look(row.known, row.machines, row.beats, spec=row.spec, state=row.state, **row.seen)
    assert "".join(names(decision)) == row.destroyed
    assert decision.rent == row.rent
    assert row.said in "\n".join(decision.notes)
    for each in decision.destroy:
        assert each.reason
        if each.machine.id != "twin":
            assert decision.state.machines[each.machine.label].terminating == each.reason
