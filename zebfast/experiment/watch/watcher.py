"""One look of a watcher at one experiment: judge, do what it was told to, tell, remember.

Safe to run again and again and twice at once: what was done and told is remembered under a lock,
and a second watcher at the same time only looks.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from zebfast.exchange import ExchangeError
from zebfast.experiment.experiment import Experiment
from zebfast.experiment.runlog import RunLog
from zebfast.experiment.status.liveness import age
from zebfast.experiment.status.snapshot import Facts
from zebfast.experiment.watch.progress import marks_of, remember, without_old
from zebfast.experiment.watch.restart import (
    Patience,
    RestartFailed,
    restart_learner,
    restart_problem,
    run_command,
)
from zebfast.experiment.watch.state import (
    WATCH_FILE,
    WATCH_LOCK,
    WatchState,
    due,
    load_state,
    save_state,
)
from zebfast.experiment.watch.verdict import Limits, Verdict, judge
from zebfast.experiment.watch.wandb_status import WandbStatus, WandbUnread, ask, run_path
from zebfast.system.clock import boot_id
from zebfast.system.locks import hold_lock
from zebfast.system.webhook import WebhookError, host_of, post

_LOG = logging.getLogger(__name__)

# --- What a watcher is told to do, how it looks, and what comes of a look.

Act = Literal["replenish", "restart-learner"]


class LookFailed(ExchangeError):
    """One sentence: why nothing could be found out."""


@dataclass(frozen=True)
class WatchConfig:
    """What a watcher is to do besides looking.

    Attributes:
        limits: when something counts as stalled.
        wandb: ask W&B, too.
        notify: address to post each change of the verdict to; a secret.
        remind: seconds after which a bad verdict is posted again.
        restart_command: restarts the learner in place of this program.
        dry_run: only say what would be done; nothing is remembered either.
    """

    limits: Limits = field(default_factory=Limits)
    wandb: bool = False
    notify: str | None = None
    remind: float = 21_600.0
    acts: frozenset[Act] = frozenset()
    restart_command: str | None = None
    dry_run: bool = False
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Means:
    """How it looks and what it starts.

    Attributes:
        look: one look; raises LookFailed.
        learn: the command that starts the learner as it was started last.
        replenish: the command that brings the fleet back to its number.
        now: unix seconds; ``steady`` seconds tell when that clock was set.
        interrupting: context of what a stop may end in the middle: all that only looks or tells,
            not what stops and starts the learner.
    """

    look: Callable[[], Facts]
    learn: Callable[[Facts], Sequence[str]]
    replenish: Sequence[str]
    now: Callable[[], float]
    steady: Callable[[], float] | None = None
    interrupting: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Watched:
    """What came of one look; ``did`` are sentences, ``told`` whether a notification went out."""

    experiment: str
    verdict: Verdict
    since: float
    looked: float
    did: tuple[str, ...] = ()
    told: bool = False

    def to_json(self) -> dict[str, Any]:
        verdict = asdict(self.verdict)
        return {
            "experiment": self.experiment,
            "verdict": verdict.pop("state"),
            **verdict,
            "since_unix": round(self.since, 3),
            "looked_unix": round(self.looked, 3),
            "did": list(self.did),
            "told": self.told,
        }


_REPLENISH_SECONDS = 900.0


class WatcherBusy(ExchangeError):
    """Another watcher has this experiment now."""


def watch_once(experiment: Experiment, config: WatchConfig, means: Means) -> Watched:
    """Look once and act on it. Raises OSError where nothing can be written here."""

    def busy(owner: str) -> WatcherBusy:
        return WatcherBusy(f"another watcher (process {owner}) has {experiment.name!r}")

    try:
        with hold_lock(experiment.directory / WATCH_LOCK, busy=busy):
            return _Look(experiment, config, means).run()
    except WatcherBusy as error:
        _LOG.info(f"{error}: this one only looks")
        idle = replace(config, notify=None, acts=frozenset(), dry_run=True)
        return _Look(experiment, idle, means).run()


class _Look:
    """The steps of one look, which share what it found."""

    def __init__(self, experiment: Experiment, config: WatchConfig, means: Means) -> None:
        self.experiment, self.config, self.means = experiment, config, means
        self.path = experiment.directory / WATCH_FILE
        self.state = load_state(self.path)
        self.did: list[str] = []

    def run(self) -> Watched:
        now = self.means.now()
        if self.means.steady is not None:
            self.state = self.state.at(now, steady=self.means.steady(), boot=boot_id())
        facts: Facts | None = None
        seen = dict(self.state.seen)
        try:
            with self.means.interrupting():
                facts = self.means.look()
                wandb = self._ask_wandb(facts)
            marks = marks_of(facts, wandb)
            seen = remember(seen, marks, looked=self.state.looked, now=now)
            facts = replace(facts, seen=seen)
            restarting = self.state.is_restarting(facts.runs)
            limits = self.config.limits
            verdict = judge(facts, seen, limits, wandb=wandb, restarting=restarting)
        except LookFailed as error:
            verdict = Verdict("unknown", "unreached", str(error))
        self._keep(self.state.after(verdict, without_old(seen, now), now))
        if facts is not None:
            self._act(facts, verdict)
        told = self._tell(verdict, now)
        name, since = self.experiment.name, self.state.since
        return Watched(name, verdict, since, now, tuple(self.did), told)

    def _ask_wandb(self, facts: Facts) -> WandbStatus | None:
        if not self.config.wandb:
            return None
        path = run_path(facts.state, self.experiment.wandb_project)
        try:
            if path is not None:
                return ask(path)
            problem = "no W&B run is known yet"
        except WandbUnread as error:
            problem = str(error)
        _LOG.info(f"{self.experiment.name}: {problem}")
        return None

    def _keep(self, state: WatchState) -> bool:
        """Remember; a full disk, of which people should hear, must not end the look."""
        self.state = state
        if self.config.dry_run:
            return True
        try:
            save_state(self.path, state)
        except OSError as error:
            _LOG.info(f"{self.path} cannot be written: {error.strerror or error}")
            return False
        return True

    def _act(self, facts: Facts, verdict: Verdict) -> None:
        acts = self.config.acts
        # One that waits for workers is left alone: a restart mends nothing there.
        if "restart-learner" in acts and verdict.cause in ("dead", "frozen"):
            self._restart(facts, verdict)
        # Hosts cost money: they are only made up for while there is a learner for their games.
        if "replenish" in acts and (verdict.state == "healthy" or verdict.cause == "no examples"):
            self._replenish()

    def _restart(self, facts: Facts, verdict: Verdict) -> None:
        problem = restart_problem(facts, self.state.restarts)
        if problem:
            self._note(f"the learner is not restarted: {problem}")
            return
        command, own = self.config.restart_command, self.means.learn(facts)
        if self.config.dry_run:
            self._note(f"would restart the learner: {command or ' '.join(own)}")
            return
        # Remembered first: what this ends must not look as if somebody had ended it on purpose.
        if not self._keep(self.state.restarted(self.means.now())):
            self._note("the learner is not restarted: that could not be remembered")
            return
        try:
            # Into the record of the run that this ends.
            run, line = (
                facts.runs[-1].id,
                f"restarted by zebfast experiment watch: {verdict.reason}",
            )
            log = RunLog(self.experiment.run_log)
            log.event("incident", run=run, kind="restart", line=line)
            if command:
                run_command(self.experiment, command, self.config.patience)
                self._note(f"restarted the learner by: {command}")
            else:
                patience = self.config.patience
                process = restart_learner(self.experiment, facts.process, own, patience)
                self._note(f"restarted the learner (process {process})")
        except (RestartFailed, OSError) as error:
            self._note(f"the learner is not restarted: {error}")

    def _replenish(self) -> None:
        command = list(self.means.replenish)
        if self.config.dry_run:
            self._note(f"would replenish the fleet: {' '.join(command)}")
            return
        try:
            with self.means.interrupting():
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                    timeout=_REPLENISH_SECONDS,
                )  # fmt: skip
        except subprocess.TimeoutExpired:
            self._note(f"replenishing the fleet took over {age(_REPLENISH_SECONDS)}: given up")
            return
        for line in [*done.stdout.splitlines(), *done.stderr.splitlines()]:
            _LOG.info(f"  {line}")
        if done.returncode == 0:
            self._note("replenished the fleet")
            return
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        self._note(f"the fleet is not replenished: {last}")

    def _note(self, line: str) -> None:
        self.did.append(line)
        _LOG.info(f"{self.experiment.name}: {line}")

    def _tell(self, verdict: Verdict, now: float) -> bool:
        """Post the verdict if it is news; what cannot be delivered is tried at the next look."""
        url, patience = self.config.notify, self.config.limits.stall
        if url is None:
            return False
        why = due(self.state, verdict, now, remind=self.config.remind, patience=patience)
        if why is None:
            if self.state.told is None and not verdict.is_bad:
                self._keep(self.state.notified(verdict, now))
            return False
        how = f"{verdict.state} again" if verdict.state == "healthy" else verdict.state
        if why == "reminder":
            how = f"still {verdict.state}, for {age(now - self.state.since)}"
        did, name = "".join(f"; {line}" for line in self.did), self.experiment.name
        text = f"{name} is {how}: {verdict.reason}{did}"[:1500]  # short enough for any service
        if self.config.dry_run:
            _LOG.info(f"would tell {host_of(url)}: {text}")
            return False
        facts = {"experiment": name, "verdict": verdict.state, "cause": verdict.cause,
                 "reason": verdict.reason, "did": self.did,
                 "since_unix": round(self.state.since, 3)}  # fmt: skip
        try:
            with self.means.interrupting():
                post(url, {"text": text, "content": text, **facts})
        except WebhookError as error:
            _LOG.info(f"{name}: {error}; the next look tries again")
            return False
        self._keep(self.state.notified(verdict, now))
        return True
