"""An adapter without its library says which extra brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from zebfast import PlayerLoadError, PlayerSpecError, load_player
from zebfast.arena.players.specs import parse_spec


@pytest.mark.parametrize(
    ("module", "library", "sentence"),
    [("pettingzoo", "pettingzoo", "PettingZoo cannot be imported"),
     ("gymnasium", "gymnasium", "Gymnasium cannot be imported"),
     ("openspiel", "pyspiel", "OpenSpiel cannot be imported")],
)  # fmt: skip
def test_it_names_the_extra(
    module: str, library: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (f"zebfast.environments.{module}", f"zebfast.arena.{module}"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    with pytest.raises(ImportError, match=sentence) as error:
        importlib.import_module(f"zebfast.environments.{module}")
    assert str(error.value).endswith(f"pip install 'zebfast[{module}]'")
    assert "\n" not in str(error.value)


def test_a_player_of_a_library_that_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zebfast.arena.openspiel", "zebfast.arena.players.openspiel"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(PlayerLoadError, match="'openspiel-ismcts:n=9' is OpenSpiel's") as error:
        load_player("openspiel-ismcts:n=9")
    assert str(error.value).endswith("pip install 'zebfast[openspiel]'.")


@pytest.mark.parametrize("told", ["", ":ms=1,n=9", ":n=1", ":ms=0", ":n=9,objective=x", ":x=1"])
def test_what_the_player_is_not_told(told: str) -> None:
    with pytest.raises(PlayerSpecError, match="openspiel-ismcts"):
        parse_spec(f"openspiel-ismcts{told}")
    assert parse_spec("openspiel-ismcts:ms=10") == parse_spec("openspiel-ismcts:ms=10")
    assert not parse_spec("openspiel-ismcts:n=9").needs_network
