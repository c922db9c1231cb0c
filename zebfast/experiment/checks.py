"""Is everything as it should be? One check for each thing the operating documents have people do.

Each is a pure function of one look. It says what it found and, where that is wrong, the command or
the sentence that mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zebfast.experiment.check import SILENT_SECONDS, Check, age
from zebfast.experiment.commands import learn_command
from zebfast.experiment.facts import Facts
from zebfast.experiment.heartbeat_checks import check_heartbeats
from zebfast.experiment.signs import (
    last_cycle,
    last_sign,
    learner_where,
    number,
    published_learning,
    recipe_is_done,
    stage_or_first,
)
from zebfast.experiment.stream_checks import (
    check_evalaux_files,
    check_mix,
    check_namespace,
    check_policy_weight,
    check_refused,
    check_selfplay_files,
    check_uploads,
    check_workers,
    recently,
    unreached,
)
from zebfast.experiment.summary import RUNNING, ending
from zebfast.selfplay.examples import SOURCE_SELFPLAY

_PUSHES_LATE, _PUSH_SECONDS = 3, 60.0
_MAX_LETTERS = 200


def run_checks(facts: Facts) -> Iterator[Check]:
    """Every check, in the order in which things must come to life."""
    yield from (_unreached(sentence) for sentence in facts.exchange_errors)
    for check in _CHECKS:
        yield check(facts)


def _unreached(sentence: str) -> Check:
    place, _, reason = sentence.partition(": ")
    return Check(f"{place} place", "wrong", reason, "see zebfast doctor; what follows is older")


def _bootstrap(facts: Facts) -> Check:
    experiment, name = facts.experiment, "bootstrap"
    if facts.bootstrap_config is not None:
        if facts.config is not None and dict(facts.config) != dict(facts.bootstrap_config):
            return Check(
                name, "wrong",
                f"{experiment.bootstrap.name} holds another network than the namespace",
                "this namespace belongs to something else: create the experiment under a new name",
            )  # fmt: skip
        return Check(name, "ok", str(experiment.bootstrap))
    if facts.state is not None or unreached(facts, "weights"):
        return Check(name, "off", "none here; it is needed only while nothing is published")
    return Check(
        name, "wrong", f"{experiment.bootstrap} is missing or damaged, and nothing is published",
        "put it back, or remove the experiment's directory and create it again",
    )  # fmt: skip


def _published(facts: Facts) -> Check:
    state = facts.state
    if state is None and unreached(facts, "weights"):
        return Check("published weights", "wait", "not reached")
    if state is None:
        fix = learn_command(facts.experiment, facts.experiment.own_stages[0])
        found = "none yet; the learner's first start publishes the bootstrap"
        return Check("published weights", "wrong" if facts.runs else "wait", found, fix)
    found = f"step {state.get('step', 0)}, {state.get('total_games', 0):,} games"
    if state.get("reverted_at") == state.get("step"):
        found += f", reverted to {state.get('reverted_to')} (step {state.get('reverted_to_step')})"
    late = (last_cycle(facts).get("step") or 0) - int(state.get("step", 0))
    if _is_late(facts, state, late) and learner_where(facts):
        return Check(
            "published weights", "wrong", f"{found}: {late} cycles behind the learner",
            "pushes fail: look for `push error` in the learner's log, and run zebfast doctor",
        )  # fmt: skip
    return Check("published weights", "ok", found)


def _is_late(facts: Facts, state: Mapping[str, Any], cycles: int) -> bool:
    """Whether pushes fail: by cycles and by the clock, for a push may outlast short cycles."""
    settings = facts.settings or {}
    if cycles <= _PUSHES_LATE * int(settings.get("push_every", 25)):
        return False
    seconds = facts.now - (number(state.get("updated_unix")) or 0.0)
    return seconds > _PUSH_SECONDS + _PUSHES_LATE * float(settings.get("push_seconds", 0.0))


def _learner(facts: Facts) -> Check:
    name, where, sign = "learner", learner_where(facts), last_sign(facts)
    seen = "" if sign is None else f", last sign {age(max(0.0, facts.now - sign))} ago"
    fix = learn_command(facts.experiment, stage_or_first(facts))
    if where is None and recipe_is_done(facts):
        return Check(name, "off", f"the recipe is done{seen}")
    if where is None:
        return Check(name, "wrong", f"not running{seen}", fix)
    started = facts.runs[-1].started if facts.runs else 0.0
    silent = facts.now - max(sign or 0.0, started)
    if silent > SILENT_SECONDS and recently(facts, SOURCE_SELFPLAY):
        return Check(
            name, "wrong", f"{where}{seen}, though there are new files",
            f"look at its log; stop it with Ctrl-C and go on with {fix}",
        )  # fmt: skip
    return Check(name, "ok", f"{where}{seen}")


def _training(facts: Facts) -> Check:
    row, waiting = last_cycle(facts), published_learning(facts).get("waiting")
    if not row:
        if learner_where(facts) is None:
            return Check("training", "off", "no cycle yet")
        return Check("training", "wait", waiting or "no cycle yet: it waits for enough examples")
    found = f"cycle {row['step']}: policy_loss={row['train/policy_loss']:.4f}"
    if row.get("train/value_loss") is not None:
        found += f", value_loss={row['train/value_loss']:.4f}"
    if waiting and learner_where(facts):
        return Check("training", "wait", f"{found}; {waiting}")
    return Check("training", "ok", found)


def _problems(facts: Facts) -> Check:
    """Lines of the learner's log that it thought worth publishing."""
    name, listed = "learner's log", (facts.state or {}).get("problems")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    if not entries:
        return Check(name, "ok", "no problems")
    since = facts.now - (number(entries[-1].get("unix")) or 0.0)
    found = f"{age(max(0.0, since))} ago: {str(entries[-1].get('line'))[:_MAX_LETTERS]}"
    if since > SILENT_SECONDS:
        return Check(name, "ok", found)
    return Check(name, "wrong", found, "look at the learner's log; passing faults mend themselves")


def _last_run(facts: Facts) -> Check:
    if not facts.runs:
        return Check("last run", "off", "none was started by zebfast experiment learn yet")
    run = facts.runs[-1]
    how = ending(run, facts.process, here=facts.here)
    found = f"{run.stage}, {how}, {len(run.incidents)} incidents"
    if run.exit_code in (0, 130, 143) or how == RUNNING or learner_where(facts):
        return Check("last run", "ok", found)
    fix = learn_command(facts.experiment, stage_or_first(facts))
    return Check("last run", "wrong", found, f"it continues where it was with {fix}")


def _wandb(facts: Facts) -> Check:
    state, wanted = facts.state or {}, (facts.settings or {}).get("wandb")
    found = state.get("wandb_url") or state.get("wandb_run_id")
    if found:
        return Check("W&B", "ok", str(found))
    if wanted is None or not wanted:
        return Check("W&B", "off", "not used; zebfast experiment plot draws the curves")
    return Check("W&B", "wait", "no run yet")


_CHECKS: tuple[Callable[[Facts], Check], ...] = (
    _bootstrap,
    _published,
    _learner,
    _training,
    check_selfplay_files,
    check_evalaux_files,
    check_mix,
    check_policy_weight,
    check_workers,
    check_heartbeats,
    check_namespace,
    check_uploads,
    check_refused,
    _problems,
    _last_run,
    _wandb,
)
