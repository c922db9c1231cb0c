"""Policies that are asked: compiled, in C, or as plain Python, which is their twin.

Both answer with the same, and are told of in the same sentences where an answer cannot be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import Bids, Dominoes, PlayRng, Rows
from zebfast.arena.policies.compiled import RAISED, compiled
from zebfast.arena.policies.guard import guarded
from zebfast.arena.policies.options import AskingOptions
from zebfast.arena.policies.policy import Answer, Policy, PolicyStuck, UnusableAnswer
from zebfast.arena.policies.view import views_of
from zebfast.core.engine import GameBatch, dominoes_of
from zebfast.core.masks import has_choice, lowest_bits
from zebfast.core.policy import (
    POLICY_ABI,
    PolicyFunction,
    PolicyRun,
    play_out,
    random_policy,
    views,
)
from zebfast.rules import N_DOMINOES, Stream, domino_name

_HALF = np.uint64(1)


def random_numbers(rng: PlayRng) -> NDArray[np.int64]:
    """The number 0..2**63 - 1 that a policy is given for each row: `PlayRng.bits` less the
    lowest."""
    return (rng.bits() >> _HALF).astype(np.int64)


class Asked:
    """A policy that can be asked for plays, or with views of any kind; `of` makes one.

    Args:
        label: how errors name it, such as "Policy 'lowest' of my.py".
        plain: its functions by kind.
        compiled: the same in C; where there are none, the plain ones are asked.
    """

    def __init__(
        self, label: str, plain: Mapping[str, Answer], compiled: Mapping[str, PolicyFunction],
        options: AskingOptions,
    ) -> None:  # fmt: skip
        self.label, self.options = label, options
        self.replaced = 0  # answers that were not legal
        self._functions, self._compiled = plain, compiled

    @classmethod
    def of(cls, policy: Policy, label: str, options: AskingOptions) -> Asked:
        """A user's. PolicyError where it is to be compiled and cannot be."""
        made: dict[str, PolicyFunction] = {}
        for kind, function in policy.functions.items() if options.compiled else ():
            name = label if kind == "play" else f"{label} ({kind})"
            replaces = options.illegal == "replace"
            made[kind] = PolicyFunction(
                compiled(function, name=name, kind=kind), abi=POLICY_ABI, replaces=replaces
            )
        return cls(label, policy.functions, made, options)

    @classmethod
    def random(cls) -> Asked:
        """The core's own that plays as `RandomPlayer`."""
        return cls("random", {}, {"play": random_policy()}, AskingOptions())

    def __contains__(self, kind: str) -> bool:
        return kind in self._functions

    @property
    def function(self) -> PolicyFunction | None:
        """What plays, compiled; None of one that runs as plain Python."""
        return self._compiled.get("play")

    def plays(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose. PolicyError where an answer is not legal, PolicyStuck where none
        comes."""
        function = self.function
        if function is None:
            return self._plain_plays(batch, rows, rng, bids)
        run, before = PolicyRun(), function.replaced
        stream = Stream.EVAL_PLAY
        found = guarded(
            lambda: function.plays(
                batch, rows, bids=bids, numbers=rng.games, seed=rng.seed, stream=stream, run=run
            ),
            run,
            seconds=self.options.seconds,
            stuck=lambda: self.stuck(self._where(rng, run.at), row=int(rows[run.at])),
        )
        self.replaced += function.replaced - before
        if found is None:
            at = run.at
            raise self.unusable(
                run.answer, batch, int(rows[at]), rng.take(np.array([at])), int(bids[at])
            )
        return found

    def _plain_plays(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        legal = batch.legal(rows)
        found = lowest_bits(legal)
        asked = np.flatnonzero(has_choice(legal))
        seen = views_of(views(batch, rows[asked], bids=bids[asked]))
        randoms = random_numbers(rng.take(asked)).tolist()
        for i, view, random in zip(asked.tolist(), seen, randoms, strict=True):
            answer = plain_answer(self._functions["play"], view, random)
            if 0 <= answer < N_DOMINOES and view.legal >> answer & 1:
                found[i] = answer
            elif self.options.illegal == "replace":
                self.replaced += 1
            else:
                one = rng.take(np.array([i]))
                raise self.unusable(answer, batch, int(rows[i]), one, int(bids[i]))
        return found

    def answers(
        self, kind: str, records: np.ndarray, randoms: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """What a function of another kind says of views VIEW_DTYPE [k], whatever that is: i4[k]."""
        function = self._compiled.get(kind)
        if function is None:
            plain = zip(views_of(records), randoms.tolist(), strict=True)
            said = [plain_answer(self._functions[kind], view, random) for view, random in plain]
            return np.array(said, np.int32)
        run = PolicyRun()
        return guarded(
            lambda: function.answers(records, randoms, run=run),
            run,
            seconds=self.options.seconds,
            stuck=lambda: self.stuck(f"a {kind}", row=run.at),
        )

    def unusable(
        self, answer: int, batch: GameBatch, row: int, rng: PlayRng, bid: int
    ) -> UnusableAnswer:
        """The error for an answer in a row of games, as it stands; ``rng`` of that row alone."""
        [record] = views(batch, np.array([row]), bids=bid)
        legal = ", ".join(map(domino_name, dominoes_of(int(record["legal"]))))
        random = int(random_numbers(rng)[0])
        name = domino_name(answer) if 0 <= answer < N_DOMINOES else f"{answer}, which is no domino,"
        what = self.said("play", answer, record, random, name)
        return UnusableAnswer.of(self.label, what, self._where(rng, 0), legal, row=row)

    def said(self, kind: str, answer: int, record: Any, random: int, name: str) -> str:
        """What an answer that cannot be used was, in words; an exception is raised again to be
        named.

        record: VIEW_DTYPE [], and the random number that it came with; ``name``: of the answer.
        """
        if answer == RAISED:
            try:
                [view] = views_of(np.array([record]))
                given = self._functions[kind](view, random)
            except Exception as error:
                return f"raised {type(error).__name__} ({error})"
            if not hasattr(given, "__index__"):
                return f"answered {given!r}, which is no whole number,"
            return "raised an exception"
        return f"gave the error {answer}" if answer < 0 else f"answered {name}"

    def stuck(self, where: str, *, row: int = 0) -> PolicyStuck:
        """The error for no answer."""
        return PolicyStuck.of(self.label, self.options.seconds, where, row=row)

    @staticmethod
    def _where(rng: PlayRng, at: int) -> str:
        return f"game {int(rng.games[at])}, play {int(rng.plies[at]) + 1}"


def plain_answer(function: Answer, view: Any, random: int) -> int:
    """The answer of plain Python, as a compiled function would give it to C.

    What is no whole number, which no compiled one returns, is as if it had raised.
    """
    try:
        answer = index(function(view, random))
        return answer if RAISED < answer < 1 << 31 else 255
    except Exception:
        return RAISED


def finish_games(
    first: Asked, second: Asked, games: GameBatch, first_team: NDArray[np.uint8], rng: PlayRng,
    bids: Bids,
) -> None:  # fmt: skip
    """Play all games to their ends in C; the first policy plays for team first_team u1[n] of each.

    As `Asked.plays` for one play after the other, with the same errors.
    """
    one, other = first.function, second.function
    assert one is not None
    assert other is not None
    run, before = PolicyRun(), (one.replaced, other.replaced)
    users = [asked for asked in (first, second) if "play" in asked]

    def to_play() -> tuple[Asked, PlayRng]:
        at = run.at
        team = int(games.to_play[at]) & 1
        here = PlayRng(rng.seed, rng.games[at : at + 1], games.n_plays[at : at + 1])
        return (first if team == first_team[at] else second), here

    def stuck() -> PolicyStuck:
        asked, here = to_play()
        return asked.stuck(asked._where(here, 0))

    well = guarded(
        lambda: play_out(
            one, other, games, first_team=first_team, bids=bids, numbers=rng.games, seed=rng.seed,
            stream=Stream.EVAL_PLAY, run=run,
        ),
        run,
        seconds=max(asked.options.seconds for asked in users or (first,)),
        stuck=stuck,
    )  # fmt: skip
    first.replaced += one.replaced - before[0]
    second.replaced += 0 if one is other else other.replaced - before[1]
    if not well:
        asked, here = to_play()
        raise asked.unusable(run.answer, games, run.at, here, int(bids[run.at]))
