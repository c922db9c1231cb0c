"""Is everything as it should be? One check for each thing the operating documents have people do.

Each is a pure function of one look. It says what it found and, where that is wrong, the command or
the sentence that mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.hub.uploader import upload_interval_for
from zebfast.exchange.lease import Lease
from zebfast.experiment.commands import learn_command, worker_command
from zebfast.experiment.runlog import RUNNING, ending
from zebfast.experiment.status.liveness import (
    LEASE_MARK,
    SILENT_SECONDS,
    STATE_MARK,
    Check,
    age,
    beat_mark,
    files_age,
    files_mark,
    has_all_games,
    last_cycle,
    last_sign,
    learner_where,
    number,
    policy_weight,
    published_learning,
    recipe_is_done,
    stage_or_first,
    stream_of,
)
from zebfast.experiment.status.observed import SKEW_SECONDS
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, SELFPLAY, Role

# --- Checks of the two streams of examples: is there new work, of the right kind, and is it used?

REFUSED_SECONDS = 86_400.0  # a refused file is news for a day
WAITING_SECONDS = 3600.0  # the upload interval that a hundred workers would need
STEPS_BEHIND = 100  # a worker looks for weights far more often than this


def check_selfplay_files(facts: Facts) -> Check:
    return _files(facts, SELFPLAY.source, facts.experiment.own_stages[0])


def check_evalaux_files(facts: Facts) -> Check:
    if stage_or_first(facts) != EVAL_AUX.role:
        n_files = sum(p.n_files for p in facts.producers if stream_of(p) == EVAL_AUX.source)
        found = "not used in this stage" + (f"; {n_files} are there, unused" if n_files else "")
        return Check(EVAL_AUX.files, "off", found)
    return _files(facts, EVAL_AUX.source, EVAL_AUX.role)


def _files(facts: Facts, source: str, stage: Role) -> Check:
    name, own = BY_ROLE[stage].files, of_stream(facts, source)
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
    n_files, newest = sum(p.n_files for p in own), min(files_age(facts, p) for p in own)
    found = f"{n_files}, newest {age(newest)} old, {len(own)} workers"
    if newest > SILENT_SECONDS:
        return Check(name, "wrong", found, f"look at the workers' logs, or start one: {fix}")
    return Check(name, "ok", found)


def check_mix(facts: Facts) -> Check:
    name, row = "eval mix", last_cycle(facts)
    if row.get("stats/eval_aux_mix_ratio") is None:
        return Check(name, "wait", "no cycle yet")
    ratio = float(row["stats/eval_aux_mix_ratio"])
    found = f"mix(self/eval)={1 - ratio:.2f}/{ratio:.2f}"
    if (stage := stage_or_first(facts)) != EVAL_AUX.role:
        fix = learn_command(facts.experiment, stage)
        return Check(name, "off" if ratio == 0 else "wrong", found, fix if ratio else "")
    if ratio > 0:
        return Check(name, "ok", found)
    if not of_stream(facts, EVAL_AUX.source):
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
    if weight == 0 or stage_or_first(facts) != EVAL_AUX.role:
        return Check(name, "ok", found)
    fix = f"unless it is meant: {learn_command(facts.experiment, 'evalaux')}"
    return Check(name, "wrong", found, f"{fix} --eval-aux-policy-weight 0")


def check_workers(facts: Facts) -> Check:
    name, step = "workers' weights", (facts.state or {}).get("step")
    active = [p for p in facts.producers if files_age(facts, p) <= SILENT_SECONDS]
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


def unreached(facts: Facts, place: str) -> bool:
    """Could ``weights`` or ``examples`` not be read?"""
    return any(sentence.startswith(f"{place}: ") for sentence in facts.exchange_errors)


# --- What the workers say of themselves: who lives, who has failed, who has fallen silent.

GONE_SECONDS = 7200.0  # whoever has been silent for so long was ended or replaced
_UPLOADS_MISSED = 2.5
_NAMED = 3


def beat_age(facts: Facts, beat: Heartbeat) -> float:
    """Seconds since a sign of life, as this machine counts them where it has looked before."""
    return facts.seconds_since(beat_mark(beat), beat.unix)


def recent_beats(facts: Facts) -> list[Heartbeat]:
    """Of workers that are not long gone, the newest first."""
    recent = [beat for beat in facts.heartbeats.values() if beat_age(facts, beat) <= GONE_SECONDS]
    return sorted(recent, key=lambda beat: beat_age(facts, beat))


def silent_after(facts: Facts) -> float:
    """Seconds without a sign that no worker needs who lives; many share a quota of uploads."""
    if facts.experiment.examples.kind != "dataset":
        return SILENT_SECONDS
    return max(SILENT_SECONDS, _UPLOADS_MISSED * upload_interval_for(len(recent_beats(facts))))


def is_silent(facts: Facts, beat: Heartbeat) -> bool:
    """Does it say no more, though it has not said that it ended?"""
    return beat.phase not in ("stopped", "failed") and beat_age(facts, beat) > silent_after(facts)


def beat_stream(beat: Heartbeat) -> str:
    """Which of the two streams a worker adds to, or will add to."""
    return stream_of(Producer(beat.worker_id, 0, beat.unix, source=beat.source or None))


def check_heartbeats(facts: Facts) -> Check:
    name, beats = "heartbeats", recent_beats(facts)
    if unreached(facts, "examples"):
        return Check(name, "wait", "not reached")
    living = [b for b in beats if b.phase not in ("stopped", "failed") and not is_silent(facts, b)]
    failed = [beat for beat in beats if beat.phase == "failed"]
    silent = [beat for beat in beats if is_silent(facts, beat)]
    if not failed and not silent:
        if not beats:
            return Check(name, "off", "no worker has sent one lately")
        phases = [beat.phase for beat in living]
        counts = ", ".join(f"{phases.count(phase)} {phase}" for phase in dict.fromkeys(phases))
        return Check(name, "ok", counts or f"all {len(beats)} have stopped")
    told = [f"{beat.worker_id} failed {age(beat_age(facts, beat))} ago: {beat.error or 'no word'}"
            for beat in failed]  # fmt: skip
    told += [f"{b.worker_id} silent for {age(beat_age(facts, b))}, was {b.phase}" for b in silent]
    if len(told) > _NAMED:
        told = [*told[:_NAMED], f"and {len(told) - _NAMED} more"]
    return Check(
        name, "wrong", f"{len(living)} live; {'; '.join(told)}", _fix(facts, failed + silent)
    )


def _fix(facts: Facts, bad: list[Heartbeat]) -> str:
    """A fleet mends itself while it is watched; a worker of one's own has its log."""
    name = facts.experiment.name
    first = facts.experiment.own_stages[0]
    of_eval = {EVAL_AUX.source: EVAL_AUX.role}
    roles = dict.fromkeys(of_eval.get(beat_stream(each), first) for each in bad)
    rented = " and ".join(f"zebfast fleet replenish {name} --role {role}" for role in roles)
    return f"see the log of {bad[0].worker_id}, and start it again; of rented workers: {rented}"


def clocks_apart(facts: Facts) -> list[tuple[str, float]]:
    """Whose clock differs from this machine's, and by how many seconds it is ahead, at the least.

    One that is behind shows only to who has looked before.
    """
    state = facts.state or {}
    lease, updated = Lease.of(state), number(state.get("updated_unix"))
    told = [(beat.worker_id, beat_mark(beat), beat.unix) for beat in facts.heartbeats.values()]
    told += [(p.worker_id, files_mark(p), p.last_unix) for p in facts.producers]
    if lease is not None:
        told.append((f"the learner on {lease.owner}", LEASE_MARK, lease.renewed))
    if updated is not None:
        told.append((f"the learner on {state.get('host')}", STATE_MARK, updated))
    found: dict[str, float] = {}
    for who, mark, unix in told:
        seen = facts.seen.get(mark)
        ahead = unix - facts.now if seen is None or unix > facts.now else unix - seen.since
        if ahead > SKEW_SECONDS or (seen is not None and ahead < -SKEW_SECONDS):
            found.setdefault(who, ahead)
    return list(found.items())


def check_clocks(facts: Facts) -> Iterator[Check]:
    """Not a word where all agree."""
    if apart := clocks_apart(facts):
        told = [f"{who} is {age(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
                for who, ahead in apart[:_NAMED]]  # fmt: skip
        told += [f"and {len(apart) - _NAMED} more"] if len(apart) > _NAMED else []
        how = "their times are not believed" if len(apart) > 1 else "its times are not believed"
        yield Check("clocks", "ok", f"{', '.join(told)} of this machine: {how}")


_PUSHES_LATE, _PUSH_SECONDS = 3, 60.0
_MAX_LETTERS = 200


def run_checks(facts: Facts) -> Iterator[Check]:
    """Every check, in the order in which things must come to life."""
    for sentence in facts.exchange_errors:
        place, _, reason = sentence.partition(": ")
        yield Check(f"{place} place", "wrong", reason, "see zebfast doctor; what follows is older")
    for check in _CHECKS:
        yield check(facts)
    yield from check_clocks(facts)


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
    settings, updated = facts.settings or {}, number(state.get("updated_unix")) or 0.0
    seconds = facts.seconds_since(STATE_MARK, updated)
    allowed = _PUSH_SECONDS + _PUSHES_LATE * (number(settings.get("push_seconds")) or 0.0)
    # By cycles and by the clock, for a push may outlast short cycles.
    is_late = late > _PUSHES_LATE * (number(settings.get("push_every")) or 25) and seconds > allowed
    if is_late and learner_where(facts):
        return Check(
            "published weights", "wrong", f"{found}: {late} cycles behind the learner",
            "pushes fail: look for `push error` in the learner's log, and run zebfast doctor",
        )  # fmt: skip
    return Check("published weights", "ok", found)


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
    ages = [files_age(facts, p) for p in of_stream(facts, SELFPLAY.source)]
    if silent > SILENT_SECONDS > min(ages, default=SILENT_SECONDS):
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
    found = f"cycle {row['step']}: policy_loss={number(row.get('train/policy_loss')) or 0:.4f}"
    if row.get("train/value_loss") is not None:
        found += f", value_loss={row['train/value_loss']:.4f}"
    if waiting and learner_where(facts):
        return Check("training", "wait", f"{found}; {waiting}")
    return Check("training", "ok", found)


def _problems(facts: Facts) -> Check:
    """Lines of the learner's log that it thought worth publishing."""
    name, state = "learner's log", facts.state or {}
    listed = state.get("problems")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    if not entries:
        return Check(name, "ok", "no problems")
    told, updated = (number(each) for each in (entries[-1].get("unix"), state.get("updated_unix")))
    since = max(0.0, facts.now - (told or 0.0))
    if told and updated:  # both by the learner's clock
        since = max(0.0, updated - told) + facts.seconds_since(STATE_MARK, updated)
    found = f"{age(since)} ago: {str(entries[-1].get('line'))[:_MAX_LETTERS]}"
    if since > SILENT_SECONDS:
        return Check(name, "ok", found)
    return Check(name, "wrong", found, "look at the learner's log; passing faults mend themselves")


def _last_run(facts: Facts) -> Check:
    if not facts.runs:
        return Check("last run", "off", "none was started by zebfast experiment learn yet")
    run = facts.runs[-1]
    how = ending(run, facts.process, here=facts.here)
    found = f"{run.stage}, {how}, {len(run.incidents)} incidents"
    if run.exit_code in (0, 129, 130, 143) or how == RUNNING or learner_where(facts):
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
