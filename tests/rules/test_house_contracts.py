"""Contracts of houses, and the rules that other programs got wrong, one test each."""

from __future__ import annotations

import pytest

from zebfast import WholeGame, rules
from zebfast.rules import Declaration, HouseDeclaration, RuleSet, call_of

D = rules.domino_id
NELLO = HouseDeclaration.NELLO
HOUSE = RuleSet(nello="any", plunge=4, splash=2, sevens=1)


def ids(text: str) -> list[int]:
    return [D(int(part[0]), int(part[1])) for part in text.split()]


#: Seat 0: low dominoes; seat 1: four doubles; seats 2 and 3: the rest.
HANDS = [
    ids("10 20 21 30 31 32 40"),
    ids("66 55 44 33 60 61 54"),
    ids("00 11 22 62 63 64 65"),
    ids("41 42 43 50 51 52 53"),
]


def game_of(decl: int, *calls: int, shaker: int = 3, rule_set: RuleSet = HOUSE) -> WholeGame:
    """The hands above after an auction and a declaration."""
    game = WholeGame(rule_set, shaker=shaker)
    game.deal(HANDS)
    for call in (*calls, *[0] * (4 - len(calls))):
        game.call(call)
    game.declare(decl)
    return game


def test_following_is_by_suit_and_not_by_pip_under_trumps() -> None:
    """A trump holds no other suit: with fives trump the 6-5 does not follow a six."""
    hand = ids("65 31 20")
    assert rules.legal_plays(hand, D(6, 0), Declaration.FIVES) == sorted(hand)
    assert rules.legal_plays(hand, D(5, 5), Declaration.FIVES) == [D(6, 5)]


def test_the_double_of_trumps_is_the_highest_trump() -> None:
    for pip in range(7):
        ranks = {d: rules.rank(d, rules.CALLED_SUIT, pip) for d in range(28)}
        assert max(ranks, key=lambda d: ranks[d]) == D(pip, pip)


def test_nello_is_played_three_to_a_trick() -> None:
    game = game_of(NELLO, 42)
    assert (game.bidder, game.leader, game.seat) == (0, 0, 0)
    seats = []
    for _ in range(3):
        seats.append(game.seat)
        game.play(game.legal_plays()[0])
    assert seats == [0, 1, 3]  # the partner, seat 2, has laid its hand down
    assert game.trick == []
    assert game.hands[2] == sorted(HANDS[2])


def test_nello_is_set_by_the_first_trick_that_the_bidder_takes() -> None:
    game = game_of(NELLO, 0, 84)
    for domino in ids("66 00 10"):  # a double is led, and seat 0 has none
        game.play(domino)
    [result] = game.results
    assert (result.made, result.award) == (False, (2, 0))
    assert game.phase == "deal"


def test_nello_is_made_with_seven_tricks_of_the_others() -> None:
    game = WholeGame(HOUSE, shaker=3)
    game.deal(
        [
            ids("10 20 21 30 31 40 41"),
            ids("32 42 43 54 50 51 52"),
            ids("00 11 22 33 44 55 66"),
            ids("53 60 61 62 63 64 65"),
        ]
    )
    for call in (84, 0, 0, 0):
        game.call(call)
    game.declare(NELLO)
    while not game.results:
        game.play(game.legal_plays()[0])
    [result] = game.results
    assert (result.made, result.award, result.points[0]) == (True, (2, 0), 0)
    assert len(game.plays) == 21
    assert {seat for seat, _ in game.plays} == {0, 1, 3}


def test_doubles_in_nello() -> None:
    suit, six_five, double_six = 6, D(6, 5), D(6, 6)
    assert rules.led_suit(double_six, NELLO) == rules.CALLED_SUIT
    assert rules.rank(double_six, suit, NELLO) == 0
    for decl, wins in ((HouseDeclaration.NELLO_HIGH, True), (HouseDeclaration.NELLO_LOW, False)):
        assert rules.led_suit(double_six, decl) == suit
        higher = rules.rank(double_six, suit, decl) > rules.rank(six_five, suit, decl)
        assert higher == wins
    own, inverted = (
        [rules.rank(D(p, p), rules.CALLED_SUIT, decl) for p in range(7)]
        for decl in (NELLO, HouseDeclaration.NELLO_INVERTED)
    )
    assert own == sorted(own)
    assert inverted == sorted(own, reverse=True)
    assert rules.rank(D(0, 0), 0, HouseDeclaration.NELLO_LOW) > 0  # the lowest still follows


def test_nello_needs_a_mark_bid() -> None:
    game = WholeGame(HOUSE, shaker=3)
    game.deal(HANDS)
    for call in (41, 0, 0, 0):
        game.call(call)
    assert NELLO not in game.legal_declarations()
    with pytest.raises(rules.IllegalDeclaration, match="seat 0 may not declare nello after a bid"):
        game.declare(NELLO)
    assert HouseDeclaration.SEVENS not in game.legal_declarations()


def test_after_a_plunge_the_partner_names_trumps_and_leads() -> None:
    game = WholeGame(HOUSE, shaker=3)
    game.deal(HANDS)
    for call in (0, call_of("plunge-4"), 0, 0):
        game.call(call)
    assert (game.bidder, game.declarer, game.seat) == (1, 3, 3)
    assert NELLO not in game.legal_declarations()
    game.declare(Declaration.FIVES)
    assert (game.leader, game.seat) == (3, 3)
    while not game.results:
        game.play(game.legal_plays()[0])
    assert sum(game.results[0].award) == 4
    bidder_leads = RuleSet(plunge=4, partner_leads=False)
    game = game_of(Declaration.FIVES, 0, call_of("plunge-4"), rule_set=bidder_leads)
    assert (game.leader, game.declarer) == (1, 3)


def test_a_plunge_is_set_by_any_trick_of_the_others() -> None:
    game = game_of(Declaration.BLANKS, 0, call_of("plunge-4"))
    while not game.results:
        game.play(game.legal_plays()[0])
    [result] = game.results
    assert result.made == (result.points[0] == 0)


def test_sevens_are_played_nearest_to_seven_pips() -> None:
    game = game_of(HouseDeclaration.SEVENS, 42)
    assert game.legal_plays() == ids("32")  # five pips; the lead is bound, too
    game.play(D(3, 2))
    assert game.legal_plays() == [D(6, 1)]
    game.play(D(6, 1))
    assert game.legal_plays() == [D(6, 2)]  # eight pips
    game.play(D(6, 2))
    assert game.legal_plays() == ids("43 52")
    game.play(D(5, 2))
    assert [result.made for result in game.results] == [False]  # seat 1 was first with seven


def test_of_equals_in_sevens_the_first_wins() -> None:
    lead, same, far = D(4, 3), D(5, 2), D(0, 0)
    assert rules.trick_winner([same, lead, far, D(6, 1)], HouseDeclaration.SEVENS) == 0
    assert rules.trick_winner([far, same, lead, D(6, 1)], HouseDeclaration.SEVENS) == 1


def test_sevens_goes_on_when_the_partner_takes_a_trick() -> None:
    hands = [ids("43 52 61 42 51 60 33"), ids("66 65 55 64 54 63 62"), ids("44 53 41 50 32 22 31"),
             ids("00 10 11 20 21 30 40")]  # fmt: skip
    game = WholeGame(RuleSet(sevens=1), shaker=1)
    game.deal(hands)
    for call in (42, 0, 0, 0):
        game.call(call)
    assert game.bidder == 2  # who holds nothing of seven pips: its partner, seat 0, takes tricks
    game.declare(HouseDeclaration.SEVENS)
    winners = set()
    while not game.results:
        game.play(game.legal_plays()[0])
        if not game.results and not game.trick:
            winners.add(game.seat)
    assert 0 in winners
    assert game.results[0].points[1] == 0 or not game.results[0].made


def test_a_bidder_that_always_passes_ends() -> None:
    """No redeal without end: after so many hands the shaker must bid."""
    game = WholeGame(RuleSet(most_reshakes=3), seed=5)
    while not game.over:
        if game.phase == "call":
            game.call(game.legal_calls()[0])  # a pass wherever there is one
        elif game.phase == "declare":
            game.declare(game.legal_declarations()[0])
        else:
            game.play(game.legal_plays()[0])
    thrown_in = [result.bid == 0 for result in game.results]
    assert thrown_in[:4] == [True, True, True, False]
    assert sum(not away for away in thrown_in) <= 13
    assert RuleSet().most_reshakes > 0


def test_points_already_taken_count_towards_the_bid() -> None:
    """A published player compared the points still to come with the bid."""
    game = WholeGame(RuleSet(early_end=False), seed=3)
    while game.phase != "declare":
        game.call(game.legal_calls()[-1] if not game.bid else 0)
    game.declare(Declaration.NO_TRUMP)
    while game.phase == "play" and game.hand_number == 1:
        team = game.bidder % 2
        need = min(game.bid, 42)
        expected = (
            True if game.points[team] >= need
            else False if game.points[1 - team] > 42 - need
            else None
        )  # fmt: skip
        assert game.made == expected
        game.play(game.legal_plays()[0])


def test_straight_rules_have_no_house_calls() -> None:
    game = WholeGame(shaker=3)
    game.deal(HANDS)
    game.call(0)
    assert game.seat == 1  # four doubles
    assert game.legal_calls() == [0, *range(30, 42), 42, 84]
    for call in (42, 0, 0):
        game.call(call)
    assert game.legal_declarations() == [0, 1, 2, 3, 4, 5, 6, 7, 9]


# --- what a shaker may that had to bid ------------------------------------------------------------

#: Seat 0 has six of the seven sixes.
SIXES = [ids("66 65 64 63 62 61 50"), ids("60 00 11 22 33 44 55"),
         ids("10 20 21 30 31 32 40"), ids("41 42 43 51 52 53 54")]  # fmt: skip


def forced(rule_set: RuleSet, call: int) -> WholeGame:
    """Seat 0 shakes, three pass, and it calls; it is to declare."""
    game = WholeGame(rule_set, shaker=0)
    game.deal(SIXES)
    for each in (0, 0, 0, call):
        game.call(each)
    return game


def test_a_shaker_that_had_to_bid_may_declare_nello_after_points() -> None:
    rule_set = RuleSet(all_pass="force", nello="own", nello_marks=0, nello_forced=True, sevens=1,
                       sevens_forced=True)  # fmt: skip
    assert NELLO in forced(rule_set, 30).legal_declarations()
    assert HouseDeclaration.SEVENS not in forced(rule_set, 30).legal_declarations()
    assert HouseDeclaration.SEVENS in forced(rule_set, 42).legal_declarations()
    free = WholeGame(rule_set, shaker=0)
    free.deal(SIXES)
    for call in (42, 0, 0, 0):
        free.call(call)
    with pytest.raises(rules.IllegalDeclaration, match="seat 1 may not declare nello after a bid"):
        free.declare(NELLO)
    assert HouseDeclaration.SEVENS not in free.legal_declarations()
    marks_too = RuleSet(all_pass="force", nello="own", nello_forced=True)
    assert NELLO not in forced(marks_too, 30).legal_declarations()
    assert NELLO in forced(marks_too, 42).legal_declarations()


def test_who_throws_in_too_often_must_bid_and_is_forced_then() -> None:
    game = WholeGame(RuleSet(nello="own", nello_marks=0, nello_forced=True, most_reshakes=1))
    game.deal(SIXES)
    for _ in range(4):
        game.call(0)
    game.deal(SIXES)
    for call in (0, 0, 0, 30):
        game.call(call)
    assert NELLO in game.legal_declarations()
    game.declare(NELLO)
    while len(game.results) < 2:
        game.play(game.legal_plays()[0])
    assert sum(game.results[-1].award) == 1  # a bid of points is worth one mark, made or set


@pytest.mark.parametrize(
    ("paid", "last", "award"), [(1, "61", (1, 0)), (2, "61", (2, 0)), (2, "10", (1, 0))]
)
def test_all_seven_tricks_after_a_forced_bid(paid: int, last: str, award: tuple[int, int]) -> None:
    """The hand goes on while they may still be taken, and no longer; and it is paid for them."""
    other = {"61": "10", "10": "61"}[last]
    hands = [ids("66 65 64 63 62 60 " + last), ids("00 11 22 33 44 55 51"),
             ids(f"{other} 20 21 30 31 32 40"), ids("41 42 43 50 52 53 54")]  # fmt: skip
    game = WholeGame(RuleSet(all_pass="force", forced_sweep=paid, early_end=False), shaker=0)
    game.deal(hands)
    for call in (0, 0, 0, 30):
        game.call(call)
    game.declare(Declaration.SIXES)
    while not game.results:
        game.play(game.legal_plays()[-1])
        if game.made and not game.trick and not game.results and game.points[1] == 0 and paid > 1:
            with pytest.raises(rules.WrongPhase, match="all seven tricks pay more and may still"):
                game.end_hand()
    assert (game.results[0].made, game.results[0].award) == (True, award)
    early = WholeGame(RuleSet(all_pass="force", forced_sweep=paid), shaker=0)
    early.deal(hands)
    for call in (0, 0, 0, 30):
        early.call(call)
    early.declare(Declaration.SIXES)
    tricks = 0
    while not early.results:
        early.play(early.legal_plays()[-1])
        tricks += early.trick == []
    assert early.results[0].award == award
    assert (tricks == 7) == (paid == 2)
