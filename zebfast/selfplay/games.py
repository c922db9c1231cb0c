"""Forest and evaluator together: games of self-play, several groups at once."""

from __future__ import annotations

from zebfast.core.selfplay import SelfPlayForest
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.groups import Evaluator, GroupedGames
from zebfast.selfplay.stats import SelfPlayStats

__all__ = ["Evaluator", "SelfPlay", "SelfPlayStats"]


class SelfPlay(GroupedGames):
    """An endless sequence of games of a network against itself, by search.

    Args:
        evaluator: values leaves; its weights may be swapped between calls of ``play``, and then
            its ``version``, if it has one, is another.
        config: see SelfPlayConfig.
        seed: of all randomness (counter-based: nothing is consumed).
        first_game: number of the first game.
    """

    def __init__(
        self, evaluator: Evaluator, *, config: SelfPlayConfig, seed: int, first_game: int = 0
    ) -> None:
        self.config = config

        def open_forest(n_trees: int, first: int, stride: int) -> SelfPlayForest:
            return SelfPlayForest(
                n_trees,
                options=config.search,
                seed=seed,
                first_game=first,
                stride=stride,
                worlds=config.worlds,
                cache_mb=config.cache_mb,
            )

        super().__init__(
            evaluator,
            open_forest,
            n_parallel=config.n_parallel_games,
            n_groups=config.n_groups,
            first_game=first_game,
        )
