"""Players of whole games: a rule that calls and declares, and a player of hands that plays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from zebfast.arena.table.house import house_play, possible_worlds
from zebfast.core.engine import Game, mask_of
from zebfast.rules import (
    CALLED_SUIT,
    DOMINOES,
    HAND_SIZE,
    MARK,
    N_DECLARATIONS,
    N_DOMINOES,
    N_SEATS,
    PASS,
    TOTAL_POINTS,
    Declaration,
    SeatView,
    contract_of,
    in_called_suit,
    rank,
)

if TYPE_CHECKING:
    from zebfast.arena.players.api import GamePlayer


class TablePlayer(Protocol):
    """What a table needs of a player. It keeps nothing of one seat for the other."""

    @property
    def name(self) -> str:
        """What results are labelled with."""

    def call(self, view: SeatView) -> int:
        """One of ``view.legal``: a call."""

    def declare(self, view: SeatView) -> int:
        """One of ``view.legal``: a declaration's id."""

    def play(self, view: SeatView) -> int:
        """One of ``view.legal``: a domino."""


class RulePlayer:
    """Calls and declares by the tricks that a hand wins by itself; hands are played by another.

    The rule: with the best of the pip suits and doubles, the dominoes that may lose a trick are
    counted (`losers`). With none of them it goes up to 84, with one to 42, with two to 34, with
    three to 31, and within that it makes the lowest legal bid. It knows no prices: a yardstick.

    Args:
        player: plays straight hands; nello and sevens, which it cannot, are `house_play`'s.
        name: what results are labelled with.
        seed: of the layouts that `house_play` draws.
    """

    CEILINGS = (2 * MARK, MARK, 34, 31)

    def __init__(self, player: GamePlayer, name: str, *, seed: int = 0) -> None:
        self.name = name
        self._seed = seed
        self._player = player

    def call(self, view: SeatView) -> int:
        """See TablePlayer."""
        fewest = min(losers(view.dealt, decl) for decl in range(Declaration.DOUBLES + 1))
        ceiling = self.CEILINGS[fewest] if fewest < len(self.CEILINGS) else PASS
        bids = [call for call in view.legal if call != PASS and not contract_of(call)]
        if PASS not in view.legal or (bids and bids[0] <= ceiling):
            return bids[0]
        return PASS

    def declare(self, view: SeatView) -> int:
        """See TablePlayer."""
        suits = [decl for decl in view.legal if decl < N_DECLARATIONS]
        return min(suits, key=lambda decl: (losers(view.dealt, decl), -trumps(view.dealt, decl)))

    def play(self, view: SeatView) -> int:
        """See TablePlayer."""
        # Draws differ from hand to hand by what the seat knows, whatever the table calls the game.
        number = mask_of(view.dealt) << 8 | view.hand_number & 0xFF
        if view.decl is not None and view.decl >= N_DECLARATIONS:
            return house_play(view, seed=self._seed, number=number)
        bid = min(view.bid, TOTAL_POINTS)
        return self._player.choose(seen_game(view), bid=bid, number=number)


def table_player(spec: str, *, seed: int = 0, device: str = "cpu") -> RulePlayer:
    """The player of whole games that a spec names: its plays, and the rule's calls.

    Raises PlayerSpecError and PlayerLoadError as `zebfast.load_player`.
    """
    from zebfast.arena.players.api import load_player

    return RulePlayer(load_player(spec, seed=seed, device=device), spec, seed=seed)


def trumps(hand: tuple[int, ...], decl: int) -> int:
    """How many trumps a hand has."""
    return sum(in_called_suit(domino, decl) for domino in hand)


def losers(hand: tuple[int, ...], decl: int) -> int:
    """Dominoes that may lose a trick: all but trumps that win or outlast, and doubles.

    Of trumps the highest ones in unbroken order win; with four or more and the highest, all do.
    """
    own = sorted((rank(d, CALLED_SUIT, decl), d) for d in hand if in_called_suit(d, decl))[::-1]
    every = sorted((rank(d, CALLED_SUIT, decl) for d in range(N_DOMINOES)
                    if in_called_suit(d, decl)), reverse=True)  # fmt: skip
    top = 0
    while top < len(own) and own[top][0] == every[top]:
        top += 1
    winners = len(own) if top and len(own) > 3 else top
    side = [domino for domino in hand if not in_called_suit(domino, decl)]
    return HAND_SIZE - winners - sum(DOMINOES[d][0] == DOMINOES[d][1] for d in side)


def seen_game(view: SeatView) -> Game:
    """The hand as a Game in which the others' dominoes lie in some way that the view allows.

    Players look at what the seat to play knows, which is the same in all of those ways. Raises
    ImpossibleWorlds where there is none.
    """
    assert view.decl is not None
    played = [[domino for seat, domino in view.plays if seat == own] for own in range(N_SEATS)]
    worlds = possible_worlds(view)
    layout = worlds.unrank([0])[0].tolist()
    hands = [
        [*played[seat], *(d for d in range(N_DOMINOES) if layout[seat] >> d & 1)]
        for seat in range(N_SEATS)
    ]
    hands[view.seat] = list(view.dealt)
    leader = view.plays[0][0] if view.plays else view.seat
    game = Game(hands, view.decl, leader)
    for _, domino in view.plays:
        game.play(domino)
    return game
