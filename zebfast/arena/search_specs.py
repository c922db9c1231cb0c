"""The options of `search:` specs: which search it is, and what that one is told.

search[:source=FILE,weights_name=X,method=rollout|value|epimc,worlds=W,ms=T,exact=K,depth=D,prior=P,
    belief=play|head|none,power=E,dtype=auto|fp32|bf16|fp16]
search:method=tree[,source=FILE,weights_name=X,n=N,worlds=W,exact=K,root=puct|gumbel,c=C,
    early_stop=yes|no,transpositions=yes|no,dtype=fp32|auto|bf16|fp16]
"""

from __future__ import annotations

from zebfast.arena.rollout_options import BELIEFS, ROLLOUT_METHODS, RolloutOptions
from zebfast.arena.spec_options import PlayerSpecError, SpecOptions
from zebfast.core.forest import MIN_NODES, N_TRICKS, ROOTS
from zebfast.core.options import SearchOptions

TREE = "tree"
METHODS = (*ROLLOUT_METHODS, TREE)
ANY_OPTIONS = ("source", "weights_name", "method", "worlds", "exact", "dtype")
TREE_OPTIONS = ("n", "root", "c", "early_stop", "transpositions")
ROLLOUT_OPTIONS = ("ms", "depth", "prior", "belief", "power")
SEARCH_OPTIONS = (*ANY_OPTIONS, *ROLLOUT_OPTIONS, *TREE_OPTIONS)
SEARCH_FORM = (
    "search[:source=FILE,weights_name=X,method=rollout|value|epimc|tree,worlds=W,ms=T,exact=K,...]"
)
MAX_WORLDS = 10_000
MAX_SIMULATIONS = 10_000
MAX_MILLISECONDS = 600_000.0
DTYPES = ("auto", "fp32", "bf16", "fp16")


def method_of(options: SpecOptions) -> str:
    """The method that is named or, where none is, the one that has what is written.

    Raises PlayerSpecError for an unknown method, or an option that it does not have.
    """
    given = [name for name in TREE_OPTIONS if name in options]
    method = TREE if given and "method" not in options else options.choice("method", METHODS)
    foreign = ROLLOUT_OPTIONS if method == TREE else TREE_OPTIONS
    if wrong := [name for name in foreign if name in options]:
        other = TREE if wrong[0] in TREE_OPTIONS else " or ".join(ROLLOUT_METHODS)
        raise PlayerSpecError(
            f"Player {options.spec!r} gives {wrong[0]}, which belongs to method={other}, not to "
            f"{method}; leave it out or change the method."
        )
    if "depth" in options and method in ("rollout", TREE):
        raise PlayerSpecError(
            f"Player {options.spec!r} gives depth, which belongs to method=value or epimc, not to "
            f"{method}; leave it out or change the method."
        )
    return method


def tree_options(options: SpecOptions) -> SearchOptions:
    """What a tree is told: as self-play's, but that the best play is always made."""
    usual = SearchOptions()
    n = options.whole("n", usual.n_simulations, least=1, most=MAX_SIMULATIONS, of="simulations")
    return SearchOptions(
        n_simulations=n,
        max_nodes=roomy(n),
        n_worlds=options.whole("worlds", usual.n_worlds, least=1, most=MAX_WORLDS, of="worlds"),
        exact_tricks=_exact_tricks(options, usual.exact_tricks),
        root=options.choice("root", ROOTS),
        c_puct=options.number("c", usual.c_puct, expected="a number above 0", above=0.0),
        early_stop=options.switch("early_stop"),
        transpositions=options.switch("transpositions"),
        temperature=0.0,
        gumbel_scale=0.0,
    )


def rollout_options(options: SpecOptions, method: str) -> RolloutOptions:
    """What rollouts are told; with a time, worlds are as many as it has room for."""
    usual = RolloutOptions()
    expected = f"milliseconds above 0, at most {MAX_MILLISECONDS:.0f}"
    ms = options.number("ms", 0.0, expected=expected, above=0.0)
    if ms > MAX_MILLISECONDS:
        raise options.unexpected("ms", f"{expected}.")
    n_worlds = MAX_WORLDS if "ms" in options else usual.n_worlds
    not_negative = "a number of at least 0"
    return RolloutOptions(
        method=method,
        n_worlds=options.whole("worlds", n_worlds, least=1, most=MAX_WORLDS, of="worlds"),
        seconds=ms / 1000,
        exact_tricks=_exact_tricks(options, usual.exact_tricks),
        depth=options.whole("depth", usual.depth, least=1, most=N_TRICKS, of="tricks"),
        prior_worlds=options.number("prior", usual.prior_worlds, expected=not_negative),
        belief=options.choice("belief", BELIEFS),
        power=options.number("power", usual.power, expected=not_negative),
    )


def dtype_of(options: SpecOptions, method: str) -> str:
    """What the network computes in; unless it is said, a tree in fp32 as ever."""
    if method == TREE and "dtype" not in options:
        return "fp32"
    return options.choice("dtype", DTYPES)


def roomy(n_simulations: int) -> int:
    """Nodes with which a search of so many simulations is never cut short.

    Every simulation adds one position of at most seven plays, and there is room for 4.5 a node.
    """
    return max(MIN_NODES, 2 * n_simulations)


def search_deals_per_chunk(n_simulations: int) -> int:
    """Deals side by side for a player that searches: full batches, and progress to be seen."""
    return max(16, min(256, 25_600 // n_simulations))


def rollout_deals_per_chunk(rollout: RolloutOptions) -> int:
    """The same for one that rolls out; what goes by the clock thinks about few at a time."""
    return 16 if rollout.seconds else max(8, min(64, 4096 // rollout.n_worlds))


def _exact_tricks(options: SpecOptions, usual: int) -> int:
    return options.whole("exact", usual, least=0, most=N_TRICKS, of="tricks")
