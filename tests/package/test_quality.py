"""Quality of searches: exact values, what is made of them, the record, and the table of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from slow_solver import position_record, slow_plays
from slow_tree import HashedEvaluator, hashed_evaluate
from slow_worlds import worlds

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.solver_pool import SolverPool
from zebfast.net import checkpoint
from zebfast.net.v1 import NetConfig

TINY = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=32)
MODULES = ("positions", "methods", "measure", "record", "run")


@pytest.fixture(scope="module")
def tools(repo_root: Path) -> Iterator[SimpleNamespace]:
    """The modules of the tool by their short names, and `main` and `readme`."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repo_root / "tools"))
        found = {name: import_module(f"quality.{name}") for name in MODULES}
        yield SimpleNamespace(
            **found, search=import_module("search_quality"), readme=import_module("readme")
        )
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def positions(tools: SimpleNamespace) -> Any:
    return tools.positions.network_positions(HashedEvaluator(), 90, seed=6)


@pytest.fixture(scope="module")
def exact(tools: SimpleNamespace, positions: Any) -> Any:
    with SolverPool(1) as pool:
        return tools.positions.reference(positions, n_worlds=12, seed=7, pool=pool)


def as_position(batch: GameBatch, row: int) -> rules.Position:
    leader = int(batch.leader[row])
    position = rules.Position(batch.hands[row].tolist(), int(batch.decl[row]), leader)
    for domino in batch.history[row][: batch.n_plays[row]].tolist():
        position.play(domino)
    return position


def test_positions_are_decisions_spread_over_plies(tools: SimpleNamespace, positions: Any) -> None:
    legal = positions.games.legal()
    assert (legal & (legal - np.uint32(1)) != 0).all()
    plies = positions.games.n_plays.astype(int)
    assert len(positions) == 90
    assert {ply // 4 for ply in plies.tolist()} == set(range(6))
    assert set(plies[:45] // 4) == set(range(6))  # the first are as good as any
    again = tools.positions.network_positions(HashedEvaluator(), 90, seed=6)
    np.testing.assert_array_equal(again.games.history, positions.games.history)
    np.testing.assert_array_equal(again.first(5).numbers, positions.numbers[:5])
    assert len({(n, p) for n, p in zip(positions.numbers.tolist(), plies, strict=True)}) == 90


def test_reference_is_the_mean_outcome_over_all_worlds(
    tools: SimpleNamespace, positions: Any
) -> None:
    """Against plain loops over slow worlds, where they are few."""
    late = np.flatnonzero(positions.games.n_plays >= 18)[:12]
    some = tools.positions.Positions(positions.games.take(late), positions.numbers[late], 0)
    with SolverPool(1) as pool:
        found = tools.positions.reference(some, n_worlds=2000, seed=7, pool=pool)
    for row in range(len(late)):
        position = as_position(some.games, row)
        seat = position.to_play
        team, table = seat % 2, position.trick
        layouts = worlds(position, seat)
        total = dict.fromkeys(position.legal(), 0)
        for masks in layouts:
            hands = [[d for d in range(28) if mask >> d & 1] for mask in masks]
            record = position_record(hands, position.decl, (seat - len(table)) % 4, table)[0]
            for domino, value in slow_plays(record).items():
                ahead = position.points[0] - position.points[1] + value
                total[domino] += int(np.sign(ahead)) * (1 if team == 0 else -1)
        own = position.dealt[seat]
        for slot, domino in enumerate(own):
            if domino in total:
                assert found.values[row, slot] == pytest.approx(total[domino] / len(layouts))
            else:
                assert np.isnan(found.values[row, slot])


def test_nothing_is_lost_once_a_hand_is_decided(positions: Any, exact: Any) -> None:
    assert 5 < positions.decided.sum() < 80
    assert (exact.regrets[positions.decided] == 0).all()
    assert exact.matters[~positions.decided].sum() > 10
    assert (exact.regrets.min(axis=1) == 0).all()


def test_every_method_can_be_read(tools: SimpleNamespace) -> None:
    for name in tools.methods.METHODS:
        method = tools.methods.Method.named(name)
        assert method.player.temperature == method.player.gumbel_scale == 0
        deep = method.times(10)
        assert method.searches == (name != "policy")
        assert deep.search.n_simulations == 10 * method.search.n_simulations
        assert deep.search.n_worlds == 160
        assert method.times(1e-6).search.n_simulations == method.times(1e-6).search.n_worlds == 1
    with pytest.raises(ValueError, match="there is no method 'x'; there are policy, published"):
        tools.methods.Method.named("x")


def test_figures_are_those_of_plain_loops(
    tools: SimpleNamespace, positions: Any, exact: Any
) -> None:
    method = tools.methods.Method.named("puct-16")
    judged = tools.measure.judge(method, HashedEvaluator(), positions, exact)
    figures = tools.measure.targets(judged, judged, positions, exact)
    lost = []
    for row in range(len(positions)):
        values, policy = exact.values[row], judged.full.policy[row]
        legal = [slot for slot in range(7) if not np.isnan(values[slot])]
        assert policy.sum() == pytest.approx(policy[legal].sum()) == pytest.approx(1)
        if not positions.decided[row]:
            best = max(values[slot] for slot in legal)
            lost.append(sum(policy[slot] * (best - values[slot]) for slot in legal))
    assert figures["positions"] == len(lost)
    assert figures["target_regret"]["mean"] == pytest.approx(np.mean(lost), abs=1e-5)
    assert figures["target_regret_less_base"] == {"mean": 0, "se": 0}
    assert figures["simulations"] == 16
    assert figures["recorded_share"] == 1


def test_a_share_in_full_and_skipped_hands_are_mixtures(
    tools: SimpleNamespace, positions: Any, exact: Any
) -> None:
    plain = tools.methods.Method.named("puct-64")

    def judged(**options: Any) -> Any:
        method = replace(plain, search=replace(plain.search, **options))
        return tools.measure.judge(method, HashedEvaluator(), positions, exact)

    full, fast = judged(), judged(n_simulations=16)
    mixed = judged(full_share=0.25, fast_simulations=16)
    np.testing.assert_allclose(
        mixed.play_regrets, 0.25 * full.play_regrets + 0.75 * fast.play_regrets
    )
    np.testing.assert_array_equal(mixed.target_regrets, full.target_regrets)
    assert mixed.counts["simulations"] == 0.25 * 64 + 0.75 * 16
    assert mixed.recorded_share == 0.25
    skipped = judged(skip_decided=True)
    left = 1 - positions.decided.mean()
    assert skipped.recorded_share == pytest.approx(left)
    assert skipped.counts["simulations"] == pytest.approx(64 * left)
    np.testing.assert_array_equal(skipped.target_regrets, full.target_regrets)


def test_the_network_alone_is_its_priors(
    tools: SimpleNamespace, positions: Any, exact: Any
) -> None:
    method = tools.methods.Method.named("policy")
    found = tools.measure.judge(method, HashedEvaluator(), positions, exact)
    priors = hashed_evaluate(positions.games.observe())[:, :7]
    np.testing.assert_allclose(found.full.policy, priors, rtol=1e-6)
    np.testing.assert_array_equal(found.full.slots, priors.argmax(axis=1))
    assert (found.counts["evaluations"], found.counts["simulations"]) == (1, 0)


def test_the_solver_knows_better_than_few_simulations(
    tools: SimpleNamespace, positions: Any, exact: Any
) -> None:
    """With hashed priors, more worlds and simulations come closer to the exact values."""
    few, many = (
        tools.measure.judge(
            tools.methods.Method.named(name), HashedEvaluator(), positions, exact
        ).play_regrets.mean()
        for name in ("puct-16", "puct-200")
    )
    assert many < few


def run_tool(tools: SimpleNamespace, folder: Path, *more: str) -> int:
    small = ("--positions", "12", "--worlds", "4", "--deep-positions", "6", "--games", "2")
    arguments = ["--network", f"v1={folder}/a.pt", "--output", f"{folder}/q.json", *small]
    exit_code: int = tools.search.main([*arguments, "--selfplay-games", "3", *more])
    return exit_code


def test_a_record_is_made_in_pieces(
    tools: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools.measure, "PACE_MS", 0)
    monkeypatch.setattr(tools.measure, "PACE_ROUNDS", 2)
    checkpoint.save(checkpoint.fresh(TINY, seed=3), tmp_path / "a.pt")
    usual = ("--base", "puct-16", "--methods")
    assert run_tool(tools, tmp_path, *usual, "puct-16", "--pieces", "targets,arena") == 0
    first = json.loads((tmp_path / "q.json").read_text())
    assert set(first["results"]["puct-16@v1"]) == {"options", "targets", "arena"}
    assert str(tmp_path) not in json.dumps(first)
    capsys.readouterr()

    more = "puct-16,gumbel-16,puct-200-cap,policy"
    assert run_tool(tools, tmp_path, *usual, more, "--resume") == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("[1/11] ") for line in lines) == 1  # less what is there
    record = json.loads((tmp_path / "q.json").read_text())
    found = {name: set(entry) - {"options"} for name, entry in record["results"].items()}
    assert found == {
        "puct-16@v1": {"targets", "deeper", "arena", "selfplay"},
        "gumbel-16@v1": {"targets", "deeper", "equal", "arena", "selfplay"},
        "puct-200-cap@v1": {"targets", "equal", "selfplay"},
        "policy@v1": {"targets"},
    }
    assert record["results"]["puct-16@v1"]["targets"] == first["results"]["puct-16@v1"]["targets"]
    assert record["settings"]["base"] == "puct-16"
    assert [run["command"].split()[-1] for run in record["runs"]] == ["targets,arena", "--resume"]
    text = tools.readme.quality(tmp_path / "q.json")
    assert text.count("\n| ") == 4
    assert "| network alone | v1 | " in text
    assert "| Gumbel 16, all solved | v1 | " in text
    assert "| PUCT 200, all solved, 25 % in full | v1 | " in text

    for wrong, words in (
        ((), "is there already; add to it with --resume"),
        (("--resume", "--seed", "7"), "was measured with other settings"),
        (("--methods", "puct"), "there is no method 'puct'"),
        (("--pieces", "speed"), "there is no piece 'speed'"),
        (("--network", "v1"), "expected NAME=FILE"),
        (("--network", f"b={tmp_path}/none.pt"), "none.pt does not exist"),
    ):
        assert run_tool(tools, tmp_path, *usual, "puct-16", *wrong) == 1
        assert words in capsys.readouterr().err
    checkpoint.save(checkpoint.fresh(TINY, seed=4), tmp_path / "a.pt")
    assert run_tool(tools, tmp_path, *usual, "puct-16", "--resume") == 1
    assert "other weights of the same name" in capsys.readouterr().err


def test_the_record_that_is_shown_can_be_added_to(tools: SimpleNamespace, tmp_path: Path) -> None:
    path = tools.readme.newest_quality()
    old, copy = json.loads(path.read_text()), tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    pieces = tools.record.open_pieces(
        copy,
        settings=old["settings"],
        networks=old["networks"],
        command=["search_quality.py", "--resume"],
        resume=True,
    )
    for name, entry in old["results"].items():
        method, _, network = name.partition("@")
        assert all(pieces.has(method, network, piece) for piece in entry)
    pieces.add("policy", "v1", "new", {"games": 1}, options={})
    new = json.loads(copy.read_text())
    assert len(new["runs"]) == len(old["runs"]) + 1
    del new["results"]["policy@v1"]["new"]
    assert {**new, "runs": old["runs"]} == old


def test_without_a_record_the_table_says_so(
    tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.readme, "QUALITY", tmp_path)
    assert tools.readme.newest_quality() is None
    assert "No record yet" in tools.readme.quality(None)
    for name in ("2030-01-02-b.json", "2030-01-01-c.json"):
        (tmp_path / name).write_text("{}")
    assert tools.readme.newest_quality() == tmp_path / "2030-01-02-b.json"
