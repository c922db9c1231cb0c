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

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from functools import cache, cached_property
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

from zebfast.system.parse import MOST_EXACT, MOST_UNIX

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
    return setting(default, least=0, most=MOST_EXACT)


def moment(default: Any = MISSING) -> Any:
    """A field for a time that a file remembers, unix seconds."""
    return setting(default, least=0, most=MOST_UNIX)


def setting_of(found: Field[Any]) -> Setting:
    """What a field says of itself; an empty Setting where it was made otherwise."""
    return cast(Setting, found.metadata.get(_KEY, _PLAIN))


def variable_of(found: Field[Any], prefix: str = "") -> str:
    """The flag of a field, with underscores."""
    return prefix + (setting_of(found).flag or found.name)


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
    for member in _members_of(type(record)):
        value = getattr(record, member.name)
        wanted = _expected(value, member.type, member.about)
        if wanted is not None:
            raise SettingError(f"{prefix}{member.name} is {shown(value)}: expected {wanted}")


def _expected(value: Any, kind: _Type, bounds: Setting) -> str | None:
    """What was expected in place of a value that does not fit; None where it fits.

    Fields that are not for plain values take any here.
    """
    choices, plain = bounds.choices or kind.choices, kind.plain
    if (value is None and kind.optional) or not (choices or plain):
        return None
    if choices:
        return None if value in choices else f"one of {', '.join(map(str, choices))}"
    if isinstance(value, (bool, str)):
        return None if type(value) in plain else _of_kind(plain)
    whole = type(value) is int or isinstance(value, Integral)
    if not (int in plain and whole) and not (
        float in plain and (type(value) is float or isinstance(value, Real))
    ):
        return _of_kind(plain)
    finite = -MOST_WHOLE - 1 <= value <= MOST_WHOLE if whole else math.isfinite(value)
    if finite and bounds.allows(value):
        return None
    return bounds.wanted or (
        f"{_of_kind(plain)} of at most 64 bits" if whole else "a finite number"
    )


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _of_kind(plain: tuple[Any, ...]) -> str:
    return " or ".join(_NAMES[kind] for kind in plain)


def kinds_of(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type there is."""
    is_union = isinstance(hint, UnionType) or get_origin(hint) is Union
    return get_args(hint) if is_union else (hint,)


class _Type:
    """A field's type, taken apart once: a look of a fleet reads thousands of values.

    Attributes:
        plain: those of its kinds that are flags, numbers and text.
        choices: the only values that there are, where it is a Literal.
        optional: None is one of its values.
        anything: any value is.
        whole: what it is besides: a record, a mapping, a list, a path or a time.
        origin: of that, without what is in brackets, which is ``parts``, one for each.
        is_record: that is a dataclass.
    """

    def __init__(self, hint: Any) -> None:
        kinds = kinds_of(hint)
        literals = [kind for kind in kinds if get_origin(kind) is Literal]
        self.plain = tuple(kind for kind in kinds if kind in _NAMES)
        self.choices = tuple(each for kind in literals for each in get_args(kind))
        self.optional, self.anything = NoneType in kinds, Any in kinds
        others = [k for k in kinds if k not in (*self.plain, *literals, NoneType, Any)]
        self.whole: Any = others[0] if others else None
        self.origin: Any = get_origin(self.whole) or self.whole
        self.is_record = bool(others) and is_dataclass(self.origin)

    @cached_property
    def parts(self) -> tuple[_Type, ...]:
        return tuple(map(_Type, get_args(self.whole)))

    @property
    def is_plain(self) -> bool:
        return bool(self.plain or self.choices)


_ANYTHING = _Type(Any)
_type_of = cache(_Type)


class _Member(NamedTuple):
    """A field of a record, as checks and decoding need it."""

    name: str
    key: str
    variable: str
    about: Setting
    type: _Type
    required: bool
    init: bool
    base: Any  # the record that is its default, if one is


@cache
def _members_of(kind: type[DataclassInstance]) -> tuple[_Member, ...]:
    hints = hints_of(kind)
    return tuple(
        _Member(
            name=found.name,
            key=setting_of(found).key or found.name,
            variable=variable_of(found),
            about=setting_of(found),
            type=_Type(hints[found.name]),
            required=is_required(found),
            init=found.init,
            base=found.default if is_dataclass(found.default) else None,
        )
        for found in fields(kind)
    )


@cache
def _taken_by(kind: type[DataclassInstance], by_flags: bool) -> dict[str, _Member]:
    """The members that a table gives, by its keys."""
    taken = (member for member in _members_of(kind) if member.init)
    return {member.variable if by_flags else member.key: member for member in taken}


def shown(value: Any) -> str:
    """A value as messages have it, cut where it is long."""
    try:
        text = repr(value.item() if hasattr(value, "item") else value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def did_you_mean(word: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """``; did you mean 'x'?`` where a known word is ``alike`` (0 to 1), else nothing."""
    import difflib  # for a mistake only: every command would pay for it

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=alike)
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
    known = _taken_by(kind, by_flags)
    refuse_unknown(() if drop_unknown else table, known, where)
    missing = [key for key, member in known.items() if member.required and key not in table]
    if missing and base is None:
        raise SettingError(f"{where} lacks {', '.join(missing)}")
    values = {}
    for key, member in known.items():
        if key in table:
            place = _Place(key, where, drop_unknown)
            # A table of its own begins from the record that is the field's default.
            values[member.name] = _decode_value(
                table[key], member.type, member.about, place, member.base
            )
    try:
        return kind(**values) if base is None else replace(base, **values)
    except ValueError as error:
        raise SettingError(f"in {where}, {error}") from None


def refuse_unknown(found: Iterable[Any], known: Iterable[str], where: str) -> None:
    """SettingError for a key that is not among the known ones."""
    names = known if isinstance(known, Mapping) else list(known)
    for key in found:
        if key not in names:
            hint = did_you_mean(str(key), names) or f"; expected {', '.join(names)}"
            raise SettingError(f"unknown key in {where}: {shown(key)}{hint}")


class _Place(NamedTuple):
    """Where a value stands: its name, and what its table is called.

    ``own``: what a table at this place is called, where that does not follow from the two.
    """

    name: str
    where: str
    drop_unknown: bool
    own: str = ""

    @property
    def table(self) -> str:
        """What a table at this place is called."""
        if self.own:
            return self.own
        if self.where == TOP:
            return f"[{self.name}]"
        if self.where.startswith("[") and self.where.endswith("]"):
            return f"[{self.where[1:-1]}.{self.name}]"
        return f"{self.name} of {self.where}"

    def item(self, number: int) -> _Place:
        """Entry ``number``, from 1, of a list at this place."""
        table = self.table
        own = f"[{table}] {number}" if table[0] == "[" else f"{number} in {table}"
        return _Place(f"{self.name}[{number}]", self.where, self.drop_unknown, own)

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


def _decode_value(value: Any, kind: _Type, bounds: Setting, place: _Place, base: Any = None) -> Any:
    if kind.anything or (value is None and kind.optional):
        return value
    if kind.whole is not None and (not kind.is_plain or isinstance(value, (Mapping, list, tuple))):
        return _decode_whole(value, kind, place, base)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and float in kind.plain and int not in kind.plain and abs(value) <= MOST_WHOLE:
        value = float(value)
    wanted = _expected(value, kind, bounds)
    if wanted is not None:
        name = place.name
        raise SettingError(f"in {place.where}, {name} is {shown(value)}: expected {wanted}")
    return value


def _decode_whole(value: Any, kind: _Type, place: _Place, base: Any) -> Any:
    """What is no plain value: a record, a mapping, a list, a path or a time."""
    origin, parts = kind.origin, kind.parts or (_ANYTHING, _ANYTHING)
    if kind.is_record and isinstance(value, Mapping):
        return decode(kind.whole, value, place.table, base=base, drop_unknown=place.drop_unknown)
    if issubclass(origin, Mapping) and isinstance(value, Mapping):
        table = place.table
        if parts[0].choices:
            refuse_unknown(value, parts[0].choices, table)
        inside = {key: _Place(str(key), table, place.drop_unknown) for key in value}
        return {
            _decode_value(key, parts[0], _PLAIN, at): _decode_value(
                value[key], parts[1], _PLAIN, at
            )
            for key, at in inside.items()
        }
    if (
        issubclass(origin, Iterable)
        and not issubclass(origin, Mapping)
        and isinstance(value, (list, tuple))
    ):
        made = [
            _decode_value(each, parts[0], _PLAIN, place.item(i)) for i, each in enumerate(value, 1)
        ]
        return made if origin in (list, Sequence) else origin(made)
    if origin is Path and isinstance(value, str):
        return Path(value)
    if origin is datetime and isinstance(value, datetime):
        return value
    raise place.wrong(value, kind.whole)


def decode_as(hint: Any, value: Any, name: str, *, drop_unknown: bool = False) -> Any:
    """A value of the type ``hint``, a list of records say, called ``name`` in messages.

    Raises:
        SettingError: as ``decode``.
    """
    return _decode_value(value, _type_of(hint), _PLAIN, _Place(name, TOP, drop_unknown))


def encode(value: Any, *, leave_none: bool = False) -> Any:
    """A record, or what records hold, as plain values: tables, lists, texts and numbers.

    Times stay, which TOML holds; it does not hold None, which ``leave_none`` leaves out of records.
    """
    if is_dataclass(value) and not isinstance(value, type):
        own = {each.key: getattr(value, each.name) for each in _members_of(type(value))}
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
