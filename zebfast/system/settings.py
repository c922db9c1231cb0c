"""Settings: fields of dataclasses that say once what they mean and what they may be.

    @dataclass(frozen=True, kw_only=True)
    class Training:
        ema: float = setting(0.0, "Decay a step of the average.", least=0, below=1, off=True)

        def __post_init__(self) -> None:
            check(self)

``check`` holds a record to its fields, ``decode`` makes one of what TOML or JSON holds and
``encode`` the reverse. Flags are made of the same fields in ``cli/options.py``, and the tables of
the documents of ``describe``. Whatever cannot be used is a SettingError: one sentence that names
the setting, what it is and what was expected.

Numbers are finite, whole ones have at most 64 bits, and true is not the number 1. Numbers that are
settings have two ends, and refusals tell both.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TOP = "the top level"
MOST_WHOLE = 2**63 - 1
#: Upper ends that settings share; durations in seconds.
A_DAY = 24 * 3600
A_YEAR = 366 * A_DAY
MOST_COUNT = 10**12  # cycles, steps, files, games: more than a run comes to
MOST_GAMES = 100_000_000  # of one match
MOST_THREADS = 1024
MOST_UNIX = 2**37  # a time some thousands of years from now, which every clock can still show
_KEY = "setting"
_Record = TypeVar("_Record", bound="DataclassInstance")
#: get_type_hints evaluates source text, and a look of a fleet reads hundreds of records.
hints_of = cache(get_type_hints)


class SettingError(ValueError):
    """One sentence: the setting, what it is, what was expected."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a field says of itself, for checks, flags and documents.

    Attributes:
        help: what it is, as ``--help`` has it.
        least, above, most, below: its bounds, the second and the last left out of the range.
        choices: the only values there are.
        off: 0 switches it off, which messages say.
        is_directory: a path is one of a directory.
        flag: how it is spelled on a command line, where not as the field is called; with
            underscores.
        key: the same in files.
        env: environment variable that it can come from.
        shown: what help says of a flag's default where that is found elsewhere or differs by mode.
    """

    help: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    off: bool = False
    is_directory: bool = False
    flag: str | None = None
    key: str | None = None
    env: str | None = None
    shown: str | None = None

    @property
    def wanted(self) -> str | None:
        """The values that are taken, in words; None where any is."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        top = None
        if self.most is not None:
            top = f"{'at most ' if self.least is None else ''}{self.most:{_format(self.most)}}"
        elif self.below is not None:
            top = f"below {self.below:{_format(self.below)}}"
        if self.least is not None:
            low = f"{self.least:{_format(self.least)}}{' (off)' if self.off else ''}"
            if top is None:
                return f"{low} or more" if self.off else f"at least {low}"
            return f"{low} to {top}"
        if self.above is None:
            return top
        low = f"above {self.above:{_format(self.above)}}"
        return f"a number {low}" if top is None else f"{low} and {top}"

    def allows(self, value: Any) -> bool:
        """Is a value of the right type within the bounds?"""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
            and (not self.choices or value in self.choices)
        )


def _format(number: float) -> str:
    return "d" if isinstance(number, int) else "g"


_PLAIN = Setting()


def setting(default: Any = MISSING, help: str = "", *, factory: Any = MISSING, **facts: Any) -> Any:
    """A dataclass field that is a setting; ``facts`` are those of Setting.

    Args:
        default: as in ``dataclasses.field``; without one, and without ``factory``, it is required.
    """
    metadata = {_KEY: Setting(help=help, **facts)}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def counted(default: Any = MISSING) -> Any:
    """A field for a number from 0 on that a file remembers; JSON holds it exactly."""
    return setting(default, least=0, most=2**53)


def moment(default: Any = MISSING) -> Any:
    """A field for a time that a file remembers, unix seconds."""
    return setting(default, least=0, most=MOST_UNIX)


def setting_of(found: Field[Any]) -> Setting:
    """What a field says of itself; an empty Setting where it was made otherwise."""
    return cast(Setting, found.metadata.get(_KEY, _PLAIN))


def variable_of(found: Field[Any], prefix: str = "") -> str:
    """The flag of a field, with underscores."""
    return prefix + (setting_of(found).flag or found.name)


def _key_of(found: Field[Any]) -> str:
    return setting_of(found).key or found.name


def is_required(found: Field[Any]) -> bool:
    """Has the field no default?"""
    return found.default is MISSING and found.default_factory is MISSING


# --- checks ------------------------------------------------------------------------------------


def check(record: DataclassInstance, *, prefix: str = "") -> None:
    """Hold a record to its fields: types of plain values, finite numbers, bounds and choices.

    Args:
        record: as ``__post_init__`` has it. Records in its fields have checked themselves.
        prefix: of the fields' names in messages.

    Raises:
        SettingError: for the first value that cannot be used.
    """
    hints = hints_of(type(record))
    for found in fields(record):
        name, value = found.name, getattr(record, found.name)
        _check_plain(value, kinds_of(hints[name]), setting_of(found), prefix + name)


def _check_plain(value: Any, kinds: tuple[Any, ...], bounds: Setting, name: str) -> None:
    """SettingError where a field for plain values has another one; other fields pass."""
    choices = bounds.choices or tuple(
        c for k in kinds if get_origin(k) is Literal for c in k.__args__
    )
    plain = [kind for kind in kinds if kind in _NAMES]
    if (value is None and NoneType in kinds) or not (choices or plain):
        return
    if choices:
        wanted = None if value in choices else f"one of {', '.join(map(str, choices))}"
    else:
        wanted = _expected(value, plain, bounds)
    if wanted is not None:
        raise SettingError(f"{name} is {shown(value)}: expected {wanted}")


def _expected(value: Any, plain: list[Any], bounds: Setting) -> str | None:
    """What was expected in place of a value that does not fit; None where it fits."""
    of_kind = " or ".join(_NAMES[kind] for kind in plain)
    if isinstance(value, bool | str):
        return None if type(value) in plain else of_kind
    whole = isinstance(value, Integral)
    if not (float in plain and isinstance(value, Real)) and not (int in plain and whole):
        return of_kind
    finite = -MOST_WHOLE - 1 <= value <= MOST_WHOLE if whole else math.isfinite(value)
    if finite and bounds.allows(value):
        return None
    return bounds.wanted or (f"{of_kind} of at most 64 bits" if whole else "a finite number")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def kinds_of(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type there is."""
    is_union = isinstance(hint, UnionType) or get_origin(hint) is Union
    return get_args(hint) if is_union else (hint,)


def shown(value: Any) -> str:
    """A value as messages have it, cut where it is long."""
    try:
        text = repr(value.item() if hasattr(value, "item") else value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


# --- from plain values and back ------------------------------------------------------------------


def decode(
    kind: type[_Record],
    table: Any,
    where: str = TOP,
    *,
    base: _Record | None = None,
    by_flags: bool = False,
    drop_unknown: bool = False,
) -> _Record:
    """The record of a table as TOML or JSON gives it.

    Args:
        where: what messages call the table: ``TOP``, ``[name]``, or words.
        base: a record that has what the table leaves out, in place of the fields' defaults.
        by_flags: the table's keys are the fields' flags, with underscores.
        drop_unknown: leave keys of later versions out instead of refusing them.

    Raises:
        SettingError: an unknown or missing key, a value of another type or out of bounds.
    """
    if not isinstance(table, Mapping):
        raise SettingError(f"{where} is {shown(table)}: expected a table")
    hints = hints_of(kind)
    key_of = variable_of if by_flags else _key_of
    known = {key_of(found): found for found in fields(kind) if found.init}
    refuse_unknown(() if drop_unknown else table, known, where)
    missing = [key for key, found in known.items() if is_required(found) and key not in table]
    if missing and base is None:
        raise SettingError(f"{where} lacks {', '.join(missing)}")
    values = {}
    for key, found in known.items():
        if key in table:
            place, bounds = _Place.of(key, where, drop_unknown), setting_of(found)
            # A table of its own begins from the record that is the field's default.
            begin = found.default if is_dataclass(found.default) else None
            values[found.name] = _decode_value(table[key], hints[found.name], bounds, place, begin)
    try:
        return kind(**values) if base is None else replace(base, **values)
    except ValueError as error:
        raise SettingError(f"in {where}, {error}") from None


def refuse_unknown(found: Iterable[Any], known: Iterable[str], where: str) -> None:
    """SettingError for a key that is not among the known ones."""
    names = list(known)
    for key in found:
        if key not in names:
            hint = did_you_mean(str(key), names) or f"; expected {', '.join(names)}"
            raise SettingError(f"unknown key in {where}: {shown(key)}{hint}")


@dataclass(frozen=True)
class _Place:
    """Where a value stands: its name, and what its table and a table at its place are called."""

    name: str
    where: str
    table: str
    drop_unknown: bool

    @classmethod
    def of(cls, name: str, where: str, drop_unknown: bool) -> _Place:
        """The entry ``name`` of the table that is called ``where``."""
        if where == TOP:
            table = f"[{name}]"
        elif where.startswith("[") and where.endswith("]"):
            table = f"[{where[1:-1]}.{name}]"
        else:
            table = f"{name} of {where}"
        return cls(name, where, table, drop_unknown)

    def item(self, number: int) -> _Place:
        """Entry ``number``, from 1, of a list at this place."""
        table = f"[{self.table}] {number}" if self.table[0] == "[" else f"{number} in {self.table}"
        return replace(self, name=f"{self.name}[{number}]", table=table)

    def wrong(self, value: Any, kind: Any) -> SettingError:
        """For a value in place of a record, a mapping, a list, a path or a time."""
        wanted = _word(kind, self.table)
        return SettingError(f"in {self.where}, {self.name} is {shown(value)}: expected {wanted}")


def _word(kind: Any, table: str) -> str:
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is datetime:
        return "a date and time"
    if origin is Path:
        return "text"
    if is_dataclass(origin) or issubclass(origin, Mapping):
        return "a table"
    if parts and is_dataclass(parts[0]):
        return f"a list of tables, [{table}] once for each"
    return "a list of texts" if str in parts else "a list"


def _decode_value(value: Any, hint: Any, bounds: Setting, place: _Place, base: Any = None) -> Any:
    kinds = kinds_of(hint)
    if Any in kinds or (value is None and NoneType in kinds):
        return value
    plain = [kind for kind in kinds if kind in _NAMES or get_origin(kind) is Literal]
    if not plain or isinstance(value, Mapping | list | tuple):
        others = [kind for kind in kinds if kind not in plain and kind is not NoneType]
        if others:
            return _decode_whole(value, others[0], place, base)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and float in kinds and int not in kinds and abs(value) <= MOST_WHOLE:
        value = float(value)
    try:
        _check_plain(value, kinds, bounds, place.name)
    except SettingError as error:
        raise SettingError(f"in {place.where}, {error}") from None
    return value


def _decode_whole(value: Any, kind: Any, place: _Place, base: Any) -> Any:
    """What is no plain value: a record, a mapping, a list, a path or a time."""
    origin, parts = get_origin(kind) or kind, get_args(kind) or (Any, Any)
    if is_dataclass(origin) and isinstance(value, Mapping):
        return decode(kind, value, place.table, base=base, drop_unknown=place.drop_unknown)
    if issubclass(origin, Mapping) and isinstance(value, Mapping):
        if get_origin(parts[0]) is Literal:
            refuse_unknown(value, get_args(parts[0]), place.table)
        inside = {key: _Place.of(str(key), place.table, place.drop_unknown) for key in value}
        return {
            _decode_value(key, parts[0], _PLAIN, at): _decode_value(
                value[key], parts[1], _PLAIN, at
            )
            for key, at in inside.items()
        }
    if (
        issubclass(origin, Iterable)
        and not issubclass(origin, Mapping)
        and isinstance(value, list | tuple)
    ):
        made = [
            _decode_value(each, parts[0], _PLAIN, place.item(i)) for i, each in enumerate(value, 1)
        ]
        return made if origin in (list, Sequence) else origin(made)
    if origin is Path and isinstance(value, str):
        return Path(value)
    if origin is datetime and isinstance(value, datetime):
        return value
    raise place.wrong(value, kind)


def decode_as(hint: Any, value: Any, name: str, *, drop_unknown: bool = False) -> Any:
    """A value of the type ``hint``, a list of records say, called ``name`` in messages.

    Raises:
        SettingError: as ``decode``.
    """
    return _decode_value(value, hint, _PLAIN, _Place.of(name, TOP, drop_unknown))


def encode(value: Any, *, leave_none: bool = False) -> Any:
    """A record, or what records hold, as plain values: tables, lists, texts and numbers.

    Times stay, which TOML holds; it does not hold None, which ``leave_none`` leaves out of records.
    """
    if is_dataclass(value) and not isinstance(value, type):
        own = {_key_of(each): getattr(value, each.name) for each in fields(value)}
        value = {name: each for name, each in own.items() if not (leave_none and each is None)}
    if isinstance(value, Mapping):
        return {key: encode(each, leave_none=leave_none) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [encode(each, leave_none=leave_none) for each in value]
    return str(value) if isinstance(value, Path) else value


# --- documents -----------------------------------------------------------------------------------


class Row(NamedTuple):
    """One setting in words, as tables of the documents have it."""

    name: str
    flag: str
    default: str
    values: str
    env: str
    help: str


def flag_of(name: str, about: Setting, *, prefix: str = "", switch: bool = False) -> str:
    """How a command line spells a field, ``--early-stop/--no-early-stop`` where it is a switch."""
    flag = (prefix + (about.flag or name)).replace("_", "-")
    return f"--{flag}/--no-{flag}" if switch else f"--{flag}"


def describe(kind: type[DataclassInstance], *, prefix: str = "") -> list[Row]:
    """The settings of a dataclass, in their order; fields without help are none.

    Args:
        prefix: of flags and names, as the command line has it for these settings.
    """
    rows, hints = [], hints_of(kind)
    for found in fields(kind):
        about, kinds = setting_of(found), kinds_of(hints[found.name])
        if not about.help:
            continue
        rows.append(
            Row(
                name=prefix + found.name,
                flag=flag_of(found.name, about, prefix=prefix, switch=bool in kinds),
                default=about.shown or _default_text(found),
                values=about.wanted or _values_text(kinds),
                env=about.env or "",
                help=about.help,
            )
        )
    return rows


def _default_text(found: Field[Any]) -> str:
    if found.default is MISSING:
        return "" if found.default_factory is MISSING else str(encode(found.default_factory()))
    if isinstance(found.default, bool):
        return "on" if found.default else "off"
    if isinstance(found.default, tuple):
        return ", ".join(map(str, found.default))
    return "" if found.default is None else str(found.default)


def _values_text(kinds: tuple[Any, ...]) -> str:
    words = [
        _NAMES.get(kind) or _word(kind, "")
        for kind in kinds
        if kind is not NoneType and get_origin(kind) is not Literal
    ]
    listed = [str(c) for kind in kinds if get_origin(kind) is Literal for c in get_args(kind)]
    return " or ".join([*words, *([f"one of {', '.join(listed)}"] if listed else [])])
