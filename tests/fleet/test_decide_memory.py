"""What a fleet remembers from one look to the next, and the numbers of its rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleet_looks import FLEET, MIN, NOW, SPEC, asked, beat, known, look, machine, names

from zebfast.fleet.decide import LISTING_LAG, PAUSE, UNANSWERED, Decision, decide, resumed
from zebfast.fleet.health import failure_in, stall_limit
from zebfast.fleet.model import Instance, Observed
from zebfast.system.events import Ended, to_line

TWO = replace(SPEC, n=2)
A = known("a")


def remembered(decision: Decision, name: str = "a") -> Instance:
    return decision.state.machines[f"{FLEET}/{name}"]


def test_what_is_seen_is_remembered() -> None:
    seen = machine("a", gpu="RTX 3070", host="h9", price_per_hour=0.07)
    found = remembered(look((asked("a", 2),), (seen,), (beat("a", 3),)))
    assert found == Instance(
        label=f"{FLEET}/a", provider="vast", id="id-a", asked=NOW - 2 * MIN, gpu="RTX 3070",
        host="h9", price_per_hour=0.07, up_since=NOW, listed_at=NOW, progress="3", progress_at=NOW,
        games_per_s=2.0,
    )  # fmt: skip


def test_progress_is_dated_by_this_machine_and_only_when_it_changes() -> None:
    assert remembered(look((A,), (machine("a"),), (beat("a", 7),))).progress_at == NOW - MIN
    moved = remembered(look((A,), (machine("a"),), (beat("a", 8),)))
    assert (moved.progress, moved.progress_at) == ("8", NOW)


def test_a_crash_loop_is_not_forgiven_for_starting_again() -> None:
    failing = known("a", failing_since=NOW - 4 * MIN)
    starting = beat("a", 0, earlier_batches=7, phase="starting", games_per_s=0.0, restarts=3)
    assert remembered(look((failing,), (machine("a"),), (starting,))).failing_since is not None
    worked = beat("a", 1, earlier_batches=7, restarts=3)
    assert remembered(look((failing,), (machine("a"),), (worked,))).failing_since is None


def test_the_clock_of_silence_stands_still_while_nobody_can_be_heard() -> None:
    stuck = known("a", progress_at=NOW - 14 * MIN)
    found = look((stuck,), (machine("a"),), heard=False, state={"last_look": NOW - 10 * MIN})
    assert remembered(found).progress_at == NOW - 4 * MIN


def test_dollars_are_counted_since_the_last_look() -> None:
    machines = (machine("a"), machine("b", price_per_hour=0.09))
    young = known("b", asked=NOW - 2 * MIN, price_per_hour=0.09)
    hour_ago = {"spent": 1.0, "last_look": NOW - 60 * MIN}
    spent = look((A, young), machines, spec=TWO, state=hour_ago).state.spent
    assert spent == pytest.approx(1.0 + 0.05 + 0.09 * 2 / 60)
    silent = look((A,), state=hour_ago, silent=frozenset({"vast"})).state
    assert silent.spent == pytest.approx(1.05), "it is paid for whether its provider answers or not"
    gone = look((known("a", terminating="over"), asked("b", 5)), state=hour_ago).state
    assert gone.spent == 1.0, "one that was destroyed or never came costs nothing"


def test_one_that_was_destroyed_is_forgotten_as_soon_as_it_is_gone_and_not_mourned() -> None:
    decision = look((known("a", terminating="is exited", listed_at=NOW - MIN),))
    assert (decision.state.machines, decision.notes, decision.rent) == ({}, (), 1)


@pytest.mark.parametrize("state", ["loading", "running"])
def test_a_clock_that_was_set_back_ends_no_rule_and_saves_no_money(state: Any) -> None:
    later = NOW + 600 * MIN
    ahead = known("a", asked=later, up_since=later, progress_at=later)
    before = {"last_look": later, "first": later, "spent": 1.0, "paused_until": later}
    decision = look((ahead,), (machine("a", state),), spec=TWO, state=before)
    found = remembered(decision)
    assert max(found.asked, found.up_since or 0, found.progress_at or 0) == NOW
    assert (decision.state.spent, decision.state.first) == (1.0, NOW)
    assert decision.state.paused_until == NOW + PAUSE
    assert not decision.destroy


def test_a_pause_ends_when_nothing_is_missing() -> None:
    over = {"paused_until": NOW - 1, "pause_reason": "no credit"}
    state = look((A,), (machine("a"),), (beat("a"),), state=over).state
    assert state == resumed(state)


def test_a_used_up_budget_is_said_once() -> None:
    spec = replace(SPEC, budget_hours=1.0)
    first = look((A,), (machine("a"),), spec=spec)
    assert not first.state.wanted
    again = decide(first.state, Observed(now=NOW + MIN, machines=(machine("a"),)))
    assert names(again) == ["a"]
    assert not again.notes


def test_numbers() -> None:
    assert (PAUSE, UNANSWERED, stall_limit(SPEC)) == (300, 600, 900)
    assert LISTING_LAG < UNANSWERED
    assert stall_limit(replace(SPEC, upload_interval=1000.0)) == 2500


def ended(code: int, reason: str = "", program: str = "worker") -> str:
    return to_line(Ended(program=program, code=code, reason=reason)).decode()


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", None),
        ("Collecting torch\nbatch 1: 7168 examples, 3.8 games/s", None),
        ("No module named 'y'\n" + ended(1, program="start") + "bye", "No module named 'y'"),
        ("12:03:01 " + ended(1, "CUDA  error: 7"), "CUDA error: 7"),
        (ended(1, "the first") + "restart\n" + ended(-9, "killed by SIGKILL"), "killed by SIGKILL"),
        (ended(1, "x" * 1000), "x" * 200),
        (ended(3, program="host run"), "host run ended with 3"),
        (ended(0, "all is done"), None),
        ("Traceback (most recent call last):\nerror: only words\n", None),
        (ended(1, "torn")[:-9], None),
    ],
)  # fmt: skip
def test_a_failure_is_what_an_event_in_the_log_says(log: str, line: str | None) -> None:
    assert failure_in(log) == line
