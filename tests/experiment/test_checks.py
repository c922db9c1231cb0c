"""What the checks of `status` say about made-up looks at an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zebfast.experiment.experiment import Experiment
from zebfast.experiment.runlog import LoggedIncident, Run
from zebfast.experiment.status.checks import run_checks
from zebfast.experiment.status.liveness import Check, age
from zebfast.experiment.status.report import status_of
from zebfast.experiment.status.snapshot import Facts, Producer

NOW = 1_800_000_000.0
HERE = "here"
CONFIG = {"embed_dim": 16, "tokenizer": "v1"}


def run(stage: str, **changes: Any) -> Run:
    base: dict[str, Any] = {
        "id": "r", "stage": stage, "host": HERE, "pid": 7, "version": "0.1.0",
        "started": NOW - 7200, "config_file": "configs/x.toml",
    }  # fmt: skip
    return Run(**(base | changes))


def worker(name: str, source: str, **changes: Any) -> Producer:
    base: dict[str, Any] = {"n_files": 40, "last_unix": NOW - 60, "model_step": 1000,
                            "games_per_s": 3.5}  # fmt: skip
    return Producer(worker_id=name, source=source, **(base | changes))


SELFPLAY = worker("worker-0", "selfplay-mcts")
EVALAUX = worker("evalaux-0", "eval-eq-zeb")


@pytest.fixture
def healthy(make_experiment: Callable[..., Experiment]) -> Callable[..., Facts]:
    """``healthy(stage, **changes)``: a look at a run that has nothing wrong with it."""

    def make(stage: str = "evalaux", row: dict[str, Any] | None = None, **changes: Any) -> Facts:
        newest = {
            "step": 1001, "time": NOW - 20, "train/policy_loss": 0.5, "train/value_loss": 0.2,
            "stats/total_games": 117_376,
            "stats/eval_aux_mix_ratio": 0.05 if stage == "evalaux" else 0.0,
            "stats/eval_aux_policy_weight": 0.0,
        }  # fmt: skip
        base: dict[str, Any] = {
            "experiment": make_experiment(),
            "now": NOW,
            "here": HERE,
            "state": {"step": 1000, "total_games": 117_000, "updated_unix": NOW - 90},
            "config": CONFIG,
            "bootstrap_config": CONFIG,
            "producers": (SELFPLAY, EVALAUX),
            "rows": (newest | (row or {}),),
            "runs": (run(stage),),
            "process": 7,
            "settings": {"push_every": 25, "wandb": False},
        }
        return Facts(**(base | changes))

    return make


def checks(facts: Facts) -> dict[str, Check]:
    return {check.name: check for check in run_checks(facts)}


@pytest.mark.parametrize("stage", ["selfplay", "evalaux"])
def test_nothing_is_wrong_with_a_healthy_run(healthy: Callable[..., Facts], stage: str) -> None:
    facts = healthy(stage)
    assert [check for check in run_checks(facts) if check.state == "wrong"] == []
    status = status_of(facts)
    assert status.to_json()["ok"] is True
    assert status.stage == stage


def test_the_documents_verification_steps_are_answered(healthy: Callable[..., Facts]) -> None:
    found = checks(healthy("evalaux"))
    assert found["self-play files"].found == "40, newest 1 min old, 1 workers"
    assert found["eval-aux files"].state == "ok"
    assert found["eval mix"] == Check("eval mix", "ok", "mix(self/eval)=0.95/0.05")
    assert found["eval-aux policy weight"].found == "eval_aux_policy_w=0"
    assert found["learner"].found == "process 7 on here, last sign 20 s ago"
    assert found["training"].found == "cycle 1001: policy_loss=0.5000, value_loss=0.2000"
    assert found["published weights"].found == "step 1000, 117,000 games"


@pytest.mark.parametrize(
    ("age", "push_seconds", "state"), [(90, 0, "wrong"), (50, 0, "ok"), (200, 60, "ok")]
)
def test_weights_are_late_by_the_clock_too(
    healthy: Callable[..., Facts], age: int, push_seconds: int, state: str
) -> None:
    """Cycles of milliseconds outrun every push, and pushes are held back where commits count."""
    found = checks(healthy(
        row={"step": 1200},
        state={"step": 1000, "total_games": 1, "updated_unix": NOW - age},
        settings={"push_every": 25, "push_seconds": push_seconds, "wandb": False},
    ))  # fmt: skip
    assert found["published weights"].state == state


WRONG: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("evalaux", {"process": None}, "learner", "not running", "learn first --stage evalaux"),
    ("selfplay", {"process": None}, "learner", "not running", "learn first --stage selfplay"),
    ("evalaux", {"producers": (SELFPLAY,)}, "eval-aux files", "none", "--mode eval-aux"),
    ("evalaux", {"producers": (EVALAUX,)}, "self-play files", "none", "--worker-id worker-0"),
    ("evalaux", {"producers": (worker("worker-0", "selfplay-mcts", last_unix=NOW - 4000), EVALAUX)},
     "self-play files", "newest 1 h 6 min old", "look at the workers' logs"),
    ("evalaux", {"row": {"stats/eval_aux_mix_ratio": 0.0}}, "eval mix", "1.00/0.00",
     "--eval-aux-max-model-lag"),
    ("selfplay", {"row": {"stats/eval_aux_mix_ratio": 0.05}}, "eval mix", "0.95/0.05",
     "--stage selfplay"),
    ("evalaux", {"row": {"stats/eval_aux_policy_weight": 0.5}}, "eval-aux policy weight",
     "eval_aux_policy_w=0.5", "--eval-aux-policy-weight 0"),
    ("evalaux", {"producers": (SELFPLAY, worker("evalaux-0", "eval-eq-zeb", model_step=600))},
     "workers' weights", "evalaux-0: step 600 of 1000", "restart evalaux-0"),
    ("evalaux", {"producers": (SELFPLAY, EVALAUX, worker("w9", "selfplay-mcts", weights_name="x"))},
     "namespace", "w9 plays for 'x', not 'first'", "--weights-name first"),
    ("evalaux", {"refused": ((NOW - 50, "w.pt is refused: its weights_name is 'b'"),)},
     "refused files", "1 in the last day; the newest: w.pt is refused", "update it"),
    ("evalaux", {"row": {"step": 1200}}, "published weights", "200 cycles behind the learner",
     "push error"),
    ("evalaux", {"config": CONFIG | {"embed_dim": 32}}, "bootstrap", "another network",
     "under a new name"),
    ("evalaux", {"state": None, "config": None}, "published weights", "none yet", "learn first"),
    ("evalaux", {"row": {"time": NOW - 4000}, "state": {"step": 1000, "total_games": 1}}, "learner",
     "though there are new files", "look at its log"),
    ("evalaux", {"process": None, "runs": (run("evalaux", reason="failed: out of memory",
                                               exit_code=1, ended=NOW - 9),)},
     "last run", "failed: out of memory", "it continues where it was"),
    ("evalaux", {"process": None}, "last run", "did not end cleanly", "continues"),
    ("evalaux", {"exchange_errors": ("weights: the Hub is not there",), "state": None},
     "weights place", "the Hub is not there", "zebfast doctor"),
    ("evalaux", {"state": {"step": 1000, "total_games": 1, "problems": [
        {"unix": NOW - 30, "line": "push error (will retry): 503"}]}}, "learner's log",
     "push error", "look at the learner's log"),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "changes", "name", "found", "fix"), WRONG)
def test_what_is_wrong_is_named_with_its_fix(
    healthy: Callable[..., Facts], stage: str, changes: dict[str, Any], name: str, found: str,
    fix: str,
) -> None:  # fmt: skip
    check = checks(healthy(stage, **changes))[name]
    assert check.state == "wrong"
    assert found in check.found
    assert fix in check.fix


def test_things_that_are_not_there_yet_are_not_wrong(healthy: Callable[..., Facts]) -> None:
    facts = healthy(
        "evalaux", producers=(), rows=(), runs=(run("evalaux", started=NOW - 100),),
        state={"step": 0, "total_games": 0},
    )  # fmt: skip
    found = checks(facts)
    assert [name for name, check in found.items() if check.state == "wrong"] == []
    assert {found[name].state for name in ("training", "self-play files", "eval mix")} == {"wait"}


def test_the_kill_switch_leaves_eval_aux_files_unused(healthy: Callable[..., Facts]) -> None:
    check = checks(healthy("selfplay"))["eval-aux files"]
    assert (check.state, check.found) == ("off", "not used in this stage; 40 are there, unused")


def test_a_place_that_cannot_be_reached_says_nothing_about_what_is_in_it(
    healthy: Callable[..., Facts],
) -> None:
    errors = ("weights: no network", "examples: no network")
    found = checks(healthy("evalaux", exchange_errors=errors, state=None, producers=()))
    assert found["published weights"].state == found["self-play files"].state == "wait"
    assert found["weights place"].state == found["examples place"].state == "wrong"


def test_a_learner_elsewhere_is_known_by_what_it_publishes(healthy: Callable[..., Facts]) -> None:
    def where(**state: Any) -> str | None:
        facts = healthy("evalaux", process=None, rows=(), state={"step": 9, **state})
        return status_of(facts).learner.where

    lease = {"owner": "rig", "id": "1", "renewed": NOW - 100}
    assert where(learner=lease) == "on rig"
    assert where(learner=lease | {"renewed": NOW - 3600}) is None
    assert where(learner=lease | {"owner": HERE}) is None, "its process would be seen"
    assert where(running=True, host="rig", updated_unix=NOW - 60) == "on rig"
    assert where(running=True, host="rig", updated_unix=NOW - 6000) is None
    assert where(running=False, host="rig", updated_unix=NOW - 60) is None


def test_away_from_the_metrics_the_published_figures_are_shown(
    healthy: Callable[..., Facts],
) -> None:
    learning = {"cycle": 77, "policy_loss": 0.5, "value_loss": 0.25, "eval_aux_mix_ratio": 0.05,
                "eval_aux_policy_weight": 0.0}  # fmt: skip
    state = {"step": 75, "total_games": 500, "learning": learning, "wandb_url": "https://w/r"}
    status = status_of(healthy("evalaux", rows=(), state=state))
    assert (status.learner.cycle, status.learner.games) == (77, 500)
    assert (status.learner.policy_loss, status.learner.eval_mix) == (0.5, 0.05)
    assert status.wandb == "https://w/r"


def test_streams_and_workers_are_summed(healthy: Callable[..., Facts]) -> None:
    second = worker("worker-1", "selfplay-mcts", n_files=2, last_unix=NOW - 5, games_per_s=1.0)
    unread = Producer("evalaux-1", n_files=3, last_unix=NOW - 9)
    status = status_of(healthy("evalaux", producers=(SELFPLAY, second, EVALAUX, unread)))
    own, aux = status.streams
    assert (own.n_files, own.n_workers, own.seconds_since) == (42, 2, 5.0)
    assert own.games_per_s == pytest.approx(4.5)
    assert (aux.source, aux.n_files) == ("eval-eq-zeb", 43)
    assert [w.behind for w in status.workers] == [0, 0, 0, None]


def test_files_that_wait_for_their_upload(healthy: Callable[..., Facts]) -> None:
    check = checks(healthy(waiting=(NOW - 700, NOW - 5)))["uploads"]
    assert (check.state, check.found) == ("wait", "2 files of this machine wait, the oldest for "
                                          "11 min")  # fmt: skip
    assert checks(healthy(waiting=(NOW - 7000,)))["uploads"].state == "wrong"


def test_a_learner_started_without_the_experiment_says_its_stage(
    healthy: Callable[..., Facts],
) -> None:
    def stage(**learning: Any) -> str | None:
        return status_of(healthy(runs=(), state={"step": 1, "learning": learning})).stage

    assert stage(eval_aux_enabled=True) == "evalaux"
    assert stage(eval_aux_enabled=False) == "selfplay"
    assert stage() is None


def test_last_run_counts_incidents(healthy: Callable[..., Facts]) -> None:
    met = (LoggedIncident(NOW - 70, "pause", "training paused"),)
    found = checks(healthy("evalaux", runs=(run("evalaux", incidents=met),)))["last run"]
    assert (found.state, found.found) == ("ok", "evalaux, running, 1 incidents")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "4 s"), (61, "1 min"), (3600, "1 h 0 min"), (12_060, "3 h 21 min"), (190_000, "2 d 4 h")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text
