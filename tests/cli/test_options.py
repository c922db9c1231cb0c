"""Flags made of settings: the same name, help, bounds and default; numbers only where asked."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from zebfast.cli.options import setting_options, setting_values
from zebfast.system.settings import setting


@dataclass(frozen=True, kw_only=True)
class Settings:
    count: int = setting(3, "How many.", least=0, most=9)
    any_count: int = setting(3, "How many more.", least=-9, most=9)
    max_nodes: float = setting(0.5, "How much.", above=0, most=7, flag="max_mcts_nodes")
    any_rate: float | None = setting(None, "How fast.", least=0, most=1e6)
    root: str = setting("puct", "Of two.", choices=("puct", "gumbel"), env="ROOT")
    early_stop: bool = setting(False, "On or off.")
    interval: int | None = setting(
        None, "Between looks.", least=1, most=99, shown="10; eval-aux: 5"
    )
    inner: str = "no setting"


@click.command()
@setting_options(Settings, prefix="a_")
def command(**flags: object) -> None:
    click.echo(json.dumps(setting_values(Settings, flags, prefix="a_")))


def said(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments, env=env)
    return result.exit_code, result.output


def test_values_by_field() -> None:
    defaults = {"count": 3, "any_count": 3, "max_nodes": 0.5, "root": "puct", "early_stop": False}
    assert said() == (0, json.dumps(defaults) + "\n")
    code, text = said("--a-max-mcts-nodes", "2", "--a-early-stop", env={"ROOT": "gumbel"})
    changed = {"max_nodes": 2.0, "root": "gumbel", "early_stop": True}
    assert (code, json.loads(text)) == (0, defaults | changed)


def test_help_has_bounds_defaults_and_variables() -> None:
    text = " ".join(said("--help")[1].split())
    assert "--a-count INTEGER RANGE How many. [default: 3; 0<=x<=9]" in text
    assert "--a-any-count INTEGER RANGE How many more. [default: 3; -9<=x<=9]" in text
    assert "--a-max-mcts-nodes FLOAT RANGE How much. [default: 0.5; 0<x<=7]" in text
    assert "--a-root [puct|gumbel] Of two. [env var: ROOT; default: puct]" in text
    assert "--a-early-stop / --no-a-early-stop" in text
    assert "Between looks. [default: (10; eval-aux: 5); 1<=x<=99]" in text


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--a-max-mcts-nodes", "nan"),
        ("--a-max-mcts-nodes", "inf"),
        ("--a-any-rate", "-inf"),
        ("--a-any-rate", "1e999"),
        ("--a-any-count", str(2**63)),
        ("--a-any-count", "9" * 30),
        ("--a-count", "10"),
        ("--a-count", "1.5"),
    ],
)
def test_what_is_no_number_is_refused(flag: str, value: str) -> None:
    code, text = said(flag, value)
    assert (code, "Invalid value for" in text) == (2, True)


def test_a_flag_has_two_ends() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Open:
        count: int = setting(3, "How many.", least=0)

    with pytest.raises(TypeError, match="without both ends: How many"):
        setting_options(Open)
