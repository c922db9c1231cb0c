"""What a policy sees of a hand, from the plain rules: the twin of csrc/policy.c."""

from __future__ import annotations

from zebfast import rules
from zebfast.arena.policies.view import View


def mask(dominoes: list[int]) -> int:
    return sum(1 << domino for domino in dominoes)


def call_of(bid: int) -> int:
    """A call as in views, of one as contracts have it."""
    return bid if bid < 42 else 42 * (bid - 41)


def seen(position: rules.Position, bid: int) -> View:
    """What the seat to play sees; ``bid`` where the hand has no contract."""
    me, decl, plays = position.to_play, position.decl, position.plays
    trick = plays[len(plays) // 4 * 4 :]
    suit = rules.led_suit(trick[0][1], decl) if trick else -1
    legal = position.legal()

    def takes_it(domino: int) -> bool:
        return all(
            rules.rank(domino, suit, decl) > rules.rank(other, suit, decl) for _, other in trick
        )

    best = max(trick, key=lambda play: rules.rank(play[1], suit, decl))[0] if trick else None
    leader = plays[0][0] if plays else me
    shaker, bidder, calls, marks = -1, (leader - me) % 4, [-1] * 4, [0, 0]
    if position.contract is not None:
        contract = position.contract
        bid, bidder = contract.bid, (contract.bidder - me) % 4
        shaker = (contract.shaker - me) % 4
        said = [contract.calls[(me + i) % 4] for i in range(4)]
        calls = [-1 if call == 0 else 0 if call == 1 else call_of(call) for call in said]
        marks = [contract.marks[me % 2], contract.marks[1 - me % 2]]
    trumps = [
        domino for domino in range(28)
        if decl != rules.Declaration.DOUBLES_SUIT and rules.in_called_suit(domino, decl)
    ]  # fmt: skip
    told = [domino | ((seat - me) % 4) << 5 for seat, domino in plays]
    table = [domino for _, domino in trick]
    return View(
        phase=3, legal=mask(legal), hand=mask(list(position.hands[me])),
        dealt=mask(list(position.dealt[me])),
        played=[mask([d for seat, d in plays if seat == (me + i) % 4]) for i in range(4)],
        winners=mask([domino for domino in legal if takes_it(domino)]), trumps=mask(trumps),
        decl=decl, n_plays=len(plays), n_table=len(trick), table=(table + [-1] * 3)[:3],
        suit=suit, leader=-len(trick) % 4, best=-1 if best is None else (best - me) % 4,
        table_points=sum(rules.COUNT[domino] for domino in table),
        points=[position.points[me % 2], position.points[1 - me % 2]],
        bid=call_of(bid), bidder=bidder, shaker=shaker, calls=calls, marks=marks, target=0,
        plays=(told + [-1] * 28)[:28],
    )  # fmt: skip
