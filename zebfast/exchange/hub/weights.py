"""Weights, config and state of a namespace in a model repository of the Hub.

The three are published in one commit on top of the version that was read, and read back from one
commit, so a reader never sees a mixture. Other namespaces' commits only make a writer look again.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zebfast.exchange.errors import ExchangeError, NamespaceBusy, TransientError
from zebfast.exchange.hub.client import HubClient
from zebfast.exchange.hub.history import History, Version, VersionReader
from zebfast.exchange.lease import KEY, LEASE_SECONDS, Holder, Renewal, Sight, owner_id
from zebfast.exchange.local import hold_namespace
from zebfast.exchange.names import Namespace
from zebfast.exchange.place import StoreOptions
from zebfast.exchange.state import (
    UNPUBLISHED,
    HalfFull,
    Ledger,
    Unannounced,
    announced,
    apart,
    changed,
    check_weight_size,
    ledger_file,
    object_bytes,
    pack_weights,
    state_bytes,
    unpack_weights,
    whole,
    without_config,
)
from zebfast.exchange.store import Revision, StateDict, Weights
from zebfast.system.events import Incident, emit


class HubWeightStore:
    """The WeightStore of ``namespace`` in the model repository ``repo_id``.

    The repository is made, private, by the first publish. ``lease_seconds`` is how long a learner
    that was not heard of keeps others out (see ``lease``).
    """

    def __init__(
        self,
        repo_id: str,
        namespace: Namespace,
        *,
        options: StoreOptions,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.label, self.namespace = repo_id, namespace
        self._options, self._lease_seconds = options, lease_seconds
        self._client = HubClient(repo_id, options=options)
        self._versions = VersionReader(self._client, repo_id, namespace)
        self._history = History(self._client, {"repo_id": repo_id, "repo_type": "model"})
        self._half = HalfFull()
        self._holder: Holder | None = None
        self._writing = threading.RLock()

    def read_state(self) -> dict[str, Any] | None:
        version = self._client.call(self._versions.at)
        return version.state if version else None

    def whole(self, state: Mapping[str, Any]) -> dict[str, Any]:
        if not ledger_file(state):
            return dict(state)

        def complete() -> dict[str, Any]:
            version = self._versions.at()
            if version is None or (version.state or {}).get("ledger") != state.get("ledger"):
                raise TransientError(f"{self.label}: its state was just written again")
            return self._complete(version, state)

        return self._client.call(complete)

    def _complete(self, version: Version, state: Mapping[str, Any]) -> dict[str, Any]:
        def read(name: str) -> bytes | None:
            return self._versions.ledger(version, name)

        source = self._versions.source(self.namespace.state_file, version)
        return whole(state, self.namespace, source, read)

    def read_config(self) -> dict[str, Any] | None:
        def read() -> dict[str, Any] | None:
            version = self._versions.at()
            return self._versions.config(version) if version else None

        return self._client.call(read)

    def pull(self, *, newer_than: int | None = None, revision: str | None = None) -> Weights | None:
        return self._client.call(lambda: self._pull(newer_than, revision))

    def _pull(self, newer_than: int | None, revision: str | None) -> Weights | None:
        version = self._versions.at(revision)
        name = self.namespace.weights_file
        if version is None or name not in version.sizes:
            return None
        state = version.state or dict(UNPUBLISHED)
        if newer_than is not None and state.get("step", 0) <= newer_than:
            return None
        source = self._versions.source(name, version)
        check_weight_size(version.sizes[name], source)
        data = self._versions.read(version, name)
        if not announced(state, data):
            raise Unannounced(source, self.namespace.state_file)
        config = self._versions.config(version)
        if config is None:
            raise without_config(source, self.namespace.config_file)
        return Weights(unpack_weights(data, source), config, state)

    def revisions(self, limit: int) -> list[Revision]:
        from huggingface_hub.errors import RepositoryNotFoundError

        stem, weights = map(re.escape, (self.namespace.stem, self.namespace.weights_file))
        ours = re.compile(rf"{stem} step \d|.*\b{weights}\b")

        try:
            found = [commit for commit in self._history.commits() if ours.match(commit.title)]
        except ExchangeError as error:
            if isinstance(error.__cause__, RepositoryNotFoundError):
                return []
            raise
        return [Revision(c.commit_id, c.created_at.timestamp(), c.title) for c in found[:limit]]

    def compact(self, limit: int) -> str | None:
        return self._history.compact(limit)

    def publish(
        self, state_dict: StateDict, config: Mapping[str, Any], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        data, digest = pack_weights(state_dict)
        check_weight_size(len(data), self.namespace.weights_file)
        files = {
            self.namespace.weights_file: data,
            self.namespace.config_file: object_bytes(config, self.namespace.config_file),
        }
        step, games = state.get("step", 0), state.get("total_games", 0)
        title = f"{self.namespace.stem} step {step}, {games:,} games"
        return self._write({**state, "weights_sha256": digest}, title, files=files)

    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return self._write(changes, f"{self.namespace.stem}: state")

    @contextmanager
    def hold(self, owner: str, *, take_over: bool = False) -> Iterator[None]:
        state_dir = self._options.state_dir
        with hold_namespace(state_dir, self.namespace):
            identity = owner_id(state_dir / f".{self.namespace.stem}.learner.id")
            place = f"namespace {self.namespace.stem!r} in {self.label}"
            holder = Holder(owner, identity, place, seconds=self._lease_seconds)
            sight = Sight(state_dir / f".{self.namespace.stem}.learner.seen.json", place)
            version = self._client.call(self._versions.at)
            holder.begin(
                version.state if version else None,
                idle=lambda lease: sight.idle(lease, times=self._versions.state_times()),
                take_over=take_over,
            )
            sight.forget()
            self._holder = holder
            try:
                if version is not None and version.state is not None:
                    self._claim()
                renewal = Renewal(self._renew, seconds=self._lease_seconds)
                try:
                    yield
                finally:
                    renewal.stop()
                    self._give_up()
            finally:
                self._holder = None

    def _claim(self) -> None:
        assert self._holder is not None
        title = f"{self.namespace.stem}: learner on {self._holder.owner}"
        self._write({}, title)

    def _renew(self, age: float) -> None:
        """Write the lease again if it was written, and not within the last ``age`` seconds."""
        written_at = self._holder and self._holder.written_at
        if written_at and time.monotonic() - written_at > age:
            self._claim()

    def _give_up(self) -> None:
        """Take our lease out of the state; not being able to costs the next learner a wait."""
        if self._holder is None or not self._holder.written_at:
            return
        try:
            self._write({}, f"{self.namespace.stem}: no learner", drop_lease=True)
        except NamespaceBusy:
            pass  # said when it was noticed
        except (ExchangeError, OSError) as error:
            text = (
                f"  {self.label} still names this learner ({error}): another machine must wait "
                f"{self._lease_seconds:.0f} s or use --take-over"
            )
            emit(Incident(what="taken over", text=text))

    def _write(
        self,
        changes: Mapping[str, Any],
        title: str,
        *,
        files: Mapping[str, bytes] | None = None,
        drop_lease: bool = False,
    ) -> dict[str, Any]:
        """Commit ``files`` and the state with ``changes`` on top of what is there now."""
        with self._writing:
            holder = self._holder
            lease = {KEY: holder.renewed()} if holder is not None and not drop_lease else {}
            tried: list[str] = []

            def attempt() -> dict[str, Any]:
                from huggingface_hub import CommitOperationAdd

                version = self._versions.at()
                if version is None:
                    self._client.api.create_repo(self.label, private=True, exist_ok=True)
                    version = self._versions.at()
                known = version.state if version else None
                current = known or {}
                state, ledger = self._changed(version, changes, lease)
                if drop_lease:
                    state.pop(KEY, None)
                if tried and state == current:
                    return state  # the commit before was made, and only its reply was lost
                if holder is not None:
                    holder.check(known)
                tried.append(title)
                name = self.namespace.state_file
                content = {**(files or {}), name: state_bytes(state, name)}
                self._half.look(name, content[name], ledger)
                if ledger is not None:
                    content[ledger.file] = ledger.data
                self._client.api.create_commit(
                    self.label,
                    [CommitOperationAdd(name, data) for name, data in content.items()],
                    commit_message=title,
                    parent_commit=version.sha if version else None,
                )
                return state

            state = self._client.call(attempt)
            if lease and holder is not None:
                holder.written_at = time.monotonic()
            return state

    def _changed(
        self, version: Version | None, *changes: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Ledger | None]:
        """What is to be written with ``changes`` of a version's state: the state, and its ledger.

        The file of the ledger has one name: state and ledger are read from one commit.
        """

        def complete(state: Mapping[str, Any]) -> dict[str, Any]:
            assert version is not None
            return self._complete(version, state)

        state = dict((version.state if version else None) or {})
        for each in changes:
            state = changed(state, each, complete)
        return apart(state, self.namespace, versioned=False)
