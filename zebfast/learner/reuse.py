"""A warning when few examples are trained on again and again."""

from __future__ import annotations

from zebfast.learner.replay import ReplayBuffer

_REARM = 0.8


class ReuseGuard:
    """Says when the average example of a buffer was drawn more than ``limit`` times; 0 = never.

    Drawn 50 times, the default, is several times what fresh self-play at the documented pace comes
    to: then the network learns these very games by heart, most easily from a small buffer that was
    just refilled. It is only said: whether to go on is for people to decide.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._next: dict[str, float] = {}

    def check(self, name: str, replay: ReplayBuffer) -> str | None:
        """The warning, when the limit is passed and again at every doubling."""
        reuse = replay.mean_draws()
        if reuse < _REARM * self._limit:
            self._next.pop(name, None)
        threshold = self._next.get(name, self._limit)
        if not self._limit or reuse <= threshold:
            return None
        self._next[name] = 2 * reuse
        return (
            f"Warning: the average example of the {name} buffer ({len(replay):,} examples) has "
            f"been trained on {reuse:.0f} times: its games are being memorised; add workers, or "
            "lower --training-steps-per-cycle (--max-reuse sets this limit)"
        )
