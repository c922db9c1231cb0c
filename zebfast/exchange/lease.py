"""A learner's hold on a namespace that other machines can see: an entry of the published state.

Two that share the entry are told apart by a value that each process makes at its start, so that a
copied state directory does not make two learners one: who started last has the namespace, and the
other sees a strange value before it next writes anything.

How long a hold has not been renewed is told by no other machine's clock: by the store's own times
where it has them, and by how long this machine has seen the entry rest.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import NamespaceBusy, brief
from zebfast.system.clock import Moment
from zebfast.system.events import Incident, emit
from zebfast.system.files import write_atomic
from zebfast.system.parse import is_moment, parse_json

KEY = "learner"
LEASE_SECONDS = 1800.0
_RENEWALS = 3  # in a lease's time, when nothing is published
_SKEW_SECONDS = 60.0  # by which clocks may differ without a word


@dataclass(frozen=True)
class Lease:
    """Who holds a namespace: ``owner`` for people, ``id`` of its state directory, unix seconds.

    ``process`` is made at its start; empty in entries of versions that made none.
    """

    owner: str
    id: str
    renewed: float
    process: str = ""

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> Lease | None:
        """The lease that a state names, if it names one that can be understood."""
        entry = (state or {}).get(KEY)
        if not isinstance(entry, dict) or not is_moment(entry.get("renewed")):
            return None
        owner, identity, process = (str(entry.get(key) or "") for key in ("owner", "id", "process"))
        return cls(owner, identity, float(entry["renewed"]), process)

    @property
    def holder(self) -> tuple[str, str]:
        """The same for as long as one process holds it."""
        return self.id, self.process


@dataclass(frozen=True)
class Idle:
    """For how many ``seconds`` a lease has rested, at the least, and how far its clock is ahead."""

    seconds: float
    ahead: float

    def __str__(self) -> str:
        text = f"last heard {self.seconds:.0f} s ago"
        if abs(self.ahead) > _SKEW_SECONDS:
            how = "ahead" if self.ahead > 0 else "behind"
            text += f"; its clock is {abs(self.ahead) / 3600:.1f} h {how} and counts for nothing"
        return text


class Sight:
    """What this machine has seen of another's lease, in a file: since when it is what it is."""

    def __init__(self, path: Path, place: str) -> None:
        self._path, self._place = path, place

    def idle(self, lease: Lease, *, times: tuple[float, float] | None) -> Idle:
        """How long it has rested; from now on this is remembered. Raises OSError.

        Args:
            times: now and when it was written, by the store's own clock; None where unknown.
        """
        seen = {"place": self._place, **asdict(lease)}
        rests = 0.0
        try:
            before = parse_json(self._path.read_bytes())
            if before["lease"] != seen:
                raise ValueError("another")
            rests = Moment(**before["since"]).seconds_ago()
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            record = {"lease": seen, "since": asdict(Moment.now())}
            write_atomic(self._path, json.dumps(record).encode())
        claimed = time.time() - lease.renewed
        if times is None:
            return Idle(max(rests, claimed), max(0.0, -claimed))
        now, written = times
        told = 0.0 if lease.process else claimed  # versions without it are judged as they were
        return Idle(max(rests, now - written, told), lease.renewed - written)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


class Holder:
    """This process's side of a lease, from before it is written until it is given up.

    ``seconds`` is how long a hold outlives its last renewal.
    """

    def __init__(self, owner: str, identity: str, place: str, *, seconds: float) -> None:
        self.owner, self.id, self.seconds = owner, identity, seconds
        self.process = secrets.token_hex(8)
        self._place = place
        self._found: Lease | None = None
        #: When the far side last got our lease, on the monotonic clock; 0 before it ever has.
        self.written_at = 0.0

    def renewed(self) -> dict[str, Any]:
        """The entry to write now."""
        return asdict(Lease(self.owner, self.id, round(time.time(), 1), self.process))

    def begin(
        self,
        state: Mapping[str, Any] | None,
        *,
        idle: Callable[[Lease], Idle] | None = None,
        take_over: bool = False,
    ) -> None:
        """Before anything is written: may this be the learner of the namespace in ``state``?

        Whoever has this process's own identity is its predecessor, or a copy, which then ends.

        Args:
            idle: how long a lease has rested; without it somebody else has seen to that.

        Raises:
            NamespaceBusy: somebody else is.
        """
        self._found = lease = Lease.of(state)
        if lease is None or lease.id == self.id or take_over or idle is None:
            return
        rests = idle(lease)
        if rests.seconds < self.seconds:
            raise self._busy(lease, rests)

    def check(self, state: Mapping[str, Any] | None) -> None:
        """Raise NamespaceBusy when ``state`` says that somebody else has begun since."""
        lease = Lease.of(state)
        if lease is not None and lease.holder == (self.id, self.process):
            return
        if not self.written_at:
            if lease is None or (self._found and lease.holder == self._found.holder):
                return
            if lease.id != self.id:
                raise self._busy(lease, Idle(0.0, 0.0))
        raise NamespaceBusy(
            f"{self._place} was taken over from this learner ({self.owner}) {self._by(lease)}: "
            "nothing more is published from here; stop one of the two"
        )

    def _by(self, lease: Lease | None) -> str:
        if lease is None:
            return "and given up since"
        if lease.id != self.id:
            return f"by {lease.owner}"
        return (
            f"by {lease.owner} with the same state directory, or a copy of it (delete the copy's "
            "*.learner.id to make it another)"
        )

    def _busy(self, lease: Lease, idle: Idle) -> NamespaceBusy:
        return NamespaceBusy(
            f"{self._place} already has a learner on {lease.owner} ({idle}), so {self.owner} "
            f"cannot be it too: stop that one, wait {self.seconds - idle.seconds:.0f} s until its "
            "hold runs out, take it away with --take-over, or choose another --weights-name"
        )


class Renewal:
    """The thread that renews a lease while nothing else does.

    Args:
        renew: writes the lease again if it is older than that many seconds.
    """

    def __init__(self, renew: Callable[[float], None], *, seconds: float) -> None:
        self._renew, self._every = renew, seconds / _RENEWALS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        # Looking more often than the lease is renewed makes up for attempts that fail.
        while not self._stop.wait(self._every / 10):
            try:
                self._renew(self._every)
            except NamespaceBusy as error:
                emit(Incident(what="taken over", text=f"  {error}"))
                return  # the next publish fails with the same sentence
            except Exception as error:  # a bug, too: no hold must run out unheard
                text = f"  this learner's hold could not be renewed (will retry): {brief(error)}"
                emit(Incident(what="exchange", text=text))


def owner_id(path: Path) -> str:
    """The identity kept in ``path``, made up at the first call. Raises OSError."""
    try:
        known = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        known = ""
    if known:
        return known
    made = secrets.token_hex(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, made.encode())
    return made
