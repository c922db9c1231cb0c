"""What the workers say of themselves: who lives, who has failed, who has fallen silent."""

from __future__ import annotations

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.uploader import upload_interval_for
from zebfast.experiment.check import SILENT_SECONDS, Check, age
from zebfast.experiment.facts import Facts, Producer
from zebfast.experiment.signs import stream_of
from zebfast.experiment.stream_checks import unreached
from zebfast.selfplay.examples import SOURCE_EVAL

GONE_SECONDS = 7200.0  # whoever has been silent for so long was ended or replaced
_UPLOADS_MISSED = 2.5
_NAMED = 3


def beat_age(facts: Facts, beat: Heartbeat) -> float:
    """Seconds since a sign of life, by this machine's clock."""
    return max(0.0, facts.now - beat.unix)


def recent_beats(facts: Facts) -> list[Heartbeat]:
    """Of workers that are not long gone, the newest first."""
    recent = [beat for beat in facts.heartbeats.values() if beat_age(facts, beat) <= GONE_SECONDS]
    return sorted(recent, key=lambda beat: beat.unix, reverse=True)


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
    kinds = dict.fromkeys("evalaux" if beat_stream(b) == SOURCE_EVAL else first for b in bad)
    rented = " and ".join(f"zebfast fleet replenish {name} --role {kind}" for kind in kinds)
    return f"see the log of {bad[0].worker_id}, and start it again; of rented workers: {rented}"
