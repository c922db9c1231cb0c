"""Weights & Biases, used only with ``--wandb``; the package is imported only then.

The service is a mirror of the local metrics file and never in the way of training. A thread hands
rows to W&B's own process, which uploads and retries; where that fails, the run goes on without, and
the next start sends the rows of the metrics file that the service does not have.
"""

from __future__ import annotations

import importlib
import json
import logging
import queue
import shlex
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zebfast.exchange.names import is_plain_name
from zebfast.learner.metrics import read_metrics
from zebfast.system.events import Incident, Row, emit
from zebfast.system.files import write_atomic
from zebfast.system.parse import parse_json

_LOG = logging.getLogger(__name__)

# --- Opening a W&B run with the real client: what its many errors mean, what is done about them.

# The x-axis; evaluations, which come after their cycle's row, count theirs apart.
CYCLE, EVALUATED = "cycle", "eval/cycle"
GAMES = "stats/total_games"

# Refusals that do not pass by themselves, as W&B words them.
_WRONG_KEY = ("error 401", "error 403")


class WandbError(RuntimeError):
    """One sentence: why no W&B run can be had until the user changes something, and what."""


def open_run(**arguments: Any) -> Any:
    """``wandb.init(**arguments)`` with the axes defined.

    Offline, which is told, if the service cannot be had; None if there is nothing to log to.

    Raises:
        WandbError: the package is missing, or the service does not accept the key.
    """
    try:
        wandb: Any = importlib.import_module("wandb")
    except ImportError:
        raise WandbError(
            "--wandb needs the wandb package: pip install 'zebfast[wandb]', or leave --wandb "
            "out (metrics go to the local JSONL file either way)"
        ) from None
    try:
        run = _start(wandb, **arguments)
        return None if getattr(run, "disabled", False) else run
    except Exception as error:  # wandb's errors come from many places
        reason = one_line(error)
        if _is_users_mistake(error):
            raise WandbError(
                f"W&B does not accept this machine's key ({reason}): log in with `wandb login` or "
                "set WANDB_API_KEY, set WANDB_MODE=offline, or leave --wandb out"
            ) from error
    try:
        wandb.teardown()  # its process holds the id of the run that could not be opened
        run = _start(wandb, mode="offline", **arguments)
    except Exception as error:
        _tell(
            f"W&B is left out of this run ({reason}; offline: {one_line(error)}); metrics go to "
            "the local JSONL file"
        )
        return None
    _tell(
        f"W&B cannot be reached ({reason}): going on offline. The next start that reaches it "
        f"sends what is missing; without one, `wandb sync {shlex.quote(str(files_of(run)))}` does"
    )
    return run


def _tell(text: str) -> None:
    emit(Incident(what="offline metrics", text=text))


def _start(wandb: Any, **arguments: Any) -> Any:
    run = wandb.init(**arguments)
    for axis in (CYCLE, GAMES):
        run.define_metric(axis)
    run.define_metric("*", step_metric=CYCLE)
    return run


def _is_users_mistake(error: Exception) -> bool:
    """No key, one of the wrong form, or one that the service refuses."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"AuthenticationError", "UsageError"}:
        return True
    return "CommError" in kinds and any(words in str(error) for words in _WRONG_KEY)


def one_line(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]


def files_of(run: Any) -> Path:
    """The directory of a run, which ``wandb sync`` takes."""
    return Path(run.dir).parent


def kill_process() -> None:
    """Kill W&B's own process, which does not answer: its client waits for it at exit."""
    # There is no public way to it; where this one has gone, the wait is all that is lost.
    with suppress(Exception):
        setup = importlib.import_module("wandb.sdk.wandb_setup")
        setup.singleton()._connection._proc._process.kill()


# --- What a W&B run has been given from this machine, for a start that cannot ask the service.

_OPEN = "open_directory"
_PUT_AWAY = "killed-"


class SentRows:
    """``sent-RUN.json`` in W&B's directory: by kind of row, the last cycle that the run has."""

    def __init__(self, directory: Path, run_id: str | None) -> None:
        self.directory = directory
        self.path = directory / f"sent-{run_id}.json"

    def read(self) -> dict[str, int] | None:
        """None when nothing is known of this run here."""
        content = self._content()
        cycles = {k: v for k, v in content.items() if isinstance(v, int)}
        return cycles if content else None

    def write(self, cycles: dict[str, int], *, open_directory: str | None = None) -> None:
        """Remember; ``open_directory`` is that of an offline run still to be ended. OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps({**cycles, _OPEN: open_directory}).encode())

    def put_away_killed(self) -> None:
        """Rename the offline run that was not ended, if there is one. Raises OSError."""
        name = self._content().get(_OPEN)
        if isinstance(name, str) and is_plain_name(name):
            with suppress(FileNotFoundError):
                (self.directory / name).rename(self.directory / f"{_PUT_AWAY}{name}")

    def _content(self) -> dict[str, Any]:
        try:
            content = parse_json(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


# Rows that may wait for W&B's process; it takes thousands a second.
_MAX_WAITING = 1_000
# How long the client may take beyond its own limit before it is given up as dead.
_GRACE_SECONDS = 10.0


class WandbMetrics:
    """A W&B run whose x-axis is the cycle number, so that a resumed run continues its curves.

    Every row has the games played, too, which can be chosen as the axis of a panel instead. W&B
    can only append, so a cycle that the run has is not sent again: a learner that was killed
    repeats the cycles after its last checkpoint, and the rows of the first time stay.

    Args:
        project: W&B project.
        name: display name of a new run, or None for W&B's own.
        run_id: run to resume if it exists (``resume="allow"``), or None for a new one.
        config: plain values recorded with the run.
        directory: where W&B keeps its local files.
        metrics_path: the local metrics file, as the learner continues it.
        finish_seconds: how long ``close`` waits for the upload.

    Raises:
        WandbError: the package is missing, or the service does not accept the key.
    """

    def __init__(
        self,
        *,
        project: str,
        name: str | None,
        run_id: str | None,
        config: Mapping[str, Any],
        directory: Path,
        metrics_path: Path,
        finish_seconds: float = 30.0,
    ) -> None:
        self._finish_seconds = finish_seconds
        self._given_id = run_id
        settings = {"console": "off", "save_code": False}
        settings |= {"finish_timeout": finish_seconds, "finish_timeout_raises": True}
        self._run = open_run(
            project=project,
            name=name,
            id=run_id,
            resume="allow",
            config=dict(config),
            dir=str(directory),
            settings=settings,
        )
        self._record = SentRows(directory / "wandb", self.run_id)
        self._sent: dict[str, int] = {}
        self._trouble: str | None = None
        self._rows: queue.Queue[tuple[int, Mapping[str, Any]] | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        if self._run is not None:
            before = self._begin(metrics_path)
            self._thread = threading.Thread(target=self._work, args=(before,), daemon=True)
            self._thread.start()

    def _begin(self, metrics_path: Path) -> list[dict[str, Any]]:
        """Find out what the run has; the rows of the metrics file, if it may lack some."""
        try:
            sent = self._sent_before()
            self._sent = sent or {}
            self._note_sent()
        except Exception as error:  # wandb's errors come from many places
            self._give_up(one_line(error))
            return []
        return [] if sent is None else read_metrics(metrics_path)

    @property
    def run_id(self) -> str | None:
        """Id by which a later start resumes the run; without a run, the one that was given."""
        return self._given_id if self._run is None else str(self._run.id)

    @property
    def url(self) -> str | None:
        """Address of the run; None where it has none (offline, disabled)."""
        # Asking an offline run for its address makes W&B print a warning.
        if self._run is None or getattr(self._run, "offline", False):
            return None
        return str(self._run.url)

    @property
    def place(self) -> str:
        """Where the run is, for people: its address, or the directory of its files."""
        return self.url or ("none" if self._run is None else str(files_of(self._run)))

    def log(self, step: int, row: Row) -> None:
        """Hand over one row, without waiting for anything."""
        if self._thread is None:
            return
        try:
            self._rows.put_nowait((step, row))
        except queue.Full:
            self._give_up("its process does not answer")

    def close(self) -> None:
        """End the run; waits for its upload so long and not longer."""
        if self._thread is None:
            return
        try:
            self._rows.put_nowait(None)
            self._thread.join(self._finish_seconds + _GRACE_SECONDS)
        except queue.Full:
            self._give_up("its process does not answer")
        if self._thread.is_alive():
            self._give_up("its process does not answer")
            kill_process()

    def _give_up(self, reason: str) -> None:
        """Send no more: rows after a gap would hide from the next start that there is one."""
        if self._trouble is None:
            self._trouble = reason
            _tell(f"W&B did not take all metrics ({reason}): the next start sends what is missing")

    # --- in the thread ---

    def _work(self, before: list[dict[str, Any]]) -> None:
        try:
            self._send_missing(before)
            while (item := self._rows.get()) is not None:
                if self._hand_over(*item) and self.url:
                    self._note_sent()
            self._run.finish()
            if self._trouble is None:
                self._note_sent(ended=True)
        except Exception as error:  # as above
            self._give_up(one_line(error))

    def _send_missing(self, before: list[dict[str, Any]]) -> None:
        n_missing = 0
        for row in before:
            told = {name: value for name, value in row.items() if name not in ("step", "time")}
            n_missing += self._hand_over(row["step"], told)
        if n_missing and self._given_id is not None:
            _LOG.info(f"W&B lacked {n_missing} rows of the metrics file: sent")
        if n_missing and self.url:
            self._note_sent()

    def _sent_before(self) -> dict[str, int] | None:
        """By kind of row, the last cycle that the run has; None if that cannot be known."""
        if self._given_id is None:
            return {}
        if self.url:
            # What the service has, not what it was sent: a killed process loses some of that.
            summary = self._run.summary
            return {kind: int(summary.get(kind, -1)) for kind in (CYCLE, EVALUATED)}
        try:
            self._record.put_away_killed()
        except OSError as error:
            _LOG.warning(f"a killed offline run stays in {self._record.directory}: {error}")
        return self._record.read()

    def _hand_over(self, step: int, row: Row) -> bool:
        """Give one row to W&B's process; False if the run has it."""
        told: dict[str, Any] = {n: value for n, value in row.items() if value is not None}
        told[CYCLE], kind = step, CYCLE
        if any(name.startswith("eval/") for name in told):
            told[EVALUATED], kind = step, EVALUATED
        if self._trouble is not None or step <= self._sent.get(kind, -1):
            return False
        self._run.log(told)
        self._sent[kind] = step
        return True

    def _note_sent(self, *, ended: bool = False) -> None:
        """Remember on this machine what the run has; offline, only what was ended is safe."""
        is_open = not ended and not self.url
        self._record.write(self._sent, open_directory=files_of(self._run).name if is_open else None)
