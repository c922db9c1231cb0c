"""Games of the bare network whose decisions a teacher labels with what each legal play is worth.

The deal of a game is one draw from all that a player can think possible, given what it knows. So
one world a decision, the deal itself, labels without bias: a network that regresses on millions of
such labels finds their mean, the worth of a play to one who sees only what a player sees. More
worlds a decision make fewer, quieter labels at the same cost.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from zebfast.core.forest import MAX_WORLDS
from zebfast.core.labelling import TEACHERS, LabelledGames
from zebfast.rules import N_TRICKS
from zebfast.selfplay.groups import Evaluator, GroupedGames

#: Games side by side in a group: with their rollouts they make batches of about 400.
GAMES_PER_GROUP = 128


@dataclass(frozen=True, kw_only=True)
class TeachingConfig:
    """What games are labelled how; together with (seed, weights) it decides every label.

    Attributes:
        teacher: ``exact``: points under best play with open hands, by the solver. ``rollout``:
            points when all four seats go on with the network's favourites.
        label_share: share of the decisions (two legal plays or more) that are labelled.
        n_worlds: a label is the mean over so many worlds, drawn from what the player knows; 0 = one
            world, the deal itself.
        temperature: of the game's plays, drawn from the network's policy; 0 = its favourites.
        explore: share of the game's plays that are random instead.
        exact_tricks: rollouts end, and are solved, where so many tricks are left.
        n_parallel_games: games in progress at once, over all groups. They and their rollouts make
            the network's batches.
        n_groups: groups of games, a thread each: one solves while another asks the network. Has no
            influence on any game, nor has n_parallel_games (but for the last bits of a network
            whose answers depend on the batch).

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    teacher: str = "exact"
    label_share: float = 1.0
    n_worlds: int = 0
    temperature: float = 1.0
    explore: float = 0.1
    exact_tricks: int = 2
    n_parallel_games: int = 2 * GAMES_PER_GROUP
    n_groups: int = 2

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS:
            raise ValueError(f"teacher is {self.teacher!r}: expected {' or '.join(TEACHERS)}")
        if not 0 < self.label_share <= 1:
            raise ValueError(f"label_share is {self.label_share}: expected above 0 and at most 1")
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is {self.explore}: expected 0 to 1")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}: expected at least 0")
        if not 0 <= self.n_worlds <= MAX_WORLDS:
            raise ValueError(f"n_worlds is {self.n_worlds}: expected 0 to {MAX_WORLDS}")
        if not 0 <= self.exact_tricks <= N_TRICKS:
            raise ValueError(f"exact_tricks is {self.exact_tricks}: expected 0 to {N_TRICKS}")
        if not 1 <= self.n_groups <= self.n_parallel_games:
            raise ValueError(
                f"n_groups is {self.n_groups} and n_parallel_games {self.n_parallel_games}: "
                "expected at least 1 group, and a game for each"
            )


class Teaching(GroupedGames):
    """An endless sequence of labelled games, GAME_DTYPE with play values in ``policy``.

    Args:
        evaluator: the network; its weights may be swapped between calls of ``play``.
        config: see TeachingConfig.
        seed: of all randomness (counter-based: nothing is consumed).
        first_game: number of the first game.
    """

    def __init__(
        self, evaluator: Evaluator, *, config: TeachingConfig, seed: int, first_game: int = 0
    ) -> None:
        self.config = config
        options = asdict(config)
        n_parallel, n_groups = options.pop("n_parallel_games"), options.pop("n_groups")

        def open_games(n_games: int, first: int, stride: int) -> LabelledGames:
            return LabelledGames(n_games, seed=seed, first_game=first, stride=stride, **options)

        super().__init__(
            evaluator,
            open_games,
            n_parallel=n_parallel,
            n_groups=n_groups,
            first_game=first_game,
        )
