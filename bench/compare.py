"""Two trees compared stage by stage: which stages became slower, by how much, and how surely."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from bench.one_tree import Missing, Tree
from bench.turns import Ratio, Rule, block_ratios, ratio_of

#: (candidate, reference), ready to work; what it opens is closed afterwards.
OpenTrees = Callable[[], AbstractContextManager[tuple[Tree, Tree]]]


@dataclass(frozen=True)
class Result:
    """What became of one stage.

    Attributes:
        state: "ok", "slower", "changed" (the trees did different work, so the ratio is told but
            not judged) or "skipped".
        ratio: time of the candidate over the reference's, of the last attempt; None if skipped.
        milliseconds: of one piece of work in the reference, in its first run.
        attempts: how many were made.
        why: reason for skipping.
    """

    key: str
    state: str
    ratio: Ratio | None = None
    milliseconds: float = 0.0
    attempts: int = 0
    why: str = ""


def compare_stage(key: str, candidate: Tree, reference: Tree, rule: Rule) -> Result:
    """One attempt at one stage."""
    done = []
    for name, tree in (("this tree", candidate), ("the other", reference)):
        try:
            done.append(tree.prepare(key))
        except Missing as missing:
            return Result(key, "skipped", why=f"{name} lacks it ({missing})")
    once = min(reference.run(key, 1), reference.run(key, 1))
    repeats = rule.repeats(once)
    runs = [partial(tree.run, key, repeats) for tree in (candidate, reference)]
    blocks = block_ratios(*runs, blocks=rule.blocks)
    while len(blocks) < 3 * rule.blocks and not rule.is_clear(ratio_of(blocks)):
        blocks += block_ratios(*runs, blocks=rule.blocks)
    ratio = ratio_of(blocks)
    state = "ok" if not rule.is_slower(ratio) else "slower"
    if done[0] != done[1]:
        state = "changed"
    return Result(key, state, ratio, 1000 * once, 1)


def compare_trees(
    open_trees: OpenTrees,
    keys: Iterable[str],
    rule: Rule,
    *,
    say: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Every stage; those that seem slower again, in trees opened anew, until one attempt acquits.

    Anew, because where things lie in memory is drawn when a process starts and stays: it can make
    one of two equal processes a few per cent slower for as long as they live.
    """
    results: dict[str, Result] = {key: Result(key, "slower") for key in keys}
    for attempt in range(1, rule.attempts + 1):
        suspects = [key for key, result in results.items() if result.state == "slower"]
        if not suspects:
            break
        with open_trees() as (candidate, reference):
            for key in suspects:
                found = compare_stage(key, candidate, reference, rule)
                results[key] = Result(**{**found.__dict__, "attempts": attempt})
                say(results[key])
    return list(results.values())


def failed(results: Iterable[Result]) -> list[str]:
    """Keys of the stages that are slower."""
    return [result.key for result in results if result.state == "slower"]
