"""Policies: what they see, compiled against plain Python, and what they may not do."""

from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from slow_policy import seen
from world_games import as_position, batch_after, for_contracts

import zebfast
from zebfast.arena.match import play_match
from zebfast.arena.pairs import PairedGames
from zebfast.arena.players.api import GamePlayer
from zebfast.arena.players.base import Player, plain_player
from zebfast.arena.players.build import PlayerLoadError, build_player, weights_digest
from zebfast.arena.players.policy import PolicyPlayer, finishing
from zebfast.arena.players.specs import (
    PlayerSpecError,
    PolicyOptions,
    PolicyPlace,
    RolloutSearch,
    parse_spec,
)
from zebfast.arena.policies.asking import Asked
from zebfast.arena.policies.load import load_policy
from zebfast.arena.policies.options import AskingOptions
from zebfast.arena.policies.policy import PolicyStuck
from zebfast.arena.policies.view import views_of
from zebfast.arena.table.lockstep import play_pairs
from zebfast.arena.table.players import WholePlayer, table_player
from zebfast.core.policy import (
    POLICY_ABI,
    PROTOTYPE,
    PolicyFunction,
    PolicyRun,
    random_policy,
    views,
)
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import Stream

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "policies.py"
BAD = """
import zebfast

@zebfast.policy
def lowest(view, random):
    for domino in range(28):
        if view.legal >> domino & 1:
            return domino
    return -1

@zebfast.policy
def illegal(view, random):
    return 27 if view.n_plays >= 8 else lowest(view, random)

@zebfast.policy
def raises(view, random):
    return view.legal // (view.n_plays - view.n_plays)

@zebfast.policy
def outside(view, random):
    return view.table[3 + view.n_table]

@zebfast.policy
def code(view, random):
    return -7

@zebfast.policy
def huge(view, random):
    return random * 0 + (1 << 40)

@zebfast.policy
def endless(view, random):
    while view.n_plays >= 5:
        random += 1
    return lowest(view, random)

@zebfast.policy
def uncompiled(view, random):
    return view.nothing

@zebfast.policy
def floats(view, random):
    return view.legal / 2

@zebfast.policy
def nothing(view, random):
    return None

@zebfast.policy
def recursive(view, random):
    return recursive(view, random)

@lowest.bid
def lowest(view, random):
    return 41

@zebfast.policy
def declares(view, random):
    return lowest(view, random)

@declares.declare
def declares(view, random):
    return 12
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies") / "bad.py"
    path.write_text(BAD)
    return path


def example(name: str, how: str = "") -> Player:
    return build_player(parse_spec(f"policy:{EXAMPLES}:{name}{how}"))


@pytest.fixture
def numba() -> None:
    pytest.importorskip("numba")


@pytest.mark.parametrize("contracts", [False, True])
def test_views_are_those_of_the_plain_rules(contracts: bool) -> None:
    for plies in range(28):
        games = batch_after(12, plies, seed=plies)
        if contracts:
            games = for_contracts(games, seed=plies)
        bids = 30 + np.arange(12)
        found = list(views_of(views(games, None, bids=bids)))
        assert found == [seen(as_position(games, row), 30 + row) for row in range(12)]


def test_a_view_hangs_on_no_hidden_hand() -> None:
    games = batch_after(20, 9, seed=3)
    hands = zebfast.sample_worlds(games, None, 1, seed=1, game_numbers=np.arange(20))
    from zebfast.core.rollouts import laid_out

    before, after = views(games, None, bids=30), views(laid_out(games, None, hands), None, bids=30)
    assert (games.held != hands[:, 0]).any()
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("name", ["random", "heuristic", "heuristic2"])
def test_examples_are_the_players_of_the_arena_as_plain_python(name: str) -> None:
    assert_same_plays(example(name, ",compiled=no"), plain_player(name), n_deals=12)


@pytest.mark.parametrize("name", ["random", "heuristic", "heuristic2"])
def test_examples_are_the_players_of_the_arena_compiled(name: str, numba: None) -> None:
    assert_same_plays(example(name), plain_player(name), n_deals=300)


def assert_same_plays(one: Player, other: Player, *, n_deals: int) -> None:
    games = PairedGames(seed=5, first_deal=3, n_deals=n_deals)
    same = PairedGames(seed=5, first_deal=3, n_deals=n_deals)
    while not games.over:
        games.advance(one.choose, other.choose)
        same.advance(other.choose, other.choose)
        assert games.batch == same.batch


def test_games_played_to_their_ends_in_c_are_the_same(numba: None) -> None:
    """Also where one of the two is the core's random player."""
    names = [example("heuristic2"), plain_player("random"), example("random")]
    for a, b in ((names[0], names[1]), (names[1], names[2]), (names[1], names[1])):
        games, same = (PairedGames(seed=2, first_deal=7, n_deals=100) for _ in range(2))
        finish = finishing(a, b)
        assert finish is not None
        games.finish(finish)
        while not same.over:
            same.advance(a.choose, b.choose)
        assert games.batch == same.batch
        assert games.over


def test_one_that_is_not_in_c_is_asked_ply_by_ply() -> None:
    slow = example("random", ",compiled=no")
    assert finishing(slow, plain_player("random")) is None
    assert finishing(plain_player("heuristic"), plain_player("random")) is None
    result = play_match(slow, plain_player("random"), n_games=40, seed=1)
    assert result.as_dict() == play_match(
        plain_player("random"), plain_player("random"), n_games=40, seed=1
    ).as_dict() | {"player_a": slow.name, "games_per_s": result.as_dict()["games_per_s"]}


@pytest.mark.parametrize("how", [pytest.param("", marks=pytest.mark.slow), ",compiled=no"])
def test_whole_games_are_those_of_the_rule_and_the_heuristic(how: str) -> None:
    if not how:
        pytest.importorskip("numba")
    n_pairs = 3
    spec = f"{EXAMPLES}:heuristic2{how}"
    ours, theirs = table_player(spec), table_player("rule+heuristic2")
    found = [game.actions for game in play_pairs(ours, ours, n_pairs=n_pairs, seed=4)]
    assert found == [game.actions for game in play_pairs(theirs, theirs, n_pairs=n_pairs, seed=4)]
    mixed = table_player(f"{spec}+heuristic2"), table_player(f"rule+policy:{spec}")
    assert found == [game.actions for game in play_pairs(*mixed, n_pairs=n_pairs, seed=4)]


@pytest.mark.parametrize(
    ("name", "compiled", "said"),
    [
        ("illegal", False, "answered 6-6 in game "),
        ("raises", True, "raised ZeroDivisionError (integer division or modulo by zero) in game "),
        ("raises", False, "raised ZeroDivisionError (integer division or modulo by zero) in game "),
        ("outside", True, "raised IndexError (list index out of range) in game "),
        ("outside", False, "raised IndexError (list index out of range) in game "),
        ("code", False, "gave the error -7 in game "),
        ("huge", False, "answered 255, which is no domino, in game "),
        ("floats", False, "answered 67311633.0, which is no whole number, in game "),
        ("nothing", False, "answered None, which is no whole number, in game "),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(
    bad: Path, name: str, said: str, compiled: bool
) -> None:
    if compiled:
        pytest.importorskip("numba")
    how = "" if compiled else ",compiled=no"
    player = build_player(parse_spec(f"{bad}:{name}{how}"))
    with pytest.raises(zebfast.PolicyError) as told:
        play_match(player, plain_player("heuristic"), n_games=20)
    text = str(told.value)
    assert text.startswith(f"Policy {name!r} of {bad} {said}")
    assert "are legal: mend it" in text
    assert ", play " in text
    replaced = build_player(parse_spec(f"policy:{bad}:{name},illegal=replace{how}"))
    lowest = build_player(parse_spec(f"{bad}:lowest,compiled=no"))
    result = play_match(replaced, plain_player("heuristic"), n_games=20)
    if name != "illegal":
        wanted = play_match(lowest, plain_player("heuristic"), n_games=20)
        assert result.mean_margin == wanted.mean_margin
    assert replaced.illegal > 20


def test_the_game_of_a_whole_match_is_named(bad: Path) -> None:
    player = table_player(f"{bad}:lowest,compiled=no")
    with pytest.raises(zebfast.PolicyError, match=r"\(bid\) answered 41 in game 0, hand 1, call 2"):
        list(play_pairs(player, player, n_pairs=1, seed=1))
    player = table_player(f"{bad}:declares,compiled=no")
    with pytest.raises(zebfast.PolicyError, match=r"\(declare\).*12, which is no declaration, in"):
        list(play_pairs(player, player, n_pairs=1, seed=1))
    player = table_player(f"rule+{bad}:illegal,compiled=no")
    with pytest.raises(zebfast.PolicyError, match=r"answered 6-6 in game \d, hand \d, play \d"):
        list(play_pairs(player, player, n_pairs=3, seed=1))
    player = table_player(f"{bad}:lowest,compiled=no,illegal=replace")
    assert len(list(play_pairs(player, player, n_pairs=1, seed=1))) == 2
    assert player.illegal > 10


def test_the_game_of_a_whole_match_is_named_where_no_answer_comes() -> None:
    """It is that of the match, whichever rows the policy was asked about. What waits goes on."""
    goes_on = threading.Event()
    waits = PROTOTYPE(lambda view, random: goes_on.wait() - 8)
    asked = Asked(
        "Policy 'own'", {"play": lambda view, random: -7},
        {"play": PolicyFunction(waits, abi=POLICY_ABI)}, AskingOptions(seconds=0.1),
    )  # fmt: skip
    player = GamePlayer(PolicyPlayer("own", asked), ask=None, seed=0)
    own = WholePlayer(table_player("rule+random").bidder, player, "own")
    said = r"no answer for 0\.1 s in game \d, hand 1, play \d: is there"
    try:
        with pytest.raises(PolicyStuck, match=said):
            list(play_pairs(own, table_player("rule+heuristic"), n_pairs=3, seed=1))
    finally:
        goes_on.set()


def test_what_cannot_be_compiled_is_refused(bad: Path, numba: None) -> None:
    for name, said in (
        ("uncompiled", "there is no 'nothing' in what the seat sees; expected"),
        ("floats", "returns float64; expected a whole number"),
        ("recursive", "recursive calls itself; a policy may not."),
    ):
        with pytest.raises(PlayerLoadError) as told:
            build_player(parse_spec(f"{bad}:{name}"))
        assert said in str(told.value)


def test_a_policy_that_does_not_answer_ends_the_program(bad: Path, numba: None) -> None:
    command = [
        sys.executable,
        "-m",
        "zebfast",
        "eval",
        f"{bad}:endless,seconds=0.2",
        "vs",
        "random",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: Policy 'endless' of {bad} has given no answer for 0.2 s")
    assert "in game 0, play " in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_numba_the_extra_is_named(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(PlayerLoadError, match=r"pip install 'zebfast\[numba\]', or play it slowly"):
        build_player(parse_spec(f"{bad}:lowest"))
    build_player(parse_spec(f"{bad}:lowest,compiled=no"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "helper.py").write_text("def chosen(mask):\n    return 1\n")
    path = tmp_path / "own.py"
    path.write_text(
        "import zebfast\nfrom helper import chosen\n"
        "@zebfast.policy\ndef own(view, random):\n    return chosen(view.legal)\n"
    )
    sys.path.insert(0, str(tmp_path))
    yield path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("helper", None)


def test_what_is_compiled_is_kept_until_something_of_it_changes(own: Path, numba: None) -> None:
    """Also in another file: where Numba alone would go on with what is stale."""

    def answer() -> int:
        player = build_player(parse_spec(str(own)))
        record = views(batch_after(1, 0, seed=1), None, bids=30)
        [found] = player.asked.answers("play", record, np.zeros(1, np.int64))
        return int(found)

    def kept() -> list[Path]:
        return list((own.parent / "__pycache__").glob("own.own.play.*/__pycache__/*.nbc"))

    assert answer() == 1
    [first] = kept()
    made = first.stat().st_mtime_ns
    assert answer() == 1
    assert first.stat().st_mtime_ns == made
    first.write_bytes(b"no code")  # as a full disk leaves it
    assert answer() == 1
    (own.parent / "helper.py").write_text("def chosen(mask):\n    return 2 + 0 * mask\n")
    own.write_text(own.read_text() + "# loaded anew\n")
    sys.modules.pop("helper")
    importlib.invalidate_caches()
    shutil.rmtree(own.parent / "__pycache__" / "helper.cpython-311.pyc", ignore_errors=True)
    assert answer() == 2
    assert len(kept()) == 1
    assert kept() != [first]


NAMED_AS_WHAT_IT_SEES = """
import zebfast

@zebfast.policy
def best(view, random):
    return legal(view) if view.best else legal(view)

def legal(view):
    return (view.legal & -view.legal) % 29 // 29
"""


def test_functions_may_have_the_names_of_what_is_seen(tmp_path: Path, numba: None) -> None:
    path = tmp_path / "named.py"
    path.write_text(NAMED_AS_WHAT_IT_SEES)
    build_player(parse_spec(f"policy:{path},illegal=replace"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a, b, c = low, high, low", "a, b, c = low, high, high"),
        ("a, b, c = (((1, 2), 3), 0, 0)", "a, b, c = (((1,), (2, 3)), 0, 0)"),
        ("a, b, c = np.int32(3), 0, 0", "a, b, c = np.int64(3), 0, 0"),
        ("a, b, c = numba.njit(low), 0, 0", "a, b, c = numba.njit(low, fastmath=True), 0, 0"),
    ],
)  # fmt: skip
def test_no_change_goes_unseen(before: str, after: str, numba: None) -> None:
    """What is compiled hangs on which name stands for what, not on the values alone."""
    import numba as library

    from zebfast.arena.policies.compiled import _digest

    def digest(names: str) -> str | None:
        found = {"np": np, "numba": library}
        exec(
            "def low(m):\n return 1\n"
            "def high(m):\n return 2\n"
            f"{names}\n"
            "def own(view, random):\n return (a, b, c)\n",
            found,
        )
        return _digest(found["own"], library)  # type: ignore[arg-type]

    assert digest(before) == digest(before) is not None
    assert digest(before) != digest(after)


def test_functions_of_other_languages_are_taken_by_their_abi() -> None:
    @PROTOTYPE
    def lowest(view: int, random: int) -> int:
        legal = ctypes.cast(view, ctypes.POINTER(ctypes.c_int32))[1]
        return (legal & -legal).bit_length() - 1

    games = batch_after(9, 5, seed=1)
    told = {"bids": 30, "numbers": 0, "seed": 1, "stream": 4, "run": PolicyRun()}
    policy = PolicyFunction(lowest, abi=POLICY_ABI)
    plays = policy.plays(games, None, **told)
    assert plays.tolist() == [game[0] for game in map(zebfast.dominoes_of, games.legal())]
    with pytest.raises(ValueError, match=f"for ABI 99, and this zebfast has {POLICY_ABI}"):
        PolicyFunction(lowest, abi=99)
    with pytest.raises(TypeError, match="a function of PROTOTYPE, not function"):
        PolicyFunction(lambda view, random: 0, abi=POLICY_ABI)
    with pytest.raises(TypeError):
        PolicyFunction(PROTOTYPE(), abi=POLICY_ABI)
    with pytest.raises(ValueError, match="game 0 is over"):
        policy.plays(batch_after(1, 28, seed=1), None, **told)


def test_the_random_player_of_the_core_is_that_of_the_arena() -> None:
    games = batch_after(500, 3, seed=1)
    rng = np.arange(500, dtype=np.uint64)
    plays = random_policy().plays(
        games, None, bids=30, numbers=rng, seed=8, stream=Stream.EVAL_PLAY, run=PolicyRun()
    )
    from zebfast.arena.pairs import PlayRng

    wanted = plain_player("random").choose(
        games, np.arange(500), PlayRng(8, rng, games.n_plays), np.full(500, 30, np.uint8)
    )
    assert plays.tolist() == wanted.tolist()


def test_specs_of_policies() -> None:
    for text, place in (
        ("policy:a/my.py", PolicyPlace("a/my.py")),
        ("a/my.py", PolicyPlace("a/my.py")),
        ("policy:a/my.py:best", PolicyPlace("a/my.py", "best")),
        (" my.py:best ", PolicyPlace("my.py", "best")),
    ):
        assert parse_spec(text).options == PolicyOptions(place)
        assert not parse_spec(text).needs_network
    for text in ("search:model=my.py", "search:model=my.py:best,worlds=2"):
        assert isinstance(parse_spec(text).options, RolloutSearch)
    options = parse_spec("my.py:best, illegal=replace,seconds=2.5,compiled=no").options
    assert isinstance(options, PolicyOptions)
    assert (options.asking.illegal, options.asking.seconds) == ("replace", 2.5)
    assert not options.asking.compiled
    for text, said in (
        ("policy:", "names no file"),
        ("policy", "names no file"),
        ("my.py,illegal=ignore", "expected end or replace"),
        ("my.py,seconds=0", "expected a number"),
        ("my.py,fast=yes", "unknown option 'fast'"),
    ):
        with pytest.raises(PlayerSpecError, match=said):
            parse_spec(text)


def test_a_search_may_have_a_policy_as_the_model_of_its_opponents(bad: Path) -> None:
    spec = parse_spec(f"search:worlds=4,model={EXAMPLES}:heuristic2")
    assert isinstance(spec.options, RolloutSearch)
    assert spec.options.model == PolicyPlace(str(EXAMPLES), "heuristic2")
    plain = parse_spec("search:worlds=4")
    assert not spec.same_player(plain)
    assert weights_digest(spec) != weights_digest(plain)
    with pytest.raises(PlayerSpecError, match=r"gives model, which belongs to method=rollout"):
        parse_spec("search:n=100,model=a.py")


def test_a_model_plays_in_rollouts(bad: Path, numba: None) -> None:
    """It is asked for what the other side plays; a model that errs is named."""
    with SolverPool(1) as pool:
        spec = f"search:worlds=4,exact=3,model={EXAMPLES}:heuristic2"
        player = build_player(parse_spec(spec), device="cpu", pool=pool)
        play_match(player, plain_player("heuristic2"), n_games=4, seed=1)
        player = build_player(parse_spec(f"search:worlds=4,model={bad}:code"), pool=pool)
        with pytest.raises(zebfast.PolicyError, match=r"error -7 in a rollout of game \d, play \d"):
            play_match(player, plain_player("random"), n_games=2)


def test_files_that_hold_no_policy_are_refused(tmp_path: Path, bad: Path) -> None:
    nothing, broken, failing = (
        tmp_path / f"{name}.py" for name in ("nothing", "broken", "failing")
    )
    nothing.write_text("x = 1\n")
    broken.write_text("def f(:\n")
    failing.write_text("import nowhere_to_be_found\n")
    for file, name, said in (
        (tmp_path / "gone.py", "", "does not exist"),
        (tmp_path, "", "Is a directory"),
        (nothing, "", "has no policy: decorate a function"),
        (broken, "", r"SyntaxError: invalid syntax \(line 1\)"),
        (failing, "", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        (bad, "", "has several policies, lowest, illegal,"),
        (bad, "worst", "has no policy 'worst': it has lowest, illegal"),
    ):
        with pytest.raises(zebfast.PolicyError, match=said):
            load_policy(file, name)


def test_a_policy_is_its_plain_function_too() -> None:
    policy = load_policy(EXAMPLES, "heuristic2")
    [view] = views_of(views(batch_after(1, 2, seed=3), None, bids=30))
    assert view.legal >> policy(view, 0) & 1
    assert repr(policy) == "<Policy heuristic2: play, bid, declare>"
    with pytest.raises(zebfast.PolicyError, match=r"expected a function of \(view, random\)"):
        zebfast.policy(lambda view: 0)  # type: ignore[arg-type,misc]
    digest = weights_digest(parse_spec(f"{EXAMPLES}:heuristic"))
    assert digest is not None
    assert len(digest) == 64
