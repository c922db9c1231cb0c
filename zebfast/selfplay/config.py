"""What a batch of self-play is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from zebfast.core.options import WORLDS, SearchOptions


@dataclass(frozen=True, kw_only=True)
class SelfPlayConfig:
    """Configuration of self-play; together with (seed, weights) it decides every game.

    Attributes:
        n_parallel_games: games in progress at once, over all groups.
        n_groups: groups of games, a thread each: while one group's leaves are evaluated, another
            group's trees are searched. Has no influence on any game.
        search: options of every search.
        worlds: the deal that a tree searches, one of ``zebfast.core.options.WORLDS``.
    """

    n_parallel_games: int = 128
    n_groups: int = 2
    search: SearchOptions = field(default_factory=SearchOptions)
    worlds: str = "true"

    def __post_init__(self) -> None:
        if self.n_groups < 1:
            raise ValueError(f"n_groups is {self.n_groups}, but must be 1 or more")
        if self.n_parallel_games < self.n_groups:
            raise ValueError(
                f"n_parallel_games is {self.n_parallel_games}, but must be at least the number "
                f"of groups, {self.n_groups}"
            )
        if self.worlds not in WORLDS:
            raise ValueError(f"worlds is {self.worlds!r}, but must be one of: {', '.join(WORLDS)}")
