"""Every number of every command, environment variable and setting has two finite ends."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner

import zebfast
from zebfast.cli.main import cli
from zebfast.cli.options import Number, Whole
from zebfast.system.settings import MOST_THREADS, hints_of, kinds_of, setting_of

NO_NUMBERS = ("nan", "inf", "-inf", "1e308", "1e999", str(10**30), "9" * 5000, "many", "")


@dataclass(frozen=True)
class Flag:
    """A number of one command."""

    words: tuple[str, ...]
    option: click.Option
    kind: Whole | Number

    def __str__(self) -> str:
        return " ".join((*self.words, self.option.opts[0]))


def numbers(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[Flag]:
    """Of a command and all below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from numbers(below, (*words, name))
    for parameter in command.params:
        kind = parameter.type
        if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
            assert type(kind) in (Whole, Number), (words, parameter.opts)
            assert isinstance(parameter, click.Option)
            yield Flag(words, parameter, kind)


FLAGS = list(numbers(cli))


def test_there_are_many() -> None:
    assert len(FLAGS) > 100
    assert {flag.option.envvar for flag in FLAGS} >= {
        "ZEB_EQ_N_SAMPLES", "ZEB_EQ_TEMPERATURE", "ZEB_EQ_GAMES_PER_BATCH", "ZEB_MAX_DPH"
    }  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS, ids=str)
def test_a_number_outside_its_ends_is_refused_with_both(flag: Flag) -> None:
    kind, name = flag.kind, flag.option.opts[0]
    assert kind.min is not None
    assert kind.max is not None
    assert math.isfinite(kind.min)
    assert kind.min < kind.max < 2**64
    context = click.Context(click.Command("x"))
    for wrong in (*NO_NUMBERS, str(kind.min - 1), str(kind.max + 1)):
        with pytest.raises(click.BadParameter) as caught:
            flag.option.type_cast_value(context, wrong)
        text = caught.value.format_message()
        assert name in text
        assert kind._describe_range() in text
        assert len(text) < 200
    for end in ([] if kind.min_open else [kind.min], [] if kind.max_open else [kind.max]):
        assert all(flag.option.type_cast_value(context, str(each)) == each for each in end)


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("learn", "--weights-dir", "w", "--input-dir", "e", "--max-minutes", "nan"), {}),
        (("learn", "--weights-dir", "w", "--input-dir", "e", "--threads", "100000"), {}),
        (("init", "--size", "small", "-o", "x.pt", "--seed", "9" * 20), {}),
        (("fleet", "up", "x", "--budget", "inf"), {}),
        (("fleet", "up", "x"), {"ZEB_MAX_DPH": "nan"}),
        (("worker", "--weights-dir", "w", "--output-dir", "e"), {"ZEB_EQ_TEMPERATURE": "inf"}),
        (("experiment", "watch", "--once", "--remind-hours", "1e300"), {}),
    ],
)
def test_a_usage_error_before_anything_is_done(
    words: tuple[str, ...], env: dict[str, str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, words, env=env)
    assert result.exit_code == 2, result.output
    assert "in the range" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_every_setting_has_two_ends() -> None:
    """Those of recipes, experiments, published producers and fleets among them."""
    seen, open_ends = 0, []
    for module in pkgutil.walk_packages(zebfast.__path__, "zebfast."):
        try:
            own = {} if "__main__" in module.name else vars(importlib.import_module(module.name))
        except ImportError as error:
            assert "pip install 'zebfast[" in str(error)  # noqa: PT017  (adapters, without settings)
            continue
        kinds = (each for each in own.values() if inspect.isclass(each) and is_dataclass(each))
        for kind in (each for each in kinds if each.__module__ == module.name):
            for found in (each for each in fields(kind) if setting_of(each).help):
                about = setting_of(found)
                if not {int, float} & set(kinds_of(hints_of(kind)[found.name])):
                    continue
                seen += 1
                ends = (about.least, about.above), (about.most, about.below)
                if (None, None) in ends:
                    open_ends.append((kind, found.name))
    assert not open_ends
    assert seen > 60


def test_more_threads_than_cores_are_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from zebfast.system import machine

    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    caplog.set_level("INFO", "zebfast")
    assert [machine.usable_threads(n) for n in (None, 1, 4)] == [None, 1, 4]
    assert not caplog.messages
    assert machine.usable_threads(MOST_THREADS) == 4
    assert caplog.messages == ["note: using 4 threads, not 1024: there are no more cores"]
