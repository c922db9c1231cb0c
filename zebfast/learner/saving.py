"""What is saved where, in an order that lets a kill at any moment lose at most one cycle.

The checkpoint is saved before its weights are handed to the publisher, so published weights always
have a checkpoint at least as new. An example file is deleted only when the checkpoint and the
published state count it and the saved replay buffers hold it.
"""

from __future__ import annotations

from zebfast.learner.account import Account
from zebfast.learner.checkpoint import Checkpoint, save_checkpoint
from zebfast.learner.continuation import published_ledger
from zebfast.learner.publisher import Outcome
from zebfast.learner.startup import Session

# Of pushes that may or may not have landed: months of them at the documented pace.
_MAX_FINGERPRINTS = 20_000


class Saver:
    """Saves and publishes a session, and knows which files are safe by that."""

    def __init__(self, session: Session, account: Account) -> None:
        self._session = session
        self._account = account
        self._saved_ledger: frozenset[str] = frozenset()
        self._saved_replay = frozenset(session.ingestor.held)
        self._published_ledger = published_ledger(session.published)
        self.unsaved = False
        self.unkept = True
        self.unpublished = session.is_ahead

    def note_change(self, *, of_weights: bool) -> None:
        """Something has changed that a checkpoint would save, and a push publish."""
        self.unsaved = self.unkept = True
        self.unpublished = self.unpublished or of_weights

    def save_checkpoint(self) -> None:
        """Raises OSError; the checkpoint before stays."""
        session = self._session
        session.keeper.check_disk()
        checkpoint = Checkpoint(
            session.progress,
            session.trainer.net.state_dict(),
            session.trainer.net.config.to_dict(),
            session.trainer.state(),
            session.best,
        )
        save_checkpoint(session.config.checkpoint_path, checkpoint)
        self._saved_ledger = frozenset(session.progress.ledger)
        self.unsaved = False

    def save_replay(self) -> None:
        """Write the replay cache if files have been taken in since. Raises OSError."""
        cache, held = self._session.cache, frozenset(self._session.ingestor.held)
        if cache is not None and held != self._saved_replay:
            sources = self._session.sources
            self._session.keeper.check_disk()
            cache.save((sources.selfplay, sources.eval_aux), set(held))
            self._saved_replay = held

    def snapshot(self) -> None:
        """Save everything, and keep a snapshot of it. Raises OSError as saving does."""
        self.save_replay()
        if self.unsaved or not self._session.config.checkpoint_path.exists():
            self.save_checkpoint()
        self._session.keeper.take(self._session.progress, self._session.cache)
        self.unkept = False
        self._session.keeper.check_disk()

    def publish(self) -> None:
        """Save, and hand the present weights to the publisher. Raises OSError."""
        progress = self._session.progress
        snapshot = self._account.snapshot()
        progress.published = [*progress.published, snapshot.fingerprint][-_MAX_FINGERPRINTS:]
        self.save_checkpoint()
        self._session.publisher.submit(snapshot)
        self.unpublished = False

    def note_outcome(self, outcome: Outcome) -> None:
        """Something has been published, or not."""
        if outcome.published is None:
            return
        self._published_ledger = frozenset(outcome.published.state["ingested"])
        # What was handed over before it can no longer be what the store has.
        known = self._session.progress.published
        del known[: known.index(outcome.published.fingerprint)]

    def prune(self, keep: int) -> None:
        """Have surplus example files deleted; 0 keeps all."""
        if keep:
            self._session.ingestor.prune(keep=keep, durable=self._is_durable)

    def _is_durable(self, name: str) -> bool:
        if name in self._session.ingestor.skipped:
            return True  # not wanted, so a crash loses nothing by it
        in_replay = self._session.cache is None or name in self._saved_replay
        return in_replay and name in self._saved_ledger and name in self._published_ledger
