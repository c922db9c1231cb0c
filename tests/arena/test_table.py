"""Whole games at a table: the protocol there and back, our seat, programs of others, records."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_games import RULE_SETS, legal, played

import zebfast
from zebfast import WholeGame, WholeGameBatch, dominoes_of, rules
from zebfast.arena.io.replay import parse_game, replay_game
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.table import seat
from zebfast.arena.table.foreign import ForeignPlayer, ForeignPlayerError, replacement
from zebfast.arena.table.hands import act_one_by_one
from zebfast.arena.table.house import HouseOptions, _tally, house_play, possible_worlds
from zebfast.arena.table.lockstep import PlayedGame, play_pairs
from zebfast.arena.table.match import half_width, play_table_match, win_interval
from zebfast.arena.table.players import WholePlayer, seen_game, table_player
from zebfast.arena.table.protocol import ANSWERS, ProtocolError, read_request, request_of
from zebfast.arena.table.record import record_of
from zebfast.arena.table.seat import serve
from zebfast.cli.marks import text_of
from zebfast.rules import RuleSet, SeatView

seeds = st.integers(0, 2**64 - 1)
kinds = st.sampled_from(list(RULE_SETS))


def ids(text: str) -> tuple[int, ...]:
    return tuple(rules.domino_id(int(part[0]), int(part[1])) for part in text.split())


@pytest.fixture(scope="module")
def rule_player() -> WholePlayer:
    return table_player("heuristic2")


@given(seed=seeds, kind=kinds, n=st.integers(0, 120))
@settings(max_examples=80, deadline=None)
def test_a_request_tells_all_that_a_seat_knows_of_the_hand(seed: int, kind: str, n: int) -> None:
    game = played(RULE_SETS[kind], seed, n)
    if game.seat is None:
        return
    view = game.seen_by(game.seat)
    line = json.dumps(request_of(view, "g"))
    read = read_request(json.loads(line)).view
    assert read is not None
    declarer = game.bidder if game.phase == "play" else view.declarer
    same = replace(view, results=(), points=view.points, declarer=declarer)
    if game.phase == "call":
        same = replace(same, bidder=None, declarer=None)
    assert read == same


@given(seed=seeds, n=st.integers(5, 60))
@settings(max_examples=40, deadline=None)
def test_a_hand_as_seen_is_the_same_for_players_whatever_is_hidden(seed: int, n: int) -> None:
    game = played(RuleSet(), seed, n)
    if game.phase != "play" or game.seat is None:
        return
    real, seen = game.hand_game(), seen_game(game.seen_by(game.seat))
    assert seen.observation() == real.observation()
    assert seen.legal() == real.legal()
    assert seen.plays == real.plays
    assert seen.points == real.points


def test_the_rule_makes_the_lowest_bid_up_to_its_ceiling(rule_player: WholePlayer) -> None:
    hands = [ids("55 65 54 53 66 44 10"), ids("64 63 62 61 60 43 42"),
             ids("52 51 50 41 40 32 31"), ids("33 22 11 00 30 21 20")]  # fmt: skip
    game = WholeGame(shaker=3)
    game.deal(hands)
    assert rule_player.call(game.seen_by(0)) == 30
    game.call(84)
    assert rule_player.call(game.seen_by(1)) == 0
    for _ in range(3):
        game.call(0)
    assert rule_player.declare(game.seen_by(0)) == rules.Declaration.FIVES
    forced = WholeGame(RuleSet(all_pass="force"), shaker=0)
    forced.deal([hands[1], hands[2], hands[2][:0] + hands[3], hands[0]])
    for _ in range(3):
        forced.call(0)
    assert rule_player.call(forced.seen_by(0)) == 30  # it must


@pytest.mark.parametrize("kind", RULE_SETS)
def test_games_at_a_table_end_and_their_records_replay(kind: str, rule_player: WholePlayer) -> None:
    names = ("heuristic2", "random")
    pair = list(
        play_pairs(rule_player, table_player("random"), n_pairs=1, seed=3, rule_set=RULE_SETS[kind])
    )
    assert [game.half for game in pair] == [0, 1]
    dealt = [WholeGame.from_text("\n".join(str(g.game).split("\n")[:2])).dealt for g in pair]
    assert dealt[0] == dealt[1]  # the same deals, teams swapped
    for game in pair:
        record = record_of(game, names)
        assert replay_game(parse_game(json.dumps(record).encode(), 1)) is None
        assert record["players"][0] == names[game.half]
    assert list(pair[0].plays) == list(
        next(
            play_pairs(
                rule_player, table_player("random"), n_pairs=1, seed=3, rule_set=RULE_SETS[kind]
            )
        ).plays
    )


@pytest.mark.parametrize("kind", ["straight", "house", "points"])
def test_games_side_by_side_are_those_one_by_one(kind: str) -> None:
    """Whatever is played beside them: the same games, in the same order, and the same record."""

    def lines(at_once: int) -> list[str]:
        games = play_pairs(table_player("heuristic2"), table_player("random"), n_pairs=3, seed=6,
                           rule_set=RULE_SETS[kind], at_once=at_once)  # fmt: skip
        return [json.dumps(record_of(game, ("a", "b"))) for game in games]

    one = lines(1)
    assert len(one) == 6
    assert lines(4) == one
    assert lines(99) == one


@pytest.mark.parametrize(
    "spec", ["random", "heuristic2", "zeb", "eq:n=3,objective=make", "search:n=6,worlds=2"]
)
def test_nobody_plays_by_what_is_hidden(spec: str) -> None:
    """With all hands at its feet a player does what it does when it is told one seat's view."""
    player, rule_set = table_player(spec, seed=3), RULE_SETS["house"]
    games = WholeGameBatch(6, seed=11, rule_set=rule_set)
    asked_of = np.zeros(4, np.int64)
    for step in range(60):
        games.act_forced()
        rows = np.flatnonzero(~games.over)
        actions = player.act(games, rows)
        if step % 4 == 0:
            assert actions.tolist() == act_one_by_one(player, games, rows).tolist()
        asked_of += np.bincount(games.phase[rows], minlength=4)[:4]
        games.act(actions, rows)
        games.play_random(games.phase == 1)  # auctions that a careful bidder never makes
    assert (asked_of[1:] > 0).all()


def served(player: WholePlayer, *requests: Any) -> list[Any]:
    lines = b"".join(
        request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        for request in requests
    )
    answers = io.BytesIO()
    serve(player, io.BytesIO(lines), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def asked(seed: int = 1, phase: str = "play") -> tuple[WholeGame, dict[str, Any]]:
    """A game in that phase, and what its seat is asked."""
    game = next(
        game
        for number in range(99)
        for game in (played(RuleSet(), seed + number, 9),)
        if game.phase == phase and game.seat is not None
    )
    assert game.seat is not None
    return game, request_of(game.seen_by(game.seat), "g")


def test_our_seat_answers_what_it_would_do_at_our_table(rule_player: WholePlayer) -> None:
    game, request = asked()
    view = game.seen_by(game.seat or 0)
    hello, play = served(rule_player, {"v": 1, "type": "hello"}, b"\n", request)
    assert hello == {"name": "heuristic2", "notify": False}
    assert play == {"play": list(rules.DOMINOES[rule_player.play(view)])}
    assert served(rule_player, {"v": 1, "type": "hand_end", "anything": 3}) == []
    game, request = asked(phase="call")
    [bid] = served(rule_player, request)
    assert bid["bid"] in request["legal"]


def test_our_seat_takes_requests_without_our_own_text_of_rules(rule_player: WholePlayer) -> None:
    _, request = asked(phase="call")
    del request["rules"]["text"]
    request["rules"]["contracts"] = ["straight", "nello", "plunge"]
    view = read_request(request).view
    assert view is not None
    assert (view.rule_set.nello, view.rule_set.plunge, view.rule_set.sevens) == ("any", 4, 0)
    assert served(rule_player, request)


BAD: list[tuple[dict[str, Any] | bytes, str]] = [
    (b"{", "it is not valid JSON"),
    (b"[1]\n", "it is not a JSON object"),
    (b"9" * (1 << 21), "it is longer than 1,048,576 bytes"),
    ({"v": 2}, "the request has v 2; expected 1"),
    ({"v": None}, "the request has v None"),
    ({"type": 3}, "the request has no type"),
    ({"seat": 4}, "has 4 for 'seat'"),
    ({"hand": [[1, 1]] * 8}, "has 8 dominoes in 'hand'"),
    ({"hand": [[7, 1]]}, "has 7 for 'hand'"),
    ({"legal": []}, "has no legal answer in 'legal'"),
    ({"legal": [3]}, "no [high, low]"),
    ({"decl": 99}, "has 99 for 'decl'"),
    ({"plays": [3]}, "has an entry in 'plays' that is no pair"),
    ({"plays": [[0, [1, 1]]] * 28}, "has 28 plays: the hand is over"),
    ({"dealt": [[1, 1]]}, "has 1 entries in 'dealt'; expected 7"),
    ({"dealt": [[0, 0], [1, 0], [1, 1], [2, 0], [2, 1], [2, 2], [3, 0]]}, "not in 'dealt'"),
    ({"rules": "straight"}, "has no object 'rules'"),
    ({"rules": {"text": "melo=own"}}, "unknown key in the rule set: 'melo'"),
    ({"rules": {"allpass": "never"}}, "all_pass is 'never'"),
    ({"bid": 29}, "has a bid that is none: 29 is no call"),
    ({"plays": [[0, [0, 0]], [0, [0, 0]]]}, "it tells of no possible hand"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=[words for _, words in BAD])
def test_a_line_that_is_no_request_is_one_sentence(
    change: dict[str, Any] | bytes, words: str, rule_player: WholePlayer
) -> None:
    _, request = asked()
    line = change if isinstance(change, bytes) else request | change
    with pytest.raises(ProtocolError) as caught:
        served(rule_player, b"\n", line)
    assert words in str(caught.value)
    assert str(caught.value).startswith("Line 2 from the table is no request: ")
    assert "\n" not in str(caught.value)


def test_a_policy_that_errs_is_not_the_tables_fault(
    monkeypatch: pytest.MonkeyPatch, rule_player: WholePlayer
) -> None:
    def errs(*_: object) -> int:
        raise zebfast.PolicyError("policy mine played [6, 6], which it does not hold")

    monkeypatch.setattr(seat, "choice", errs)
    _, request = asked()
    with pytest.raises(zebfast.PolicyError, match="policy mine played"):
        served(rule_player, request)


# --- programs of others ---------------------------------------------------------------------------

HEAD = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    kind = request["type"]
    if kind == "hello":
        print(json.dumps({"name": "theirs", "notify": %s}), flush=True)
        continue
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Any]:
    """A foreign player whose lines after the hello are given; it ends with the test."""
    opened = []

    def make(body: str, *, notify: bool = False, seconds: float = 20.0) -> ForeignPlayer:
        path = tmp_path / f"player{len(opened)}.py"
        text = HEAD % notify + "".join(f"    {line}\n" for line in body.splitlines())
        path.write_text(text, encoding="utf-8")
        player = ForeignPlayer(f"{sys.executable} {path}", seconds=seconds)
        opened.append(player)
        return player

    yield make
    for player in opened:
        player.close()
        assert player._process.poll() is not None


ANSWER_LOWEST = """key = {"bid": "bid", "declare": "decl", "play": "play"}.get(kind)
if key: print(json.dumps({key: request["legal"][0], "info": {"saw": len(request)}}), flush=True)
else: open(sys.argv[0] + ".told", "a").write(kind + "\\n")"""


class Lowest:
    """What the program above does, here."""

    name = "lowest"

    def call(self, view: SeatView) -> int:
        return view.legal[0]

    declare = play = call


def test_a_program_plays_as_the_same_player_here(program: Any, tmp_path: Path) -> None:
    theirs = program(ANSWER_LOWEST, notify=True)
    games: list[PlayedGame] = []
    forced = RuleSet(all_pass="force")
    result = play_table_match(
        theirs, Lowest(), n_pairs=1, seed=4, rule_set=forced, seen=games.append
    )
    here = play_table_match(Lowest(), Lowest(), n_pairs=1, seed=4, rule_set=forced)
    assert (result.marks_a_game, result.hands) == (here.marks_a_game, here.hands) == (0, here.hands)
    assert result.illegal_a == 0
    assert theirs.said_name == "theirs"
    assert games[0].infos
    assert {"player", "hand", "seat", "phase", "info"} == set(games[0].infos[0])
    record = record_of(games[0], (theirs.name, "lowest"))
    assert replay_game(parse_game(json.dumps(record).encode(), 1)) is None
    assert record["infos"]
    theirs.close()
    told = (tmp_path / "player0.py.told").read_text().split()
    assert told[0] == "game"
    assert told.count("game_end") == 2
    assert told.count("hand_end") == sum(len(game.game.results) for game in games)


@pytest.mark.parametrize(
    "answer", ['{"bid": 29, "decl": 8, "play": [6, 7]}', "{}", "nonsense", "[]", '{"bid": true}']
)
def test_answers_that_are_not_legal_are_counted_and_replaced(program: Any, answer: str) -> None:
    theirs = program(f"print('{answer}', flush=True)")
    game = WholeGame(seed=1)
    view = game.seen_by(game.seat or 0)
    assert theirs.call(view) == 0 == replacement(view)
    for call in (42, 0, 0, 0):
        game.call(call)
    view = game.seen_by(game.seat or 0)
    assert theirs.declare(view) == rules.longest_pip(game.dealt[game.seat or 0])
    game.declare(3)
    view = game.seen_by(game.seat or 0)
    assert theirs.play(view) == min(legal(game))
    assert theirs.illegal == 3


def test_no_answer_in_time_is_a_sentence(program: Any) -> None:
    theirs = program("import time; time.sleep(60)", seconds=0.2)
    game = WholeGame(seed=1)
    theirs.begin("1-0-0")
    with pytest.raises(ForeignPlayerError, match=r"gave no answer to bid of game 1-0-0, hand 1 wi"):
        theirs.call(game.seen_by(game.seat or 0))


def test_a_program_that_ends_is_a_sentence(program: Any) -> None:
    theirs = program("sys.exit(5)")
    game = WholeGame(seed=1)
    with pytest.raises(ForeignPlayerError, match="ended with exit code 5, and owes the answer to"):
        theirs.call(game.seen_by(game.seat or 0))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "does not start: "),
        ("/no/such/program", "does not start: No such file"),
        ("'", "does not start: No closing quotation"),
        (f"{sys.executable} -c pass", "ended with exit code 0, and owes the answer to hello"),
    ],
)
def test_a_program_that_does_not_start(command: str, words: str) -> None:
    with pytest.raises(ForeignPlayerError) as caught:
        ForeignPlayer(command)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_phase_has_an_answer() -> None:
    assert set(ANSWERS) == {"call", "declare", "play"}


@pytest.mark.parametrize("decl", [10, 12, 14])
def test_house_contracts_are_played_by_what_the_seat_knows(decl: int) -> None:
    """Layouts are possible ones, the same view gives the same play, and it is legal."""
    rule_set = RuleSet(nello="any", sevens=1, early_end=False)
    game = WholeGame(rule_set, seed=decl)
    for call in (42, 0, 0, 0):
        game.call(call)
    game.declare(decl)
    asked_before = set()
    while game.phase == "play" and game.hand_number == 1:
        assert game.seat is not None
        view = game.seen_by(game.seat)
        asked_before.add(game.seat)
        if game.made is None:
            worlds = possible_worlds(view)
            held = [sum(1 << d for d in own) for own in game.hands]
            assert worlds.probability(np.array([held], np.uint32))[0] > 0
            chosen = house_play(view, HouseOptions(5), seed=1, number=2)
            assert chosen in view.legal
            assert chosen == house_play(view, HouseOptions(5), seed=1, number=2)
        else:
            chosen = view.legal[0]
        game.play(chosen)
    assert len(asked_before) == (4 if decl == 14 else 3)


def test_one_that_aims_for_nello_makes_it_more_often_than_one_that_does_not() -> None:
    """The same deals and opponents: the bidder plays for the contract, or its lowest dominoes."""
    made = [0, 0]
    for seed in range(12):
        for aims in range(2):
            game = WholeGame(RuleSet(nello="own"), seed=seed)
            for call in (42, 0, 0, 0):
                game.call(call)
            game.declare(10)
            while game.hand_number == 1:
                view = game.seen_by(game.seat or 0)
                aiming = aims or view.seat != game.bidder
                game.play(
                    house_play(view, HouseOptions(6), seed=1, number=seed)
                    if aiming
                    else max(view.legal)
                )
            made[aims] += game.results[0].made is True
    assert made[1] >= made[0]


# --- every contract, by every kind of player ------------------------------------------------------

#: What the row of that number plays: the call in its mask that is made, and the declaration.
FORCED = [*((13, decl) for decl in rules.HouseDeclaration), (rules.PLUNGE_BIT, 6),
          (rules.SPLASH_BIT, 5)]  # fmt: skip
EVERY_CONTRACT = RuleSet(nello="any", plunge=4, splash=2, sevens=1, target=4, most_reshakes=60)


def forced_contracts(player: WholePlayer, numbers: list[int]) -> tuple[list[bytes], set[int]]:
    """Whole games in which the first that can calls row number % 7's contract: what was done in
    each, and the declarations and calls that were met."""
    games = WholeGameBatch(len(numbers), seed=4, games=numbers, rule_set=EVERY_CONTRACT)
    met: set[int] = set()
    while not games.over.all():
        games.act_forced()
        rows = np.flatnonzero(~games.over)
        actions, phases, legal = np.zeros(len(rows), np.uint8), games.phase[rows], games.legal(rows)
        playing = np.flatnonzero(phases == 3)
        if len(playing):
            actions[playing] = player.act(games, rows[playing])
            met |= {*games.decl[rows[playing]].tolist()}
            met |= {100 + rules.contract_of(bid) for bid in games.bid[rows[playing]].tolist()}
        for i in np.flatnonzero(phases < 3):
            wanted = FORCED[numbers[rows[i]] % len(FORCED)][phases[i] - 1]
            free = phases[i] == 2 or games.bid[rows[i]] == 0
            lowest = dominoes_of(int(legal[i]))[0]
            actions[i] = wanted if free and legal[i] >> wanted & 1 else lowest
        games.act(actions, rows)
    return [games.actions(row) for row in range(len(numbers))], met


@pytest.mark.parametrize(
    "spec", ["random", "heuristic2", "zeb", "eq:n=3", "search:worlds=2", "search:n=4,worlds=2"]
)
def test_every_contract_is_played_out_alike_however_many_there_are(spec: str) -> None:
    player, numbers = table_player(f"rule+{spec}", seed=2), list(range(len(FORCED)))
    together, met = forced_contracts(player, numbers)
    assert {*rules.HouseDeclaration, 101, 102} <= met
    assert [forced_contracts(player, [number])[0][0] for number in numbers[::3]] == together[::3]


@pytest.mark.parametrize(
    ("spec", "worlds", "seconds"),
    [("heuristic", 20, 0), ("eq:n=7", 7, 0), ("search:worlds=9", 9, 0),
     ("search:n=5,worlds=3", 3, 0), ("search:ms=20", 10_000, 0.02)],
)  # fmt: skip
def test_contracts_of_the_house_are_thought_about_as_the_spec_says(
    spec: str, worlds: int, seconds: float
) -> None:
    assert HouseOptions.of(parse_spec(spec).options) == HouseOptions(worlds, seconds)


def test_time_for_a_contract_of_the_house_is_shared_and_ends() -> None:
    """Worlds double while there is time for them, and who has looked at all is not asked again."""
    now, asked_for = [0.0], []

    def ask(rows: Any, first: int, n: int) -> Any:
        asked_for.append((rows.tolist(), first, n))
        now[0] += 0.001 * n
        return np.full((len(rows), 28), n, np.uint32), np.array([10**6, 20], np.uint64)[rows]

    made = _tally(ask, 2, HouseOptions(10_000, 0.05), clock=lambda: now[0])
    assert asked_for == [([0, 1], 0, 8), ([0, 1], 8, 8), ([0, 1], 16, 16), ([0], 32, 32),
                         ([0], 64, 36)]  # fmt: skip
    assert made[:, 0].tolist() == [100, 16]
    assert now[0] == pytest.approx(0.1)


def test_a_view_of_no_possible_hand_is_one_sentence() -> None:
    game = WholeGame(RuleSet(nello="own"), seed=2)
    for call in (42, 0, 0, 0):
        game.call(call)
    game.declare(10)
    game.play(game.legal_plays()[0])
    view = game.seen_by(game.seat or 0)
    twice = replace(view, plays=((view.plays[0][0], view.hand[0]),))
    with pytest.raises(ValueError, match=r"^the other hands have room for 20 dominoes, but"):
        house_play(twice, seed=1, number=1)
    wrong = replace(view, plays=((view.seat, view.plays[0][1]),))
    with pytest.raises(ValueError, match="dominoes"):
        house_play(wrong, seed=1, number=1)


# --- what so many games can tell ------------------------------------------------------------------


def test_games_won_have_an_interval_however_few_pairs_there_are() -> None:
    all_won, none_known = np.ones((1, 2)), np.array([[1.0, 0.0]] * 40)
    low, high = win_interval(all_won)
    assert (round(low, 3), high) == (0.342, 1.0)  # Wilson's, of two games
    low, high = win_interval(none_known)
    assert (
        low < 0.45 < 0.55 < high
    )  # pairs all alike: as if games had nothing to do with each other
    assert half_width(all_won) is None
    assert half_width(none_known) is None
    rng = np.random.default_rng(1)
    many = (rng.random((4000, 2)) < 0.6).astype(float)
    low, high = win_interval(many)
    assert high - low == pytest.approx(2 * half_width(many), rel=0.01)  # type: ignore[operator]
    split = np.array([[1.0, 0.0]] * 90 + [[1.0, 1.0]] * 10)
    low, high = win_interval(split)
    assert high - low == pytest.approx(2 * half_width(split), rel=0.1)  # type: ignore[operator]


def test_one_pair_has_no_plus_or_minus() -> None:
    result = play_table_match(table_player("random"), table_player("random"), n_pairs=1, seed=1)
    assert result.marks_a_game_half_width is None
    assert result.win_rate_low < result.win_rate < result.win_rate_high
    assert result.elo_low < result.elo < result.elo_high
    told = text_of(result)
    assert "±" not in told
    assert "one pair, or pairs all alike, do not show how far marks spread" in told
