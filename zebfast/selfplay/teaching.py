"""Games of the bare network whose decisions a teacher labels with what each legal play is worth.

The deal of a game is one draw from all that a player can think possible, given what it knows. So
one world a decision, the deal itself, labels without bias: a network that regresses on millions of
such labels finds their mean, the worth of a play to one who sees only what a player sees. More
worlds a decision make fewer, quieter labels at the same cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from zebfast.core.labelling import LabelledGames
from zebfast.core.options import TeachingOptions
from zebfast.selfplay.groups import MOST_PARALLEL, BatchEvaluator, GroupedGames, check_groups
from zebfast.system.settings import MOST_THREADS, setting

#: Games side by side in a group: with their rollouts they make batches of about 400.
GAMES_PER_GROUP = 128


@dataclass(frozen=True, kw_only=True)
class TeachingConfig(TeachingOptions):
    """Labelled games, and how many at once.

    Attributes:
        n_parallel_games: over all groups. The games and their rollouts make the network's batches.
        n_groups: one solves while another asks the network. Has no influence on any game, nor has
            n_parallel_games (but for the last bits of a network that torch runs).
    """

    n_parallel_games: int = setting(
        2 * GAMES_PER_GROUP, "Games in progress at once.", least=1, most=MOST_PARALLEL
    )
    n_groups: int = setting(2, "Groups of games, a thread each.", least=1, most=MOST_THREADS)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.n_groups, self.n_parallel_games)


class Teaching(GroupedGames):
    """An endless sequence of labelled games, GAME_DTYPE with play values in ``policy``.

    Args:
        evaluator: the network; its weights may be swapped between calls of ``play``.
        config: see TeachingConfig.
        seed: of all randomness (counter-based: nothing is consumed).
        first_game: number of the first game.
    """

    def __init__(
        self, evaluator: BatchEvaluator, *, config: TeachingConfig, seed: int, first_game: int = 0
    ) -> None:
        self.config = config
        super().__init__(
            evaluator,
            partial(LabelledGames, options=config, seed=seed),
            n_parallel=config.n_parallel_games,
            n_groups=config.n_groups,
            first_game=first_game,
        )
