"""A player for programs: one game at a time, no batches, no command line.

    import zebfast

    player = zebfast.load_player()  # the network that comes with zebfast
    game = zebfast.Game.deal(seed=7)
    while not game.over:
        game.play(player.choose(game))

Whatever hands the game holds, a player is shown only what the seat to play knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import HIGHEST_BID, LOWEST_BID, PlayRng
from zebfast.arena.players.base import Player
from zebfast.arena.players.build import build_player, load_network
from zebfast.arena.players.specs import NETWORK_PLAYER, parse_spec
from zebfast.core.engine import Game, GameBatch
from zebfast.rules import TOTAL_POINTS

if TYPE_CHECKING:
    from zebfast.core.solver_pool import SolverPool
    from zebfast.net.heads import Ask
    from zebfast.net.output import Heads


def load_player(
    spec: str = NETWORK_PLAYER, *, seed: int = 0, device: str = "cpu",
    pool: SolverPool | None = None, threads: int | None = None,
) -> GamePlayer:  # fmt: skip
    """The player that a spec names, as in `zebfast eval`; by default the network that is shipped.

    Args:
        spec: `zeb`, `search`, `zeb:source=FILE`, `heuristic2`, `eq:n=100`, ...
        seed: of whatever the player draws: plays by their probabilities, layouts of the hidden
            dominoes. The same seed gives the same plays, unless a search is given a time (`ms`).
        device: where networks run: cpu, cuda or cuda:N.
        pool: solvers for players that sample worlds, which the caller closes; by default one that
            works in the calling thread.
        threads: of networks on the CPU, and of their searches. No play depends on how many.

    Raises PlayerSpecError for a spec that cannot be understood and PlayerLoadError for weights or a
    device that cannot be used, both a ValueError of one sentence. v1 networks and GPUs need torch.
    """
    parsed = parse_spec(spec)
    if parsed.needs_pool and pool is None:
        from zebfast.core.solver_pool import SolverPool

        pool = SolverPool(1)  # works in the calling thread, so that there is nothing to close
    checkpoint = load_network(parsed) if parsed.needs_network else None
    player = build_player(parsed, device=device, pool=pool, checkpoint=checkpoint, threads=threads)
    ask = None
    if checkpoint is not None:
        from zebfast.net.heads import open_heads

        ask = open_heads(checkpoint.config, checkpoint.weights)
    return GamePlayer(player, ask=ask, seed=seed)


class GamePlayer:
    """Chooses plays and, where it has a network, says what that thinks; `load_player` makes one.

    Keeps no state between calls, so that one object may play all four seats of many games.

    Attributes:
        name: the spec.
    """

    def __init__(self, player: Player, *, ask: Ask | None, seed: int) -> None:
        """A player of the arena, what asks its network (None if it has none), and the seed."""
        self.name = player.name
        self._player = player
        self._ask = ask
        self._seed = seed

    def choose(self, game: Game, *, bid: int = LOWEST_BID, number: int = 0) -> int:
        """A legal domino 0..27 for the seat to play.

        Args:
            game: not over; nothing is played in it.
            bid: of the team that led first, 30..42; where the game has no contract,
                `eq:...,objective=make` plays for it, the others do not look at it. With a contract
                all players play for that, and networks that have learned of contracts see it.
            number: of the game among those played with this seed, so that their draws differ.

        Raises ValueError if the game is over or there is no such bid.
        """
        if not LOWEST_BID <= bid <= HIGHEST_BID:
            raise ValueError(f"bid {bid}: bids run from {LOWEST_BID} to {HIGHEST_BID}")
        bids, numbers = np.array([bid], dtype=np.uint8), np.array([number], dtype=np.uint64)
        return int(self.choose_many(_batch_of(game), bids=bids, numbers=numbers)[0])

    def choose_many(
        self, games: GameBatch, *, bids: NDArray[np.uint8], numbers: NDArray[np.uint64],
        seed: int | None = None,
    ) -> NDArray[np.uint8]:  # fmt: skip
        """What `choose` says of each of k games, none of them over: dominoes u1[k].

        bids: u1[k], 30..42. numbers: u8[k], of the games. seed: of the draws; None: the player's.
        """
        seed = self._seed if seed is None else seed
        rng = PlayRng(seed=seed, games=numbers, plies=games.n_plays)
        return self._player.choose(games, np.arange(len(games)), rng, bids)

    def probabilities(self, game: Game) -> dict[int, float]:
        """The network's policy: a chance for each legal domino, in ascending order; sum 1.

        As it was trained, before a player's temperature or search: the better it thinks of a play,
        the larger its chance. Raises ValueError if the game is over or there is no network.
        """
        from zebfast.net.heads import softmax

        hand, legal = game.dealt[game.to_play], set(game.legal())
        logits = self._look(game).policy[0]
        slots = [slot for slot, domino in enumerate(hand) if domino in legal]
        chances = softmax(logits[slots]).tolist()
        return {hand[slot]: chance for slot, chance in zip(slots, chances, strict=True)}

    def points(self, game: Game) -> NDArray[np.float64]:
        """Chances float64[43] that the side to play has 0..42 points in the end; their sum is 1.

        `points(game)[bid:].sum()` is the chance that its contract is made, if it declared. Raises
        ValueError if the game is over, there is no network, or it tells only who wins (v1).
        """
        from zebfast.net.heads import softmax

        logits = self._look(game).points
        if logits is None:
            raise ValueError(f"the network of {self.name!r} does not predict points; v2 ones do")
        return softmax(logits[0])

    def expected_points(self, game: Game) -> float:
        """Points 0..42 that the side to play will have in the end, on average; see `points`."""
        return float(self.points(game) @ np.arange(TOTAL_POINTS + 1))

    def _look(self, game: Game) -> Heads:
        """What the network says about what the seat to play knows."""
        if self._ask is None:
            raise ValueError(f"player {self.name!r} has no network")
        return self._ask(_batch_of(game).observe())


def _batch_of(game: Game) -> GameBatch:
    """The game as a batch of one. ValueError if it is over."""
    if game.over:
        raise ValueError("the game is over: nobody is to play")
    return GameBatch.of([game])
