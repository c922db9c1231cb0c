"""An adapter without its library says which extra brings it."""

from __future__ import annotations

import importlib
import sys

import pytest


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
