"""Settings: what is checked, what is decoded, and the one sentence for what cannot be used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from zebfast.system.settings import (
    Setting,
    SettingError,
    check,
    decode,
    decode_as,
    describe,
    encode,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float = setting(0.5, "A share.", above=0, most=1)
    kind: Literal["a", "b"] = setting("a", "Which.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str = setting(help="What it is called.")
    count: int = setting(3, "How many.", least=0, most=9, off=True, env="COUNT")
    rate: float = setting(0.1, "How fast.", above=0, flag="speed")
    root: str = setting("puct", "Of two.", choices=("puct", "gumbel"))
    switch: bool = setting(False, "On or off.")
    limit: int | None = setting(None, "At most so many.", least=1)
    place: Path | None = None
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    words: tuple[str, ...] = ()
    plain: Mapping[str, Any] = field(default_factory=dict)
    by_name: Mapping[str, Inner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)


WHOLE = {
    "name": "x",
    "count": 4,
    "rate": 2,
    "limit": 8,
    "place": "a/b",
    "inner": {"share": 1},
    "several": [{"kind": "b"}, {}],
    "words": ["w"],
    "plain": {"k": [1, {"deep": None}]},
    "by_name": {"one": {"share": 0.25}},
}


def test_a_table_becomes_a_record_and_goes_back() -> None:
    made = decode(Outer, WHOLE)
    assert made == Outer(
        name="x",
        count=4,
        rate=2.0,
        limit=8,
        place=Path("a/b"),
        inner=Inner(share=1.0),
        several=(Inner(kind="b"), Inner()),
        words=("w",),
        plain={"k": [1, {"deep": None}]},
        by_name={"one": Inner(share=0.25)},
    )
    assert type(made.rate) is float
    assert decode(Outer, json.loads(json.dumps(encode(made)))) == made
    assert decode(Outer, {"count": 5}, base=made).rate == 2.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nam": "y"}, "unknown key in the top level: 'nam'; did you mean 'name'?"),
        ({"zzz": 1}, "unknown key in the top level: 'zzz'; expected name, count"),
        ({"name": 3}, "in the top level, name is 3: expected text"),
        ({"count": 10}, "count is 10: expected 0 (off) to 9"),
        ({"count": True}, "count is True: expected a whole number"),
        ({"count": 1.0}, "count is 1.0: expected a whole number"),
        ({"count": 2**63}, "expected 0 (off) to 9"),
        ({"limit": 2**63}, "expected at least 1"),
        ({"limit": "many"}, "limit is 'many': expected a whole number"),
        ({"rate": 0}, "rate is 0.0: expected a number above 0"),
        ({"rate": math.nan}, "rate is nan: expected a number above 0"),
        ({"rate": math.inf}, "rate is inf: expected a number above 0"),
        ({"rate": 10**400}, "expected a number above 0"),
        ({"rate": "1"}, "rate is '1': expected a number"),
        ({"rate": None}, "rate is None: expected a number"),
        ({"root": "ucb"}, "root is 'ucb': expected one of puct, gumbel"),
        ({"switch": 1}, "switch is 1: expected true or false"),
        ({"place": 1}, "place is 1: expected text"),
        ({"inner": 3}, "inner is 3: expected a table"),
        ({"inner": {"shar": 1}}, "unknown key in [inner]: 'shar'; did you mean 'share'?"),
        ({"inner": {"share": 0}}, "in [inner], share is 0.0: expected above 0 and at most 1"),
        ({"inner": {"kind": "c"}}, "in [inner], kind is 'c': expected one of a, b"),
        ({"several": 3}, "expected a list of tables, [[several]] once for each"),
        ({"several": [{}, {"share": 2}]}, "in [[several]] 2, share is 2.0: expected above 0"),
        ({"several": [3]}, "several[1] is 3: expected a table"),
        ({"words": "w"}, "words is 'w': expected a list of texts"),
        ({"words": [1]}, "words[1] is 1: expected text"),
        ({"by_name": {"one": {"shares": 1}}}, "unknown key in [by_name.one]: 'shares'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        decode(Outer, WHOLE | change)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_later_keys() -> None:
    with pytest.raises(SettingError, match="the top level lacks name"):
        decode(Outer, {})
    with pytest.raises(SettingError, match="it is 3: expected a table"):
        decode(Outer, 3, "it")
    later = {"name": "x", "new": 1, "inner": {"newer": 2}}
    assert decode(Outer, later, drop_unknown=True) == Outer(name="x")


def test_records_check_themselves_when_they_are_made() -> None:
    for wrong in ({"count": -1}, {"rate": math.nan}, {"rate": True}, {"root": "ucb"}):
        with pytest.raises(SettingError, match=f"{next(iter(wrong))} is "):
            Outer(name="x", **wrong)  # type: ignore[arg-type]
    assert Outer(name="x", count=np.int32(4), rate=np.float32(1.5)).count == 4


def test_lists_and_mappings_alone() -> None:
    assert decode_as(list[Inner], [{}], "entries") == [Inner()]
    assert decode_as(dict[str, int], {"a": 1}, "counts") == {"a": 1}
    assert decode_as(set[str], ["b", "a"], "names") == {"a", "b"}
    with pytest.raises(SettingError, match=r"a is 1\.5: expected a whole number"):
        decode_as(dict[str, int], {"a": 1.5}, "counts")


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"least": 0}, "at least 0"),
        ({"least": 0, "off": True}, "0 (off) or more"),
        ({"least": 0, "below": 1}, "0 to below 1"),
        ({"most": 5}, "at most 5"),
        ({"below": 5}, "below 5"),
        ({"above": 0.5, "below": 1}, "above 0.5 and below 1"),
        ({"least": 0, "most": 2**63 - 1}, "0 to 9223372036854775807"),
        ({}, None),
    ],
)
def test_bounds_in_words(bounds: dict[str, Any], words: str | None) -> None:
    assert Setting(**bounds).wanted == words


def test_rows_for_the_documents() -> None:
    rows = {row.name: row for row in describe(Outer, prefix="my_")}
    assert list(rows) == ["my_name", "my_count", "my_rate", "my_root", "my_switch", "my_limit"]
    assert rows["my_count"][1:] == ("--my-count", "3", "0 (off) to 9", "COUNT", "How many.")
    assert rows["my_rate"].flag == "--my-speed"
    assert rows["my_switch"].flag == "--my-switch/--no-my-switch"
    assert (rows["my_switch"].default, rows["my_switch"].values) == ("off", "true or false")
    assert rows["my_root"].values == "one of puct, gumbel"
