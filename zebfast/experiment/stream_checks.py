"""Checks of the two streams of examples: is there new work, of the right kind, and is it used?"""

from __future__ import annotations

from zebfast.experiment.check import SILENT_SECONDS, Check, age
from zebfast.experiment.commands import learn_command, worker_command
from zebfast.experiment.facts import Facts, Producer
from zebfast.experiment.record import Stage
from zebfast.experiment.signs import (
    has_all_games,
    last_cycle,
    policy_weight,
    stage_or_first,
    stream_of,
)
from zebfast.selfplay.examples import SOURCE_EVAL, SOURCE_SELFPLAY

REFUSED_SECONDS = 86_400.0  # a refused file is news for a day
WAITING_SECONDS = 3600.0  # the upload interval that a hundred workers would need
STEPS_BEHIND = 100  # a worker looks for weights far more often than this
_STREAM_NAMES: dict[Stage, str] = {
    "selfplay": "self-play files",
    "evalaux": "eval-aux files",
    "recipe": "example files",
}


def check_selfplay_files(facts: Facts) -> Check:
    return _files(facts, SOURCE_SELFPLAY, facts.experiment.own_stages[0])


def check_evalaux_files(facts: Facts) -> Check:
    if stage_or_first(facts) != "evalaux":
        n_files = sum(p.n_files for p in facts.producers if stream_of(p) == SOURCE_EVAL)
        found = "not used in this stage" + (f"; {n_files} are there, unused" if n_files else "")
        return Check(_STREAM_NAMES["evalaux"], "off", found)
    return _files(facts, SOURCE_EVAL, "evalaux")


def _files(facts: Facts, source: str, stage: Stage) -> Check:
    name, own = _STREAM_NAMES[stage], of_stream(facts, source)
    if unreached(facts, "examples"):
        return Check(name, "wait", "not reached")
    if has_all_games(facts):
        return Check(name, "off", "no more are needed: the recipe has all its games")
    fix = worker_command(facts.experiment, stage)
    if not own:
        started = facts.runs[-1].started if facts.runs else None
        if started is None or facts.now - started < SILENT_SECONDS:
            return Check(
                name, "wait", "none yet; the first come minutes after a worker starts", fix
            )
        return Check(name, "wrong", "none", fix)
    n_files, newest = sum(p.n_files for p in own), facts.now - max(p.last_unix for p in own)
    found = f"{n_files}, newest {age(max(0.0, newest))} old, {len(own)} workers"
    if newest > SILENT_SECONDS:
        return Check(name, "wrong", found, f"look at the workers' logs, or start one: {fix}")
    return Check(name, "ok", found)


def check_mix(facts: Facts) -> Check:
    name, row = "eval mix", last_cycle(facts)
    if row.get("stats/eval_aux_mix_ratio") is None:
        return Check(name, "wait", "no cycle yet")
    ratio = float(row["stats/eval_aux_mix_ratio"])
    found = f"mix(self/eval)={1 - ratio:.2f}/{ratio:.2f}"
    if (stage := stage_or_first(facts)) != "evalaux":
        fix = learn_command(facts.experiment, stage)
        return Check(name, "off" if ratio == 0 else "wrong", found, fix if ratio else "")
    if ratio > 0:
        return Check(name, "ok", found)
    if not of_stream(facts, SOURCE_EVAL):
        return Check(name, "wait", f"{found}: no eval-aux files yet")
    return Check(
        name, "wrong", f"{found}, though there are eval-aux files",
        "they are too old or not counted yet: look for `eval_aux` in the learner's log, check that "
        "its eval-aux worker pulls new weights, or raise --eval-aux-max-model-lag",
    )  # fmt: skip


def check_policy_weight(facts: Facts) -> Check:
    name = "eval-aux policy weight"
    weight = policy_weight(facts)
    if weight is None:
        return Check(name, "off", "no learner has said yet")
    found = f"eval_aux_policy_w={weight:g}"
    if weight == 0 or stage_or_first(facts) != "evalaux":
        return Check(name, "ok", found)
    fix = f"unless it is meant: {learn_command(facts.experiment, 'evalaux')}"
    return Check(name, "wrong", found, f"{fix} --eval-aux-policy-weight 0")


def check_workers(facts: Facts) -> Check:
    name, step = "workers' weights", (facts.state or {}).get("step")
    active = [p for p in facts.producers if facts.now - p.last_unix <= SILENT_SECONDS]
    steps = {p.worker_id: p.model_step for p in active if p.model_step is not None}
    if step is None or not steps:
        return Check(name, "wait", "no worker has handed over anything lately")
    worker, oldest = min(steps.items(), key=lambda item: item[1])
    found = f"oldest {worker}: step {oldest} of {step}"
    if step - oldest > STEPS_BEHIND:
        return Check(name, "wrong", found, f"restart {worker}; it does not get the new weights")
    return Check(name, "ok", found)


def check_namespace(facts: Facts) -> Check:
    wanted = facts.experiment.namespace.stem
    for producer in facts.producers:
        if producer.weights_name not in (None, wanted):
            return Check(
                "namespace", "wrong",
                f"{producer.worker_id} plays for {producer.weights_name!r}, not {wanted!r}",
                f"stop it and start it with --weights-name {wanted}",
            )  # fmt: skip
    return Check("namespace", "ok", wanted)


def check_uploads(facts: Facts) -> Check:
    if not facts.waiting:
        return Check("uploads", "ok", "nothing waits on this machine")
    oldest = max(0.0, facts.now - facts.waiting[0])
    found = f"{len(facts.waiting)} files of this machine wait, the oldest for {age(oldest)}"
    if oldest <= WAITING_SECONDS:
        return Check("uploads", "wait", found)
    return Check(
        "uploads", "wrong", found,
        "see the log of the worker that runs here, and zebfast doctor; if none runs, start one for "
        "this namespace: it uploads them",
    )  # fmt: skip


def check_refused(facts: Facts) -> Check:
    recent = [reason for unix, reason in facts.refused if facts.now - unix < REFUSED_SECONDS]
    if not facts.refused:
        return Check("refused files", "ok", "none")
    if not recent:
        return Check("refused files", "ok", f"{len(facts.refused)}, none in the last day")
    return Check(
        "refused files", "wrong", f"{len(recent)} in the last day; the newest: {recent[0]}",
        "the worker it names writes what this learner cannot use: update it, or correct its "
        "--weights-name; the files are kept in bad/",
    )  # fmt: skip


def of_stream(facts: Facts, source: str) -> list[Producer]:
    return [producer for producer in facts.producers if stream_of(producer) == source]


def recently(facts: Facts, source: str) -> bool:
    return any(facts.now - p.last_unix < SILENT_SECONDS for p in of_stream(facts, source))


def unreached(facts: Facts, place: str) -> bool:
    """Could ``weights`` or ``examples`` not be read?"""
    return any(sentence.startswith(f"{place}: ") for sentence in facts.exchange_errors)
