"""What a watcher makes of made-up looks: verdicts, what it remembers, tells and does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from listening import listening

from tests.servers.webhook import WebhookServer
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.experiment.experiment import Experiment
from zebfast.experiment.runlog import LoggedIncident, Run
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.experiment.watch.progress import Seen, marks_of, remember
from zebfast.experiment.watch.restart import restart_problem
from zebfast.experiment.watch.state import WATCH_FILE, WatchState, load_state
from zebfast.experiment.watch.verdict import Limits, Verdict, judge, own_run
from zebfast.experiment.watch.wandb_status import WandbStatus, run_path
from zebfast.experiment.watch.watcher import LookFailed, Means, WatchConfig, Watched, watch_once
from zebfast.system.events import Ingested
from zebfast.system.locks import hold_lock

NOW = 1_800_000_000.0
HERE = "here"
HOUR = 3600.0
FAR = {"process": None, "rows": (), "runs": ()}
WAITS = {"waiting": "Buffer 20/5000 — waiting for workers..."}


def run(**changes: Any) -> Run:
    base: dict[str, Any] = {
        "id": "r", "stage": "selfplay", "host": HERE, "pid": 7, "version": "0.1.0",
        "started": NOW - 20 * HOUR, "config_file": "configs/x.toml",
    }  # fmt: skip
    return Run(**(base | changes))


def row(age: float, step: int = 1001) -> tuple[dict[str, Any], ...]:
    return ({"step": step, "time": NOW - age, "train/policy_loss": 0.5},)


def state(age: float, learning: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """As a learner on the machine `rig` publishes it."""
    return {"step": 1000, "total_games": 117_000, "updated_unix": NOW - age, "host": "rig",
            "running": True, "learning": {"cycle": 1000, **(learning or {})},
            **changes}  # fmt: skip


def taken(age: float, files: int = 9) -> dict[str, Any]:
    """The part of a published state that counts the self-play files which the learner has read."""
    counts = {"files": files, "games": 90, "examples": 2520, "first_unix": NOW - 9000}
    return {"streams": {"selfplay-mcts": {**counts, "last_unix": NOW - age}}, "workers": {}}


def worker(age: float, name: str = "selfplay-1", source: str = "selfplay-mcts") -> Producer:
    return Producer(name, n_files=4, last_unix=NOW - age, source=source, model_step=1000)


def beat(**changes: Any) -> Heartbeat:
    base: dict[str, Any] = {"worker_id": "selfplay-1", "unix": NOW - 10, "phase": "playing",
                            "source": "selfplay-mcts"}  # fmt: skip
    return Heartbeat(**(base | changes))


def beats(*told: Heartbeat) -> dict[str, Heartbeat]:
    return {each.worker_id: each for each in told}


@pytest.fixture
def look(make_experiment: Callable[..., Experiment]) -> Callable[..., Facts]:
    """``look(**changes)``: at a healthy run whose learner is on this machine."""

    def make(**changes: Any) -> Facts:
        base: dict[str, Any] = {
            "experiment": make_experiment(), "now": NOW, "here": HERE, "process": 7,
            "state": state(40, host=HERE), "rows": row(20), "runs": (run(),),
            "producers": (worker(60),),
        }  # fmt: skip
        return Facts(**(base | changes))

    return make


def first_verdict(facts: Facts, wandb: WandbStatus | None = None, **more: Any) -> Verdict:
    """What somebody finds who never looked before."""
    seen = remember({}, marks_of(facts, wandb), looked=None, now=facts.now)
    return judge(facts, seen, Limits(), wandb=wandb, **more)


TABLE: list[tuple[str, dict[str, Any], str, str]] = [
    # a learner on this machine
    ("", {}, "healthy/", "process 7, cycle 1001, progress 20 s ago"),
    ("frozen", {"rows": row(2000), "state": state(2000, host=HERE)}, "stalled/frozen",
     "no cycle for 33 min (process 7), and no other sign of life"),
    ("waits", {"rows": row(2000), "state": state(20, WAITS)}, "stalled/no examples",
     "Buffer 20/5000"),
    ("waits, but not for long", {"rows": row(600), "state": state(20, WAITS)}, "healthy/", ""),
    ("waits while its buffer fills", {"rows": (), "state": state(20, WAITS, **taken(90))},
     "healthy/", "progress 1 min ago"),
    ("alive without a cycle", {"rows": row(2000), "state": state(2000, host=HERE), "runs":
     (run(incidents=(LoggedIncident(NOW - 90, "exchange", "will retry"),)),)}, "stalled/no cycle",
     "though the learner gives signs of life"),
    ("alive by what it tells", {"rows": row(2000), "state": state(2000, host=HERE), "events":
     (Ingested(unix=NOW - 90, files=1, examples=28, n_selfplay=28),)}, "stalled/no cycle",
     "though the learner gives signs of life"),
    ("just started", {"rows": row(9 * HOUR), "state": state(9 * HOUR), "runs":
     (run(started=NOW - 700),)}, "healthy/", "started 11 min ago, no cycle yet"),
    ("started and never came to a cycle", {"rows": (), "state": None, "runs":
     (run(started=NOW - 2 * HOUR),)}, "stalled/frozen", "no cycle for 2 h"),
    ("no workers", {"producers": (worker(4000),)}, "stalled/no examples",
     "no new self-play examples for 1 h 6 min"),
    ("never any worker", {"producers": ()}, "stalled/no examples", "no self-play worker has"),
    ("no eval-aux worker", {"runs": (run(stage="evalaux"),)}, "stalled/no examples", "eval-aux"),
    ("a worker that has not uploaded yet", {"producers": (worker(4000),), "heartbeats":
     beats(beat(last_batch=NOW - 100))}, "healthy/", ""),
    ("a worker that lives and hands nothing over", {"producers": (worker(4000),), "heartbeats":
     beats(beat(last_batch=NOW - 4000))}, "stalled/no examples", "for 1 h 6 min"),
    ("a worker that failed", {"producers": (worker(4000),), "heartbeats":
     beats(beat(phase="failed", error="CUDA error"))}, "stalled/no examples",
     "workers: 0 live; selfplay-1 failed 10 s ago: CUDA error"),
    ("examples not reached", {"producers": (), "exchange_errors": ("examples: 503",)},
     "healthy/", ""),
    ("the Hub is away, cycles go on", {"state": None, "exchange_errors": ("weights: 503",)},
     "healthy/", ""),
    ("the Hub is away, no cycles", {"state": None, "rows": row(2000), "exchange_errors":
     ("weights: 503",)}, "unknown/unreached", "weights: 503"),
    # it is not there
    ("killed", {"process": None}, "failed/dead", "did not end cleanly"),
    ("failed", {"process": None, "runs": (run(ended=NOW - 9, exit_code=1,
     reason="failed: No space left"),)}, "failed/dead", "failed: No space left"),
    ("stopped", {"process": None, "runs": (run(ended=NOW - 9, exit_code=143,
     reason="stopped by SIGTERM"),)}, "stopped/", "stopped by SIGTERM 9 s ago"),
    ("finished", {"process": None, "runs": (run(ended=NOW - 9, exit_code=0, reason="finished"),)},
     "stopped/", "finished 9 s ago"),
    ("never started", {**FAR, "state": None}, "stopped/", "not started yet"),
    # from another machine, by what is published alone
    ("far", {**FAR, "state": state(300)}, "healthy/", "on rig, cycle 1000, progress 5 min ago"),
    ("far, moved there since", {"process": None, "runs": (run(ended=NOW - HOUR, exit_code=0),),
     "rows": (), "state": state(300)}, "healthy/", "on rig"),
    ("far, dead", {**FAR, "state": state(4000)}, "failed/lost",
     "no sign of the learner for 1 h 6 min on rig"),
    ("far, frozen", {**FAR, "state": state(4000, learner={"owner": "rig", "id": "1",
     "renewed": NOW - 60})}, "stalled/frozen", "rig still holds the namespace"),
    ("far, stopped", {**FAR, "state": state(4000, running=False)}, "stopped/", "in order on rig"),
    ("far, waits", {**FAR, "state": state(100, WAITS), "producers": (worker(4000),)},
     "stalled/no examples", "Buffer 20/5000"),
    ("far, waits, and its files are refused", {**FAR, "state": state(100, WAITS, **taken(4000))},
     "stalled/no examples", "no cycle for 1 h 6 min"),
    ("far, another program", {**FAR, "state": {"step": 3, "updated_unix": NOW - 4000}},
     "stalled/silent", "no sign of the learner"),
    ("far, the Hub is away", {**FAR, "state": None, "exchange_errors": ("weights: 503",)},
     "unknown/unreached", "weights: 503"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "words"), [case[1:] for case in TABLE],
                         ids=[case[0] or "healthy" for case in TABLE])  # fmt: skip
def test_verdicts(
    look: Callable[..., Facts], changes: dict[str, Any], key: str, words: str
) -> None:
    verdict = first_verdict(look(**changes))
    assert verdict.key == key, verdict.reason
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("wandb", "key"),
    [
        (WandbStatus("running", NOW - 20, NOW - 30, 1040, 118_000), "healthy/"),
        (WandbStatus("running", NOW - 20, NOW - 4000, 1000, 117_000), "stalled/no cycle"),
        (WandbStatus("finished", NOW - 4000, NOW - 4000, 1000, 117_000), "stopped/"),
        (WandbStatus("crashed", NOW - 4000, NOW - 4000, 1000, 117_000), "failed/lost"),
    ],
)
def test_wandb_tells_what_is_no_longer_published(
    look: Callable[..., Facts], wandb: WandbStatus, key: str
) -> None:
    facts = look(**FAR, state=state(4000))
    verdict = first_verdict(facts, wandb)
    assert verdict.key == key, verdict.reason
    assert ("crashed" in verdict.reason) is (wandb.state == "crashed")


def test_the_heartbeat_of_wandb_is_none_of_a_learner_that_is_frozen_here(
    look: Callable[..., Facts],
) -> None:
    facts = look(rows=row(4000), state=state(4000, host=HERE))
    beats = WandbStatus("running", NOW - 20, NOW - 4000, 1000, 117_000)
    assert first_verdict(facts, beats).key == "stalled/frozen"


def test_the_run_is_found_by_what_is_published() -> None:
    url = "https://wandb.ai/me/zeb-mcts/runs/r1?nw=x"
    assert run_path({"wandb_url": url, "wandb_run_id": "r1"}, "p") == "me/zeb-mcts/r1"
    assert run_path({"wandb_run_id": "r1"}, "p") == "p/r1"
    assert run_path(None, "p") is None


def test_a_clock_that_was_set_makes_nothing_older() -> None:
    before = WatchState(looked=NOW, seen={"metrics": Seen("3", NOW - 10)}, told_unix=NOW - 5,
                        restarts=(NOW - 60,), steady=50.0, boot="b")  # fmt: skip
    after = before.at(NOW + HOUR + 20, steady=70.0, boot="b")
    assert (after.looked, after.told_unix) == (NOW + HOUR, NOW + HOUR - 5)
    assert after.seen["metrics"].since == NOW + HOUR - 10
    assert after.restarts == (NOW + HOUR - 60,)
    assert before.at(NOW + HOUR, steady=1.0, boot="c").looked == NOW


def test_a_restart_that_has_begun_is_no_end_on_purpose(look: Callable[..., Facts]) -> None:
    ended = look(process=None, runs=(run(ended=NOW - 9, exit_code=143, reason="by SIGTERM"),))
    assert first_verdict(ended, restarting=True).key == "failed/dead"


def test_its_own_clock_decides_once_it_has_looked(look: Callable[..., Facts]) -> None:
    """The clock of the other machine is two hours slow, then one hour fast."""
    slow = look(**FAR, state=state(2 * HOUR), producers=(worker(2 * HOUR),))
    assert first_verdict(slow).key == "failed/lost", "nobody can know better at the first look"
    seen = remember({}, marks_of(slow, None), looked=None, now=NOW)
    moved = replace(
        slow, now=NOW + 600, state=state(2 * HOUR - 600, {"cycle": 1009}, step=1009),
        producers=(worker(2 * HOUR - 600),),
    )  # fmt: skip
    seen = remember(seen, marks_of(moved, None), looked=NOW, now=NOW + 600)
    assert judge(moved, seen, Limits()).key == "healthy/", "it moved since the last look"
    fast = replace(moved, state=state(-HOUR, {"cycle": 1010}), producers=(worker(-HOUR),))
    for later, key in ((700, "healthy/"), (1500, "healthy/"), (2600, "failed/lost")):
        now = NOW + later
        seen = remember(seen, marks_of(fast, None), looked=NOW + 600, now=now)
        assert judge(replace(fast, now=now), seen, Limits()).key == key


def test_one_workers_clock_does_not_hide_what_the_others_do(look: Callable[..., Facts]) -> None:
    """Its files are of next week: the others' new ones are news all the same, and their end is."""
    ahead = worker(-7 * 24 * HOUR, "ahead")
    seen: dict[str, Any] = {}
    for later, others, key in ((0, 60, "healthy/"), (3000, 30, "healthy/"),
                               (8000, 5000, "stalled/no examples")):  # fmt: skip
        now = NOW + later
        facts = look(now=now, rows=({"step": later, "time": now - 5, "train/policy_loss": 0.5},),
                     producers=(ahead, worker(others - later, "w")))  # fmt: skip
        seen = remember(seen, marks_of(facts, None), looked=now - 3000 if later else None, now=now)
        assert judge(facts, seen, Limits()).key == key, later


def test_a_learner_whose_run_was_here_is_ours_by_its_hold(look: Callable[..., Facts]) -> None:
    """The other machine's clock is behind: its state looks older than the end of our run."""
    ended = run(ended=NOW - 9, exit_code=1, reason="failed")
    lease = {"owner": "rig", "id": "1", "renewed": NOW - HOUR}
    facts = look(process=None, runs=(ended,), state=state(HOUR, learner=lease))
    assert own_run(facts) is None
    facts = look(process=None, runs=(ended,), state=state(-HOUR, learner=lease | {"owner": HERE}))
    assert own_run(facts) is ended


def test_what_the_learner_that_died_wrote_long_ago_is_no_progress(
    look: Callable[..., Facts],
) -> None:
    """The watcher was off for a day, in which the learner trained for an hour and froze."""
    before = remember({}, marks_of(look(), None), looked=None, now=NOW)
    now = NOW + 24 * HOUR
    facts = look(now=now, rows=row(-HOUR, step=1500), state=state(-HOUR, host=HERE))
    seen = remember(before, marks_of(facts, None), looked=NOW, now=now)
    assert judge(facts, seen, Limits()).key == "stalled/frozen"


@dataclass
class Watcher:
    """A watcher whose clock and looks are made up; its files and its address are real."""

    facts: Facts
    config: WatchConfig
    lines: list[str] = field(default_factory=list)
    error: str | None = None
    replenish: list[str] = field(default_factory=lambda: [sys.executable, "-c", "print('2 of 2')"])

    def look(self, seconds: float = 0.0, **changes: Any) -> Watched:
        """Look after so many more seconds."""
        self.facts = replace(self.facts, now=self.facts.now + seconds, **changes)

        def facts() -> Facts:
            if self.error:
                raise LookFailed(self.error)
            return self.facts

        means = Means(
            look=facts, learn=lambda _: ["learn"], replenish=self.replenish,
            now=lambda: self.facts.now,
        )  # fmt: skip
        with listening(self.lines.append):
            return watch_once(self.facts.experiment, self.config, means)


@pytest.fixture
def service() -> Iterator[WebhookServer]:
    with WebhookServer() as running:
        yield running


@pytest.fixture
def watcher(look: Callable[..., Facts], service: WebhookServer) -> Watcher:
    facts = look()
    facts.experiment.directory.mkdir(parents=True)
    return Watcher(facts, WatchConfig(notify=service.url))


def test_people_hear_of_each_change_once(watcher: Watcher, service: WebhookServer) -> None:
    assert watcher.look().verdict.state == "healthy"
    assert service.messages == [], "nobody needs to hear that all is well at the first look"
    frozen = watcher.look(4000)
    assert (frozen.verdict.key, frozen.told) == ("stalled/frozen", True)
    assert not watcher.look(300).told
    assert not watcher.look(300).told
    killed = watcher.look(60, process=None)
    assert (killed.verdict.key, killed.told) == ("failed/dead", True)
    assert not watcher.look(5 * HOUR).told
    assert watcher.look(1.1 * HOUR).told, "a reminder"
    watcher.look(60, process=8, rows=row(-12 * HOUR, 1002), producers=(worker(-12 * HOUR),))
    watcher.look(60)
    assert service.verdicts == ["stalled", "failed", "failed", "healthy"]
    texts = [message["text"] for message in service.messages]
    assert texts[0].startswith("first is stalled: no cycle for 1 h 7 min (process 7)")
    assert texts[2].startswith("first is still failed, for 6 h 6 min: the learner on here")
    assert texts[3].startswith("first is healthy again: process 8, cycle 1002")
    first = service.messages[0]
    assert first["content"] == first["text"]
    assert (first["experiment"], first["cause"]) == ("first", "frozen")


def test_what_was_not_delivered_is_told_at_the_next_look(
    watcher: Watcher, service: WebhookServer
) -> None:
    service.answers.extend([404])
    assert not watcher.look(4000).told
    assert watcher.lines == [
        "first: 127.0.0.1 did not take the notification (HTTP 404); the next look tries again"
    ]
    assert watcher.look(60).told
    assert not watcher.look(60).told
    assert "SECRET" not in (watcher.facts.experiment.directory / WATCH_FILE).read_text()


def test_a_place_that_is_away_for_a_moment_is_no_news(
    watcher: Watcher, service: WebhookServer
) -> None:
    watcher.look()
    watcher.error = "the Hub cannot be reached"
    away = watcher.look(60)
    assert (away.verdict.key, away.told) == ("unknown/unreached", False)
    watcher.error = None
    assert not watcher.look(60).told
    watcher.error = "the Hub cannot be reached"
    assert not watcher.look(60).told
    assert watcher.look(1000).told
    assert service.verdicts == ["unknown"]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    watcher: Watcher, service: WebhookServer
) -> None:
    acts = frozenset({"restart-learner", "replenish"})
    watcher.config = replace(watcher.config, acts=acts, dry_run=True)  # type: ignore[arg-type]
    watcher.look()
    assert watcher.lines.pop().startswith("first: would replenish the fleet: ")
    found = watcher.look(60, process=None)
    assert found.did == ("would restart the learner: learn",)
    assert watcher.lines[-1].startswith("would tell 127.0.0.1: first is failed: ")
    assert service.messages == []
    assert not (watcher.facts.experiment.directory / WATCH_FILE).exists()


def test_a_second_watcher_at_the_same_time_only_looks(
    watcher: Watcher, service: WebhookServer
) -> None:
    directory = watcher.facts.experiment.directory
    watcher.config = replace(watcher.config, acts=frozenset({"restart-learner"}))
    with hold_lock(directory / ".watch.lock", busy=lambda owner: AssertionError(owner)):
        found = watcher.look(60, process=None)
    assert (found.verdict.key, found.did, found.told) == ("failed/dead", (), False)
    assert "another watcher" in watcher.lines[0]
    assert not (directory / WATCH_FILE).exists()


def test_hosts_are_made_up_for_only_while_there_is_a_learner(watcher: Watcher) -> None:
    watcher.config = WatchConfig(acts=frozenset({"replenish"}))
    assert watcher.look().did == ("replenished the fleet",)
    starving = watcher.look(2000, state=state(-1980, WAITS, host=HERE))
    assert starving.verdict.cause == "no examples"
    assert starving.did
    assert watcher.look(process=None).did == ()
    watcher.replenish = [sys.executable, "-c", "import sys; sys.exit('no credit')"]
    failed = watcher.look(process=7, rows=row(-2000, 1002), producers=(worker(-2000),))
    assert failed.verdict.state == "healthy", "the fleet's trouble is not the learner's"
    assert failed.did == ("the fleet is not replenished: no credit",)


def test_what_must_not_be_restarted(look: Callable[..., Facts]) -> None:
    dead = look(process=None)
    assert restart_problem(dead, ()) is None
    assert restart_problem(dead, (NOW - 2 * HOUR, NOW - 3000, NOW - 2000)) is None
    often = restart_problem(dead, (NOW - 3000, NOW - 2000, NOW - 1000))
    assert often == "it was restarted 3 times in the last hour; again in 10 min"
    assert "not on this machine" in str(restart_problem(look(runs=(run(host="rig"),)), ()))
    assert "not on this machine" in str(restart_problem(look(runs=()), ()))
    moved = look(process=None, state=state(300), runs=(run(ended=NOW - HOUR),))
    assert "not on this machine" in str(restart_problem(moved, ()))
    foreign = restart_problem(look(process=7), ())
    assert "process 7 was not started by zebfast experiment learn" in str(foreign)
    away = restart_problem(look(process=None, exchange_errors=("weights: 503",)), ())
    assert "another machine may have it" in str(away)


def test_a_command_restarts_in_place_of_it_but_not_for_ever(watcher: Watcher) -> None:
    marker = watcher.facts.experiment.directory / "restarted"
    script = f"open({str(marker)!r}, 'a').write('x')"
    watcher.config = WatchConfig(
        acts=frozenset({"restart-learner"}), restart_command=f'{sys.executable} -c "{script}"'
    )
    for _ in range(5):
        found = watcher.look(300, process=None)
    assert marker.read_text() == "xxx"
    assert "it was restarted 3 times in the last hour" in found.did[0]
    log = watcher.facts.experiment.run_log.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in log] == ["restart"] * 3
    watcher.look(HOUR)
    assert marker.read_text() == "xxxx"
    ended = (run(ended=NOW, exit_code=143, reason="stopped by SIGTERM"),)
    assert watcher.look(60, runs=ended).verdict.key == "failed/dead", "the command ended it"
    again = (run(started=NOW + 9 * HOUR, ended=NOW + 9 * HOUR, exit_code=143, reason="by hand"),)
    assert watcher.look(60, runs=again).verdict.key == "stopped/"


def test_a_command_that_fails_is_told(watcher: Watcher) -> None:
    acts = frozenset({"restart-learner"})
    watcher.config = WatchConfig(acts=acts, restart_command="false")  # type: ignore[arg-type]
    assert watcher.look(process=None).did == (
        "the learner is not restarted: the restart command of 'first' ended with exit code 1: "
        "it said nothing",
    )
    watcher.config = WatchConfig(acts=acts, restart_command="no-such-thing")  # type: ignore[arg-type]
    assert "FileNotFoundError" in watcher.look(60).did[0]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"format": 2, "seen": {}}'])
def test_a_damaged_memory_is_begun_anew(watcher: Watcher, text: str) -> None:
    path = watcher.facts.experiment.directory / WATCH_FILE
    path.write_text(text)
    assert watcher.look().verdict.state == "healthy"
    assert watcher.lines == [f"{path} is damaged: the watcher begins anew, and replaces it"]
    with listening(pytest.fail):
        memory = load_state(path)
    assert memory.key == "healthy/"
    assert memory.seen["metrics"].since == NOW - 20
