"""Player specs, right and wrong."""

import pytest

from zebfast.arena.specs import PlayerSpec, PlayerSpecError, parse_spec


@pytest.mark.parametrize("kind", ["random", "heuristic", "heuristic2"])
def test_plain_players(kind: str) -> None:
    assert parse_spec(f" {kind} ") == PlayerSpec(text=kind, kind=kind)


def test_network_player_with_every_option() -> None:
    spec = parse_spec("zeb:source=runs/a.pt, weights_name=large ,temperature=0.5")
    assert (spec.kind, spec.source, spec.weights_name) == ("zeb", "runs/a.pt", "large")
    assert spec.temperature == 0.5


def test_network_player_defaults() -> None:
    spec = parse_spec("zeb:source=a.pt")
    assert spec == PlayerSpec(text="zeb:source=a.pt", kind="zeb", source="a.pt", temperature=0.1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("heuristc", "Unknown player 'heuristc'.*did you mean 'heuristic'"),
        ("Random", "did you mean 'random'"),
        ("walt", "known players are random, heuristic, heuristic2, zeb:source="),
        ("", "Unknown player ''"),
        ("random:seed=1", "takes no options"),
        ("zeb", "names no weights"),
        ("zeb:", "names no weights"),
        ("zeb:temperature=1", "names no weights"),
        ("zeb:a.pt", "'a.pt' where NAME=VALUE was expected"),
        ("zeb:source=", "NAME=VALUE"),
        ("zeb:source=a,temp=1", "unknown option 'temp'.*did you mean 'temperature'"),
        ("zeb:source=a,zz=1", "known options are source, weights_name, temperature"),
        ("zeb:source=a,source=b", "'source' twice"),
        ("zeb:source=a,temperature=hot", "temperature 'hot'; expected a number"),
        ("zeb:source=a,temperature=-1", "at least 0"),
        ("zeb:source=a,temperature=inf", "at least 0"),
        ("zeb:source=hf,weights_name=large", "Hub, which this version cannot read"),
    ],
)
def test_wrong_specs_get_one_sentence(text: str, words: str) -> None:
    with pytest.raises(PlayerSpecError, match=words) as caught:
        parse_spec(text)
    message = str(caught.value)
    assert "\n" not in message
    assert message[-1] in ".?"
