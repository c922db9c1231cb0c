"""Matrices: the same whatever the chunks and interruptions, and equal to their matches."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zebfast.arena.match import play_match
from zebfast.arena.matrix import Matrix, MatrixConfig, MatrixProgress, Pair, play_matrix
from zebfast.arena.players.base import plain_player
from zebfast.arena.stats import MatchResult

NAMES = ("random", "heuristic", "heuristic2")
CONFIG = MatrixConfig(players=NAMES, weights=(None,) * 3, n_deals=150, seed=6)


def play(
    matrix: Matrix, *, chunk: int = 512, finished: Callable[[Pair], None] | None = None
) -> Matrix:
    players = [plain_player(name) for name in matrix.config.players]
    play_matrix(matrix, players, deals_per_chunk=[chunk] * len(players), finished=finished)
    return matrix


def timeless(result: MatchResult) -> MatchResult:
    return replace(result, games_per_s=0.0)


def figures(matrix: Matrix) -> dict[str, Any]:
    """Everything but the speed."""
    held = matrix.as_dict()
    for pair in held["pairs"]:
        del pair["games_per_s"]
    return held


def test_a_pairing_is_a_match() -> None:
    matrix = play(Matrix(CONFIG))
    assert matrix.complete
    for a, b in CONFIG.pairs:
        players = plain_player(NAMES[a]), plain_player(NAMES[b])
        expected = play_match(*players, n_games=300, seed=6)
        assert timeless(matrix.result(a, b)) == timeless(expected)
        turned = matrix.result(b, a)
        assert (turned.player_a, turned.wins, turned.losses, turned.mean_margin) == (
            NAMES[b],
            expected.losses,
            expected.wins,
            -expected.mean_margin,
        )


def test_chunks_do_not_change_anything() -> None:
    assert figures(play(Matrix(CONFIG))) == figures(play(Matrix(CONFIG), chunk=7))


def test_seeds_and_bids_matter() -> None:
    first, other, bid = (
        play(Matrix(config))
        for config in (CONFIG, replace(CONFIG, seed=7), replace(CONFIG, bid=30))
    )
    assert (first.points[0, 1] != other.points[0, 1]).any()
    assert (first.points[0, 1] == bid.points[0, 1]).all()  # plain players do not look at bids
    assert first.result(0, 1).made < bid.result(0, 1).made
    assert bid.as_dict()["bid"] == 30
    assert first.as_dict()["bid"] == "random"


def test_an_interrupted_matrix_continues_to_the_same_end() -> None:
    def interrupt(pair: Pair) -> None:
        if pair == (0, 1):
            raise KeyboardInterrupt

    matrix = Matrix(CONFIG)
    with pytest.raises(KeyboardInterrupt):
        play(matrix, finished=interrupt)
    assert matrix.missing == [(0, 2), (1, 2)]
    assert matrix.as_dict()["elo"] is None
    with pytest.raises(ValueError, match="every pairing"):
        _ = matrix.ratings
    kept = matrix.points[0, 1]
    assert figures(play(matrix)) == figures(play(Matrix(CONFIG)))
    assert matrix.points[0, 1] is kept


def test_progress_covers_all_pairings() -> None:
    seen: list[MatrixProgress] = []
    players = [plain_player(name) for name in NAMES]
    play_matrix(Matrix(CONFIG), players, deals_per_chunk=[512, 100, 90], progress=seen.append)
    assert [p.done for p in seen] == [200, 300, 480, 600, 780, 900]
    assert [p.pair for p in seen] == [(0, 1)] * 2 + [(0, 2)] * 2 + [(1, 2)] * 2
    assert [p.finished_pairs for p in seen] == [0, 0, 1, 1, 2, 2]
    assert {(p.total, p.pairs) for p in seen} == {(900, 3)}
    assert seen[1].match.wins == 300 - (play(Matrix(CONFIG)).points[0, 1] <= 21).sum()


def test_ratings_order_the_published_strengths() -> None:
    matrix = play(Matrix(replace(CONFIG, n_deals=2000)))
    elo = [rating.elo for rating in matrix.ratings]
    assert elo[0] == 0.0
    assert elo == sorted(elo)
    assert all(r.elo_low < r.elo < r.elo_high for r in matrix.ratings[1:])
    # A player's rating and its rates against the two others say nearly the same here.
    score = matrix.result(1, 0).win_rate + matrix.result(1, 0).ties / 2 / 4000
    assert elo[1] == pytest.approx(400 * np.log10(score / (1 - score)), abs=12)


@pytest.mark.parametrize(
    ("players", "n_deals"), [(("random",), 5), (("random", "random"), 5), (NAMES, 0)]
)
def test_useless_matrices_are_refused(players: tuple[str, ...], n_deals: int) -> None:
    with pytest.raises(ValueError, match="a matrix needs"):
        MatrixConfig(players=players, weights=(None,) * len(players), n_deals=n_deals)


def test_json_is_plain(tmp_path: Path) -> None:
    """Every key that other programs read, and no single games."""
    held = play(Matrix(CONFIG)).as_dict()
    assert list(held) == [
        "players",
        "weights",
        "n_deals",
        "games_per_pairing",
        "seed",
        "bid",
        "complete",
        "pairs",
        "elo",
    ]
    assert [(p["player_a"], p["player_b"]) for p in held["pairs"]] == [
        ("random", "heuristic"),
        ("random", "heuristic2"),
        ("heuristic", "heuristic2"),
    ]
    assert [r["player"] for r in held["elo"]["ratings"]] == list(NAMES)
    assert held["elo"]["anchor"] == {"player": "random", "elo": 0.0}
