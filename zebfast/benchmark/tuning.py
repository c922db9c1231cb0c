"""The fastest way for one machine to play: how many games at once, in how many groups and threads.

Successive halving (Karnin et al. 2013; Jamieson and Talwalkar 2016): short looks at many settings,
longer ones at the better half. First the number of games is searched with the default's groups,
then groups and threads for the best numbers; the default is looked at to the end. All settings of
a stage are looked at in turns, forwards and backwards, and judged by their speed relative to the
others in the same turn, so that what else the machine does meanwhile speaks for or against none.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from zebfast.rules import N_PLIES
from zebfast.selfplay.groups import MOST_PARALLEL, check_groups
from zebfast.selfplay.stats import SelfPlayStats
from zebfast.system import settings

LEAST_NOISE = 0.02  # speeds closer than this are taken to be the same
MOST_LOSS = 0.05  # and speeds further apart are not, whatever the noise
LAST_TURNS = 4  # looks at each setting in the last stage
ENOUGH_TURNS = 3  # of them: with fewer, nothing is known about the noise


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a machine is free to choose; none of it has an influence on any game.

    Attributes:
        n_parallel_games, n_groups: see SelfPlayConfig.
        threads: threads that torch uses in each group.
    """

    n_parallel_games: int = settings.setting(least=1, most=MOST_PARALLEL)
    n_groups: int = settings.setting(least=1, most=settings.MOST_THREADS)
    threads: int = settings.setting(least=1, most=settings.MOST_THREADS)

    def __post_init__(self) -> None:
        settings.check(self)
        check_groups(self.n_groups, self.n_parallel_games)

    @property
    def size(self) -> tuple[int, int, int]:
        """What it takes of a machine, the memory of the games first."""
        return self.n_parallel_games, self.n_groups * self.threads, self.n_groups


@dataclass
class Tried:
    """A setting and what was seen of it; games_per_second is filled in at the end."""

    setting: Setting
    looks: list[SelfPlayStats] = field(default_factory=list)
    out_of_memory: bool = False
    games_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The outcome of a search.

    Attributes:
        chosen: the smallest setting that is as fast as any, as far as can be told; the default if
            it could not be told.
        games_per_second: of it.
        gain: its speed over the default's; None if the default has not enough memory.
        noise: speeds that differ by this share could as well be the same; at most MOST_LOSS of
            speed is given away for a smaller setting.
        settled: False if the time was not enough to tell: the machine is busy, or the network slow.
        tried: every setting that was looked at, or would have been.
    """

    chosen: Setting
    default: Setting
    games_per_second: float
    gain: float | None
    noise: float
    settled: bool
    tried: tuple[Tried, ...]


class NothingFits(MemoryError):
    """No setting at all could be played; one sentence."""


#: Look at a setting for about so many seconds. MemoryError ends the setting, not the search.
Look = Callable[[Setting, float], SelfPlayStats]


def grid(
    *, cores: int, on_gpu: bool, default: Setting
) -> tuple[list[Setting], list[tuple[int, int]]]:
    """(numbers of games with the default's groups, other (groups, threads) to try) in order."""
    if on_gpu:
        numbers = [256, 512, 1024, 2048, 4096, 8192]
        shapes = [(2, 1), (3, 1), (4, 1)]
    else:
        numbers = [32, 64, 128, 256, 512, 1024]
        half = max(1, cores // 2)
        shapes = [(1, cores), (2, half), (half, 2), (cores, 1), (2 * cores, 1)]
        shapes = [(n, threads) for n, threads in shapes if n * threads <= cores or threads == 1]
    games = sorted({*numbers, default.n_parallel_games})
    first = [replace(default, n_parallel_games=n) for n in games if n >= default.n_groups]
    own = default.n_groups, default.threads
    return first, [shape for shape in dict.fromkeys(shapes) if shape != own]


class Tuner:
    """One search.

    Args:
        look: see Look; called in an order that depends on nothing but what it returned before.
        default: looked at to the end, whatever it does.
        seconds: how long a look in the last stage takes; those before are shorter.
        limit: seconds after which the search ends with what it has seen.
        clock: seconds, for the limit.
        on_look: called before each look.
        on_drop: called with each setting that will not be looked at again.
    """

    def __init__(
        self,
        look: Look,
        default: Setting,
        *,
        seconds: float = 1.0,
        limit: float = 45.0,
        clock: Callable[[], float] = time.monotonic,
        on_look: Callable[[Setting], None] = lambda _: None,
        on_drop: Callable[[Setting], None] = lambda _: None,
    ) -> None:
        self._look, self._default, self._seconds, self._clock = look, default, seconds, clock
        self._on_look, self._on_drop = on_look, on_drop
        self._ends = clock() + limit
        self._tried: dict[Setting, Tried] = {}

    def tune(self, games: Sequence[Setting], shapes: Sequence[tuple[int, int]]) -> Tuned:
        """Search from ``games`` and ``shapes`` as ``grid`` gives them.

        Raises:
            NothingFits: every look ended for want of memory.
        """
        best = self._halve(games, keep=2)
        shaped = [
            replace(setting, n_groups=groups, threads=threads)
            for setting in best
            for groups, threads in shapes
            if setting.n_parallel_games >= groups
        ]
        best = self._halve([*best, *shaped], keep=3)
        return self._judge(
            self._stage([*best, self._default], turns=LAST_TURNS, seconds=self._seconds)
        )

    def _halve(self, settings: Sequence[Setting], *, keep: int) -> list[Setting]:
        """The best ``keep`` of the settings, the worse half dropped after each stage."""
        left = list(settings)
        while len(left) > keep:
            speeds = self._stage(left, turns=2, seconds=0.25 * self._seconds)
            ranked = sorted(speeds, key=lambda s: (-statistics.median(speeds[s]), s.size))
            ranked = ranked[: max(keep, (len(left) + 1) // 2)]
            for setting in left:
                if setting not in ranked and setting != self._default:
                    self._on_drop(setting)
            left = ranked
        return left

    def _stage(
        self, settings: Sequence[Setting], *, turns: int, seconds: float
    ) -> dict[Setting, list[float]]:
        """Look at each in turns: speed over the mean of its turn, by turn, where memory sufficed.

        After the limit, what was seen of a setting in an earlier stage stands for it.
        """
        order = list(dict.fromkeys(settings))
        before = {s: len(self._tried.setdefault(s, Tried(s)).looks) for s in order}
        for turn in range(turns):
            for setting in order if turn % 2 == 0 else reversed(order):
                tried = self._tried[setting]
                unseen = not tried.looks and setting == self._default
                if not tried.out_of_memory and (unseen or self._clock() < self._ends):
                    self._look_at(tried, seconds)
        seen = {s: self._tried[s].looks[before[s] :] or self._tried[s].looks[-1:] for s in order}
        seen = {s: looks for s, looks in seen.items() if looks and not self._tried[s].out_of_memory}
        if not seen:
            raise NothingFits(
                "not even the fewest games fit into memory: free some of it, or use a smaller "
                "network or fewer --max-mcts-nodes"
            )
        whole = min(len(looks) for looks in seen.values())
        rates = {s: [self._rate(s, look) for look in looks[:whole]] for s, looks in seen.items()}
        means = [statistics.geometric_mean(turn) for turn in zip(*rates.values(), strict=True)]
        return {s: [r / m for r, m in zip(own, means, strict=True)] for s, own in rates.items()}

    def _look_at(self, tried: Tried, seconds: float) -> None:
        self._on_look(tried.setting)
        try:
            tried.looks.append(self._look(tried.setting, seconds))
        except MemoryError:
            tried.out_of_memory = True
            self._on_drop(tried.setting)

    def _rate(self, setting: Setting, seen: SelfPlayStats) -> float:
        """Games a second of one look, as if its games had needed what all games do on average.

        Which plays a short look happens to see differs more between looks than the settings do.
        """
        every = reduce(add, (look for tried in self._tried.values() for look in tried.looks))
        network = every.evaluations * seen.evaluator_seconds / max(seen.evaluations, 1)
        trees = every.simulations * seen.tree_seconds / max(seen.simulations, 1)
        n_games = max(every.plays, 1) / N_PLIES
        return setting.n_groups * n_games / (network + trees)

    def _judge(self, speeds: dict[Setting, list[float]]) -> Tuned:
        """The smallest setting that is as fast as the fastest, as far as can be told."""
        typical = {s: statistics.median(own) for s, own in speeds.items()}
        spreads = (
            statistics.median(abs(x / typical[s] - 1) for x in own) for s, own in speeds.items()
        )
        noise = max(
            LEAST_NOISE, 2 * max(spreads)
        )  # twice: the fastest of some is also the luckiest
        enough = max(typical.values()) / (1 + min(noise, MOST_LOSS))
        close = [s for s in typical if typical[s] >= enough]
        failed = self._default not in typical
        settled = min(map(len, speeds.values())) >= ENOUGH_TURNS
        chosen = min(close, key=lambda s: s.size) if settled or failed else self._default
        for tried in self._tried.values():
            if tried.looks:
                tried.games_per_second = statistics.median(
                    self._rate(tried.setting, look) for look in tried.looks[-4:]
                )
        rate = self._tried[chosen].games_per_second
        assert rate is not None, "a setting that was not looked at cannot be chosen"
        return Tuned(
            chosen=chosen,
            default=self._default,
            games_per_second=rate,
            gain=None if failed else typical[chosen] / typical[self._default],
            noise=noise,
            settled=settled,
            tried=tuple(self._tried.values()),
        )
