"""A user's policy that plays for one side of some games of self-play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.players.specs import PlayerSpec, PolicyOptions, parse_spec
from zebfast.core.engine import Game, GameBatch
from zebfast.core.policy import IllegalAnswer
from zebfast.core.selfplay import SelfPlayForest
from zebfast.system.settings import SettingError, check, setting

if TYPE_CHECKING:
    from zebfast.arena.policies.asking import Asked
    from zebfast.core.network import Network

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class OpponentOptions:
    """Who plays for one side of some games of self-play, in place of the search.

    Only the machine that plays says so, never a run's state: a policy is a program.
    """

    opponent: str | None = setting(
        None,
        "A policy that plays for one side of some games, without a search: FILE.py or "
        "FILE.py:NAME.",
    )
    opponent_share: float = setting(0.5, "Of the games, that it plays in.", above=0, most=1)

    def __post_init__(self) -> None:
        check(self)
        if self.opponent is not None and not isinstance(self._spec.options, PolicyOptions):
            raise SettingError(
                f"opponent is {self.opponent}: expected a policy, as FILE.py or FILE.py:NAME"
            )

    @property
    def _spec(self) -> PlayerSpec:
        return parse_spec(self.opponent or "")

    def open(self) -> Opponent | None:
        """The policy, compiled. PlayerLoadError (one sentence) where it cannot be."""
        if self.opponent is None:
            return None
        from zebfast.arena.players.build import PlayerLoadError, open_policy, weights_digest

        spec = self._spec
        options = spec.options
        assert isinstance(options, PolicyOptions)
        if not options.asking.compiled:
            raise PlayerLoadError(
                f"Opponent {self.opponent!r} is plain Python, but searches run in C: leave "
                "compiled=no out."
            )
        asked = open_policy(options.place, options.asking)
        facts = {
            "opponent": ":".join(filter(None, (Path(options.place.file).name, options.place.name))),
            "opponent_sha256": weights_digest(spec),
            "opponent_share": self.opponent_share,
        }
        return Opponent(asked, self.opponent_share, facts)


@dataclass(frozen=True)
class Opponent:
    """An opened one; facts: of examples with it, for their metadata."""

    asked: Asked
    share: float
    facts: Mapping[str, Any]

    def forest(self, *sizes: int, **told: Any) -> OpposedForest:
        """Games of self-play against it, made as a SelfPlayForest is."""
        function = self.asked.function
        made = OpposedForest(*sizes, **told, opponent=function, opponent_share=self.share)
        made.asked_policy, made.seed = self.asked, int(told["seed"])
        return made


class OpposedForest(SelfPlayForest):
    """Self-play against a policy. PolicyError where it gives no legal answer, or none at all."""

    asked_policy: Asked
    seed: int

    def select(self, obs: np.ndarray) -> int:
        """See RunningGames."""
        return self._answered(lambda: SelfPlayForest.select(self, obs))

    def run(
        self,
        network: Network,
        obs: np.ndarray,
        evals: NDArray[np.float32],
        *,
        seconds: float,
        until: int,
    ) -> tuple[bool, dict[str, float]]:
        """See RunningGames."""

        def run() -> tuple[bool, dict[str, float]]:
            return SelfPlayForest.run(self, network, obs, evals, seconds=seconds, until=until)

        return self._answered(run)

    def _answered(self, job: Callable[[], _Result]) -> _Result:
        from zebfast.arena.policies.guard import guarded

        asked = self.asked_policy
        try:
            return guarded(
                job,
                self.asking,
                seconds=asked.options.seconds,
                stuck=lambda: asked.stuck(f"self-play, {self._where(self.asked())}"),
            )
        except IllegalAnswer:
            from zebfast.arena.pairs import LOWEST_BID, PlayRng

            game = self.asked()
            number = np.array([self.asking.at], np.uint64)
            rng = PlayRng(self.seed, number, np.array([len(game.plays)], np.uint8))
            error = asked.unusable(self.asking.answer, GameBatch.of([game]), 0, rng, LOWEST_BID)
            raise error.at(f"self-play, {self._where(game)}") from None

    def _where(self, game: Game) -> str:
        return f"game {self.asking.at}, play {len(game.plays) + 1}"
