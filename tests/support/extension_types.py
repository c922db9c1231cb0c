"""What the compiled modules of zebfast.core define, and what inspect does not say of it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

import zebfast.core

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class of Python's


def compiled_modules() -> dict[str, ModuleType]:
    """The modules written in Cython, by their names in zebfast.core."""
    names = [info.name for info in pkgutil.iter_modules(zebfast.core.__path__)]
    modules = {name: importlib.import_module(f"zebfast.core.{name}") for name in names}
    return {name: m for name, m in modules.items() if not str(m.__file__).endswith(".py")}


def extension_types() -> dict[str, type]:
    """Every class of theirs that is compiled, as MODULE.CLASS."""
    return {
        f"{module}.{name}": value
        for module, found in compiled_modules().items()
        for name, value in vars(found).items()
        if isinstance(value, type) and value.__module__ == found.__name__
        if not value.__flags__ & _HEAP_TYPE
    }


def constructor_names(kind: type) -> list[tuple[str, bool]]:
    """(name, has a default) of a constructor's parameters, from the first line of its docstring."""
    line = (kind.__doc__ or "").split("\n")[0]
    match = re.fullmatch(rf"{kind.__name__}\((.*)\)", line)
    if match is None:
        return []
    # "GameBatch games" and "Py_ssize_t n=1" become "games" and "n=1": C types are not our concern.
    parts = [part.strip() for part in re.split(r",(?![^\[(]*[\])])", match[1])]
    named = [part for part in parts if part not in ("", "*")]
    names = [re.sub(r"^[^*=]*?(\w+)\s*(=.*)?$", r"\1\2", part) for part in named]
    return [(name.partition("=")[0], "=" in name) for name in names]
