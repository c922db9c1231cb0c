"""Player specs, right and wrong."""

from dataclasses import replace

import pytest

from zebfast.arena.players.options import RolloutOptions
from zebfast.arena.players.specs import (
    NetworkOptions,
    PimcOptions,
    PlainOptions,
    PlayerSpec,
    PlayerSpecError,
    RolloutSearch,
    TreeSearch,
    WeightsPlace,
    parse_spec,
)
from zebfast.core.options import SearchOptions


@pytest.mark.parametrize("kind", ["random", "heuristic", "heuristic2"])
def test_plain_players(kind: str) -> None:
    assert parse_spec(f" {kind} ") == PlayerSpec(kind, PlainOptions(kind))


def test_network_player_with_every_option() -> None:
    spec = parse_spec("zeb:source=runs/a.pt, weights_name=large ,temperature=0.5")
    assert spec.options == NetworkOptions(WeightsPlace("runs/a.pt", "large"), temperature=0.5)


def test_network_player_defaults() -> None:
    spec = parse_spec("zeb:source=a.pt")
    assert spec == PlayerSpec("zeb:source=a.pt", NetworkOptions(WeightsPlace("a.pt"), 0.1))


@pytest.mark.parametrize("text", ["zeb", "zeb:", "zeb:temperature=0.1", "search", "search:n=200"])
def test_a_network_without_a_source_is_the_shipped_one(text: str) -> None:
    spec = parse_spec(text)
    assert spec.needs_network
    assert spec.weights == WeightsPlace("", None)


def test_worlds_player_with_every_option() -> None:
    spec = parse_spec("eq:n=25, objective=make ,adaptive=yes,posterior=0.5")
    assert spec.options == PimcOptions(25, "make", adaptive=True, posterior=0.5)


def test_worlds_player_defaults() -> None:
    spec = parse_spec("eq:n=100")
    assert spec == PlayerSpec("eq:n=100", PimcOptions(100, "points", adaptive=False, posterior=0.0))


def test_search_player_with_every_option() -> None:
    spec = parse_spec(
        "search:source=a.pt, weights_name=large ,n=50,worlds=8,exact=4,root=gumbel,c=2,"
        "early_stop=yes,transpositions=yes"
    )
    assert isinstance(spec.options, TreeSearch)
    assert spec.weights == WeightsPlace("a.pt", "large")
    assert spec.options.search == SearchOptions(
        n_simulations=50,
        max_nodes=100,
        n_worlds=8,
        exact_tricks=4,
        root="gumbel",
        c_puct=2.0,
        early_stop=True,
        transpositions=True,
        temperature=0.0,
        gumbel_scale=0.0,
    )


def test_search_player_defaults() -> None:
    """Those of self-play, but that the best play is always made and the tree has room."""
    usual = replace(SearchOptions(), temperature=0.0, gumbel_scale=0.0, max_nodes=400)
    spec = parse_spec("search:source=a.pt,method=tree")
    assert spec.options == TreeSearch(WeightsPlace("a.pt"), usual, "fp32")


def test_rollout_player_with_every_option() -> None:
    spec = parse_spec(
        "search:source=a.pt,method=epimc,worlds=9,ms=12.5,exact=4,depth=2,prior=3,belief=play,"
        "power=0.7,dtype=bf16"
    )
    assert isinstance(spec.options, RolloutSearch)
    assert spec.options.dtype == "bf16"
    assert spec.options.rollout == RolloutOptions(
        method="epimc",
        n_worlds=9,
        seconds=0.0125,
        exact_tricks=4,
        depth=2,
        prior_worlds=3.0,
        belief="play",
        power=0.7,
    )


def test_rollouts_are_the_usual_search() -> None:
    spec = parse_spec("search")
    assert spec.options == RolloutSearch(WeightsPlace(), RolloutOptions(), "auto")
    assert spec.needs_pool
    assert not parse_spec("search:method=tree").needs_pool


def rollout_of(text: str) -> RolloutOptions:
    options = parse_spec(text).options
    assert isinstance(options, RolloutSearch)
    return options.rollout


def test_a_time_alone_takes_as_many_worlds_as_it_has_room_for() -> None:
    found = rollout_of("search:ms=100")
    assert found == replace(RolloutOptions(), n_worlds=10_000, seconds=0.1)
    found = rollout_of("search:ms=100,worlds=50")
    assert found == replace(RolloutOptions(), n_worlds=50, seconds=0.1)


@pytest.mark.parametrize(
    "option", ["n=5", "root=puct", "c=1", "early_stop=no", "transpositions=no"]
)
def test_what_only_a_tree_has_makes_it_one(option: str) -> None:
    """Specs from before there were other methods mean what they did."""
    spec = parse_spec(f"search:source=a.pt,{option}")
    assert spec.same_player(parse_spec(f"search:source=a.pt,method=tree,{option}"))
    assert isinstance(spec.options, TreeSearch)
    assert spec.options.dtype == "fp32"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 40, 200, 10_000])
def test_no_search_player_runs_out_of_nodes(n: int) -> None:
    """Room for a root and a position of seven plays for every simulation, as csrc/tree.h counts."""
    options = parse_spec(f"search:source=a.pt,n={n}").options
    assert isinstance(options, TreeSearch)
    found = options.search
    assert found is not None
    assert found.max_nodes >= n + 1
    assert found.max_nodes * 9 // 2 >= 7 * (n + 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("eq:n=5", "eq:objective=points,n=5,adaptive=no", True),
        ("eq:n=5", "eq:n=5,objective=make", False),
        ("eq:n=5", "eq:n=6", False),
        ("zeb:source=a", "zeb:source=a,temperature=0.1", True),
        ("zeb:source=a", "zeb:source=b", False),
        ("zeb", "zeb:temperature=0.1", True),
        ("zeb", "zeb:source=a", False),
        ("zeb", "search", False),
        ("search:source=a,n=200", "search:source=a,method=tree,worlds=16,exact=7,c=1.40", True),
        ("search:source=a", "search:source=a,n=100", False),
        (
            "search",
            "search:method=rollout,belief=play,worlds=64,exact=2,prior=96,power=1",
            True,
        ),
        ("search", "search:ms=100", False),
        ("search", "search:method=epimc", False),
        ("search:source=a", "search:source=b", False),
        ("search:source=a", "zeb:source=a", False),
        ("random", "heuristic", False),
    ],
)
def test_one_player_written_in_two_ways(one: str, other: str, same: bool) -> None:
    assert parse_spec(one).same_player(parse_spec(other)) == same


@pytest.mark.parametrize("n", [1, 50, 100, 1000, 10_000])
def test_slow_players_play_few_deals_at_once(n: int) -> None:
    chunk = parse_spec(f"eq:n={n}").deals_per_chunk
    assert 1 <= chunk <= 16
    assert chunk * n <= 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("heuristc", "Unknown player 'heuristc'.*did you mean 'heuristic'"),
        ("Random", "did you mean 'random'"),
        ("walt", "known players are random, heuristic, heuristic2, zeb\\[:source="),
        ("", "Unknown player ''"),
        ("random:seed=1", "takes no options"),
        ("zeb:weights_name=x", "weights_name but no source; add .* as source=DIRECTORY"),
        ("zeb:a.pt", "'a.pt' where NAME=VALUE was expected"),
        ("zeb:source=", "NAME=VALUE"),
        ("zeb:source=a,temp=1", "unknown option 'temp'.*did you mean 'temperature'"),
        ("zeb:source=a,zz=1", "known options are source, weights_name, temperature"),
        ("zeb:source=a,source=b", "'source' twice"),
        ("zeb:source=a,temperature=hot", "temperature 'hot'; expected a number"),
        ("zeb:source=a,temperature=-1", "a number: 0 to 1000"),
        ("zeb:source=a,temperature=inf", "a number: 0 to 1000"),
        ("eq", "does not say how many worlds .*for example eq:n=100"),
        ("eq:objective=make", "does not say how many worlds"),
        ("eq:n=0", "n '0'; expected a number of worlds, 1 to 10000"),
        ("eq:n=10001", "1 to 10000"),
        ("eq:n=1e3", "n '1e3'"),
        ("eq:n=-5", "n '-5'"),
        ("eq:n=²", "n '²'"),
        ("eq:100", "'100' where NAME=VALUE was expected; write eq:n="),
        ("eq:n=5,objective=point", "objective 'point'; expected points or make; did you mean"),
        ("eq:n=5,adaptive=1", "adaptive '1'; expected no or yes"),
        ("eq:n=5,posterior=nan", "posterior 'nan'; expected a number: 0 to 1000"),
        ("eq:n=5,source=a", "unknown option 'source': known options are n, objective, adaptive"),
        ("eq:n=5,n=6", "'n' twice"),
        ("Eq:n=5", "did you mean 'eq'"),
        ("search:n=5,weights_name=x", "weights_name but no source"),
        ("search:source=hf", "Hub, which this version cannot read"),
        ("search:source=a,n=0", "n '0'; expected a number of simulations, 1 to 10000"),
        ("search:source=a,worlds=many", "worlds 'many'; expected a number of worlds, 1 to 10000"),
        ("search:source=a,exact=8", "exact '8'; expected a number of tricks, 0 to 7"),
        ("search:source=a,c=0", "c '0'; expected a number: above 0 and at most 1000"),
        ("search:source=a,c=-1", "c '-1'; expected a number: above 0 and at most 1000"),
        ("search:source=a,root=ucb", "root 'ucb'; expected puct or gumbel"),
        ("search:source=a,early_stop=1", "early_stop '1'; expected no or yes"),
        (
            "search:method=rollouts",
            "'rollouts'; expected rollout or value or epimc or tree",
        ),
        ("search:method=rollout,n=5", "n, which belongs to method=tree, not to rollout"),
        (
            "search:method=tree,ms=5",
            "ms, which belongs to method=rollout or value or epimc",
        ),
        ("search:n=5,belief=play", "belief, which belongs to method=rollout or value or epimc"),
        ("search:method=rollout,depth=2", "depth, which belongs to method=value or epimc"),
        ("eq:n=5,posterior=1e9", "posterior '1e9'; expected a number: 0 to 1000"),
        ("zeb:temperature=1e300", "temperature '1e300'; expected a number: 0 to 1000"),
        ("search:power=nan", "power 'nan'; expected a number: 0 to 1000"),
        ("search:prior=1e18", "prior '1e18'; expected a number: 0 to 1000000"),
        ("search:n=5,c=1e30", "c '1e30'; expected a number: above 0 and at most 1000"),
        ("search:ms=0", "ms '0'; expected a number: above 0 and at most 600000 milliseconds"),
        ("search:ms=1e9", "ms '1e9'; expected a number: above 0 and at most 600000 milliseconds"),
        ("search:belief=yes", "belief 'yes'; expected play or head or none"),
        ("search:worlds=0", "worlds '0'; expected a number of worlds, 1 to 10000"),
        ("search:dtype=int4", "dtype 'int4'; expected auto or fp32 or bf16 or fp16 or int8"),
        ("search:source=a,sims=5", "unknown option 'sims': known options are source"),
        ("serch:source=a", "did you mean 'search'"),
        ("zeb:source=hf,weights_name=large", "Hub, which this version cannot read"),
    ],
)
def test_wrong_specs_get_one_sentence(text: str, words: str) -> None:
    with pytest.raises(PlayerSpecError, match=words) as caught:
        parse_spec(text)
    message = str(caught.value)
    assert "\n" not in message
    assert message[-1] in ".?"
