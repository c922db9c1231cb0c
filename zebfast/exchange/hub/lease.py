"""A learner's hold on a namespace that other machines can see: an entry of the published state."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import ExchangeError, NamespaceBusy
from zebfast.system.events import Incident, emit
from zebfast.system.files import write_atomic

KEY = "learner"
LEASE_SECONDS = 1800.0
_RENEWALS = 3  # in a lease's time, when nothing is published


@dataclass(frozen=True)
class Lease:
    """Who holds a namespace: ``owner`` for people, ``id`` of its state directory, unix seconds."""

    owner: str
    id: str
    renewed: float

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> Lease | None:
        """The lease that a state names, if it names one that can be understood."""
        entry = (state or {}).get(KEY)
        if not isinstance(entry, dict) or not isinstance(entry.get("renewed"), int | float):
            return None
        return cls(str(entry.get("owner")), str(entry.get("id")), float(entry["renewed"]))


class Holder:
    """This process's side of a lease, from before it is written until it is given up."""

    def __init__(self, owner: str, identity: str, place: str, *, seconds: float) -> None:
        self.owner, self.id, self.seconds = owner, identity, seconds
        self._place = place
        #: When the far side last got our lease, on the monotonic clock; 0 before it ever has.
        self.written_at = 0.0

    def renewed(self) -> dict[str, Any]:
        """The entry to write now."""
        return {"owner": self.owner, "id": self.id, "renewed": round(time.time(), 1)}

    def check(self, state: Mapping[str, Any] | None, *, take_over: bool = False) -> None:
        """Raise NamespaceBusy when ``state`` says that somebody else holds the namespace."""
        lease = Lease.of(state)
        if self.written_at:
            if lease is None or lease.id != self.id:
                by = f"by {lease.owner}" if lease else "and given up since"
                raise NamespaceBusy(
                    f"{self._place} was taken over from this learner ({self.owner}) {by}: nothing "
                    "more is published from here; stop one of the two"
                )
            return
        if lease is None or lease.id == self.id or take_over:
            return
        age = max(0.0, time.time() - lease.renewed)
        if age < self.seconds:
            raise NamespaceBusy(
                f"{self._place} already has a learner on {lease.owner} (last heard "
                f"{age:.0f} s ago), so {self.owner} cannot be it too: stop that one, wait "
                f"{self.seconds - age:.0f} s until its hold runs out, take it away with "
                "--take-over, or choose another --weights-name"
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
            except (ExchangeError, OSError) as error:
                text = f"  this learner's hold could not be renewed (will retry): {error}"
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
