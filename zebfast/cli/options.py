"""click options made from settings: the fields of the dataclasses that a command fills.

A flag is spelled as its field, with dashes, and has the field's help, bounds, choices, default and
environment variable, so that nothing of it is written a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from zebfast.cli.run import Decorated
from zebfast.system.settings import (
    MOST_THREADS,
    Setting,
    flag_of,
    hints_of,
    kinds_of,
    setting_of,
    variable_of,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _refusal(
    kind: Whole | Number, value: Any, param: click.Parameter | None, context: click.Context | None
) -> click.BadParameter:
    """Tells both ends of the range, whatever was wrong with the value."""
    of_what = " of whole numbers" if isinstance(kind, Whole) else ""
    text = f"{value!s:.40} is not in the range {kind._describe_range()}{of_what}."
    return click.BadParameter(text, context, param)


class Whole(click.IntRange):
    """A whole number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        try:
            return int(super().convert(value, param, context))
        except click.BadParameter:
            raise _refusal(self, value, param, context) from None


class Number(click.FloatRange):
    """A finite number from ``low`` to ``high``, or between them where an end is open."""

    def __init__(
        self, low: float, high: float, low_open: bool = False, high_open: bool = False
    ) -> None:
        super().__init__(low, high, low_open, high_open)

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        try:
            found = float(super().convert(value, param, context))
        except click.BadParameter:
            found = math.nan
        if math.isnan(found):
            raise _refusal(self, value, param, context)
        return found


class ModeOption(click.Option):
    """An option that only some modes of a command look at."""

    def __init__(self, *args: Any, modes: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modes = modes


def together(*options: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Decorated) -> Decorated:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


def option(name: str, kind: Any, default: Any, text: str) -> Callable[[Decorated], Decorated]:
    """A click option that is no setting and shows its default."""
    return click.option(
        name, type=kind, default=default, show_default=default is not None, help=text
    )


def threads_option(text: str, default: str | None = None) -> Callable[[Decorated], Decorated]:
    """``--threads``; whoever uses it calls ``usable_threads`` on its value."""
    return click.option(
        "--threads", type=Whole(1, MOST_THREADS), show_default=default or False, help=text
    )


def file_option(*names: str, **more: Any) -> Callable[[Decorated], Decorated]:
    """A click option for a file to write."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option(*names, type=kind, metavar="FILE", **more)


def setting_option(
    kind: type[DataclassInstance],
    name: str,
    *,
    prefix: str = "",
    modes: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    **changes: Any,
) -> Callable[[Decorated], Decorated]:
    """The option of a field of ``kind``.

    Args:
        also: more spellings of the flag, and the variable's name where there are several.
        prefix: before the field's name in the flag and its variable.
        modes: the only modes of the command that look at it; all where none are given.
        changes: what is to be otherwise than the field has it, as for ``click.option``.
    """
    [found] = (each for each in fields(kind) if each.name == name)
    about, kinds = setting_of(found), kinds_of(hints_of(kind)[name])
    is_elsewhere = about.shown is not None or found.default is MISSING
    own: dict[str, Any] = {
        "type": _type_of(kinds, about),
        "default": None if is_elsewhere else found.default,
        "help": about.help,
        "envvar": about.env,
        "show_envvar": about.env is not None,
    }
    if modes:
        own |= {"cls": ModeOption, "modes": modes}
    own |= changes
    own.setdefault("show_default", about.shown or own["default"] not in (None, ""))
    flag = flag_of(name, about, prefix=prefix, switch=bool in kinds)
    return click.option(flag, *also, **own)


def setting_options(
    kind: type[DataclassInstance],
    *names: str,
    prefix: str = "",
    modes: tuple[str, ...] = (),
) -> Callable[[Decorated], Decorated]:
    """The options of several fields in this order; none named: of all that have a help."""
    names = names or tuple(found.name for found in fields(kind) if setting_of(found).help)
    return together(*(setting_option(kind, name, prefix=prefix, modes=modes) for name in names))


def setting_values(
    kind: type[DataclassInstance], flags: Mapping[str, Any], *, prefix: str = ""
) -> dict[str, Any]:
    """The settings of ``kind`` that parsed flags give a value; the others keep their defaults."""
    own = (found for found in fields(kind) if setting_of(found).help)
    given = {found.name: flags.get(variable_of(found, prefix)) for found in own}
    return {name: value for name, value in given.items() if value is not None}


def _type_of(kinds: tuple[Any, ...], about: Setting) -> Any:
    choices = about.choices or next((get_args(k) for k in kinds if get_origin(k) is Literal), ())
    if choices:
        return click.Choice(choices)
    if int in kinds or float in kinds:
        low = about.least if about.above is None else about.above
        high = about.most if about.below is None else about.below
        if low is None or high is None:
            raise TypeError(f"a flag without both ends: {about.help}")
        if int in kinds:
            return Whole(int(low), int(high))
        return Number(low, high, about.above is not None, about.below is not None)
    if Path in kinds:
        return click.Path(path_type=Path, file_okay=not about.is_directory)
    return bool if bool in kinds else str


def events_option(command: Decorated) -> Decorated:
    """Add ``--events-fd``: where a program that starts this one has its events told."""

    def tell(context: click.Context, _option: click.Parameter, fd: int | None) -> None:
        if fd is not None:
            from zebfast.system.events import subscribed, write_to

            context.with_resource(subscribed(write_to(fd)))

    return click.option(
        "--events-fd",
        type=Whole(3, 1 << 20),
        hidden=True,
        expose_value=False,
        callback=tell,
        help="Write what happens to this file descriptor, a line of JSON each.",
    )(command)


def choose_device(name: str | None) -> str:
    """A device for networks; by default the GPU where there is one that torch can use.

    ValueError when it is none, or not on this machine; NeedsTorch for a GPU without torch.
    """
    from zebfast.net.devices import DEVICE, default_device, is_there

    if name is None:
        return default_device()
    if not DEVICE.fullmatch(name):
        raise ValueError(f"--device {name} is not known: expected cpu, cuda or cuda:N")
    if not is_there(name):
        raise ValueError(f"--device {name} is not there: use --device cpu, or leave it out")
    return name
