"""What a batch of self-play is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from zebfast.core.forest import MAX_CACHE_MB, check_worlds
from zebfast.core.options import SearchOptions
from zebfast.core.selfplay import SelfPlayForest
from zebfast.selfplay.groups import Evaluator, GroupedGames
from zebfast.selfplay.stats import SelfPlayStats

__all__ = [
    "Evaluator",
    "SelfPlay",
    "SelfPlayStats",
]

@dataclass(frozen=True, kw_only=True)
class SelfPlayConfig:
    """Configuration of self-play; together with (seed, weights) it decides every game.

    Attributes:
        n_parallel_games: games in progress at once, over all groups.
        n_groups: groups of games, a thread each: while one group's leaves are evaluated, another
            group's trees are searched. Has no influence on any game.
        search: options of every search.
        worlds: what a tree searches: ``sampled`` worlds, drawn from what the seat to play knows,
            or the ``true`` deal of all hands, as the published system does (for comparison: its
            policy targets know what no player can).
        cache_mb: memory of each group's evaluations by information state, in MiB: what a seat
            knows is asked of the network once, in whichever of the group's trees and worlds it
            turns up; 0 = none. Worlds of one search meet in it, so that 1 or 2 hold nearly all
            there is to hit, and more is slower to look at. Has no influence on any game, but for
            the last bits of a network whose answers depend on the batch that a leaf is in.
    """

    n_parallel_games: int = 128
    n_groups: int = 2
    search: SearchOptions = field(default_factory=SearchOptions)
    worlds: str = "sampled"
    cache_mb: int = 0

    def __post_init__(self) -> None:
        if self.n_groups < 1:
            raise ValueError(f"n_groups is {self.n_groups}, but must be 1 or more")
        if self.n_parallel_games < self.n_groups:
            raise ValueError(
                f"n_parallel_games is {self.n_parallel_games}, but must be at least the number "
                f"of groups, {self.n_groups}"
            )
        check_worlds(self.worlds)
        if not 0 <= self.cache_mb <= MAX_CACHE_MB:
            raise ValueError(f"cache_mb is {self.cache_mb}, but must be from 0 to {MAX_CACHE_MB}")


# --- Forest and evaluator together: games of self-play, several groups at once.

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
