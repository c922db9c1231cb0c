"""Self-play against a user's policy: what its examples say, and answers that cannot be used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from core_evaluator import CoreEvaluator, OutsideEvaluator, small_network

from zebfast.arena.players.build import PlayerLoadError
from zebfast.arena.policies.asking import Asked
from zebfast.arena.policies.options import AskingOptions
from zebfast.arena.policies.policy import PolicyStuck, UnusableAnswer
from zebfast.core.options import SearchOptions
from zebfast.core.policy import POLICY_ABI, PROTOTYPE, PolicyFunction
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.system.settings import SettingError
from zebfast.worker.opponent import Opponent, OpponentOptions
from zebfast.worker.producer import Batch
from zebfast.worker.producers import open_producer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "policies.py"


def played(evaluator: OutsideEvaluator, opponent: Opponent | None, n_games: int = 6) -> Batch:
    search = SearchOptions(n_simulations=4, n_worlds=2, exact_tricks=2)
    config = SelfPlayConfig(n_parallel_games=4, n_groups=2, search=search)
    producer = open_producer(config, evaluator, seed=2, first_game=10, opponent=opponent)
    try:
        return producer.play(n_games, should_stop=lambda: False, on_step=lambda n: None)
    finally:
        producer.close()


def test_examples_say_who_the_opponent_was() -> None:
    pytest.importorskip("numba")
    told = OpponentOptions(opponent=f"{EXAMPLES}:random", opponent_share=1.0)
    batch = played(CoreEvaluator(small_network()), told.open())
    assert batch.facts["opponent"] == "policies.py:random"
    assert batch.facts["opponent_share"] == 1.0
    assert len(batch.facts["opponent_sha256"]) == 64
    asked = (batch.games["policy"] == 0).all(axis=2)
    assert 3 * len(asked) < asked.sum() < 14 * len(asked)  # its own plays, but for forced ones
    alone = played(CoreEvaluator(small_network()), None)
    assert "opponent" not in alone.facts
    assert not (alone.games["policy"] == 0).all(axis=2).any()


def own(answer: Callable[[int], int], *, seconds: float = 10.0) -> Opponent:
    """One that answers so to its random number, in every game."""
    function = PolicyFunction(PROTOTYPE(lambda view, random: answer(random)), abi=POLICY_ABI)
    plain = {"play": lambda view, random: -7}
    asked = Asked("Policy 'own'", plain, {"play": function}, AskingOptions(seconds=seconds))
    return Opponent(asked, 1.0, {"opponent": "own.py"})


@pytest.mark.parametrize("kind", [CoreEvaluator, OutsideEvaluator])
def test_an_illegal_answer_ends_self_play(kind: type[OutsideEvaluator]) -> None:
    said = r"^Policy 'own' gave the error -7 in self-play, game 1\d, play \d, where .* are legal"
    with pytest.raises(UnusableAnswer, match=said):
        played(kind(small_network()), own(lambda random: -7))


@pytest.mark.parametrize("kind", [CoreEvaluator, OutsideEvaluator])
def test_no_answer_ends_self_play(kind: type[OutsideEvaluator]) -> None:
    """Whoever waits for it goes on; its thread does once it answers."""
    goes_on = threading.Event()
    opponent = own(lambda random: goes_on.wait() - 8, seconds=0.1)
    try:
        with pytest.raises(PolicyStuck, match=r"no answer for 0\.1 s in self-play, game 1\d, play"):
            played(kind(small_network()), opponent)
    finally:
        goes_on.set()


def test_replaced_answers_are_counted_and_play_goes_on() -> None:
    function = PolicyFunction(PROTOTYPE(lambda view, random: -7), abi=POLICY_ABI, replaces=True)
    asked = Asked("Policy 'own'", {}, {"play": function}, AskingOptions(illegal="replace"))
    opponent = Opponent(asked, 1.0, {"opponent": "own.py"})
    assert len(played(CoreEvaluator(small_network()), opponent).games) == 6
    forest = opponent.forest(2, options=SearchOptions(n_simulations=2), seed=1)
    assert forest.replaced == 0
    with pytest.raises(ValueError, match="no opponent was asked"):
        forest.asked()


def test_what_is_no_compiled_policy_is_refused(tmp_path: Path) -> None:
    for text in ("zeb", "random", "eq:n=3"):
        with pytest.raises(SettingError, match=f"opponent is {text}: expected a policy, as FILE"):
            OpponentOptions(opponent=text)
    with pytest.raises(PlayerLoadError, match="leave compiled=no out"):
        OpponentOptions(opponent=f"{EXAMPLES}:random,compiled=no").open()
    with pytest.raises(PlayerLoadError, match=r"gone\.py does not exist"):
        OpponentOptions(opponent=str(tmp_path / "gone.py")).open()
    with pytest.raises(ValueError, match="opponent_share is 2, but must be 0 to 1"):
        Opponent(own(lambda random: 0).asked, 2, {}).forest(1, options=SearchOptions(), seed=1)
    assert OpponentOptions().open() is None
