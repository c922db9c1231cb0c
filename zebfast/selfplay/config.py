"""What a batch of self-play is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from zebfast.core.forest import MAX_CACHE_MB, WORLDS
from zebfast.core.options import SearchOptions
from zebfast.core.selfplay import SelfPlayForest
from zebfast.selfplay.groups import (
    MOST_PARALLEL,
    BatchEvaluator,
    Engine,
    GroupedGames,
    check_groups,
)
from zebfast.system.settings import MOST_THREADS, check, setting


@dataclass(frozen=True, kw_only=True)
class SelfPlayConfig:
    """Configuration of self-play; together with (seed, weights) it decides every game.

    Attributes:
        n_parallel_games: over all groups.
        n_groups: while one group's leaves are evaluated, another group's trees are searched. Has
            no influence on any game.
        search: options of every search.
        worlds: the policy targets of searches of the true deal know what no player can: they are
            there for comparison.
        cache_mb: what a seat knows is asked of the network once, in whichever of the group's trees
            and worlds it turns up. Worlds of one search meet in it, so that 1 or 2 hold nearly all
            there is to hit, and more is slower to look at. Has no influence on any game, but for
            the last bits of a network that torch runs, whose answers depend on the batch.
    """

    n_parallel_games: int = setting(128, "Games in progress at once.", least=1, most=MOST_PARALLEL)
    n_groups: int = setting(2, "Groups of games, a thread each.", least=1, most=MOST_THREADS)
    search: SearchOptions = field(default_factory=SearchOptions)
    worlds: str = setting(
        "sampled",
        "What a tree searches: worlds drawn from what the seat to play knows, or the true deal, as "
        "published.",
        choices=WORLDS,
    )
    cache_mb: int = setting(
        0,
        "MiB of evaluations that each group remembers by what a seat knows; 0 = none.",
        least=0,
        most=MAX_CACHE_MB,
    )

    def __post_init__(self) -> None:
        check(self)
        check_groups(self.n_groups, self.n_parallel_games)


class SelfPlay(GroupedGames):
    """An endless sequence of games of a network against itself, by search.

    Args:
        evaluator: values leaves; its weights may be swapped between calls of ``play``, and then
            its ``version``, if it has one, is another.
        config: see SelfPlayConfig.
        seed: of all randomness (counter-based: nothing is consumed).
        first_game: number of the first game.
        forest: makes the games of a group.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        *,
        config: SelfPlayConfig,
        seed: int,
        first_game: int = 0,
        forest: Callable[..., Engine] = SelfPlayForest,
    ) -> None:
        self.config = config
        open_forest = partial(
            forest,
            options=config.search,
            seed=seed,
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
