"""Policies compiled by Numba to C functions, kept on the disk beside their sources.

Plain functions that a policy calls are compiled with it. Division by zero and places outside an
array raise, as in Python. What is kept is found by all that went into it (`_digest`): Numba's own
cache looks at the file of the outermost function alone, and goes stale with what that calls.
"""

from __future__ import annotations

import contextlib
import dis
import hashlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from zebfast.arena.policies.policy import Answer, Policy, PolicyError
from zebfast.core.policy import POLICY_ABI, PROTOTYPE
from zebfast.core.records import VIEW_DTYPE
from zebfast.system.files import write_atomic

RAISED = -(1 << 31)  # the answer of a policy that raised, which no other answer becomes
_UNUSABLE = 255
_FILE = "policy.py"  # of the wrapper, in the directory that a compiled function is kept in
#: The function that the core calls; `policy` is the user's. An exception must not pass into C.
_WRAPPER = f'''\
"""Written by zebfast; safe to remove."""
def answer(pointer, random):
    try:
        given = policy(carray(pointer, 1)[0], random)
    except Exception:
        return {RAISED}
    return given if {RAISED} < given < {1 << 31} else {_UNUSABLE}
'''
_OPTIONS: dict[str, Any] = {"boundscheck": True, "error_model": "python"}
#: Modules whose attributes do not change with a user's files.
_FIXED = frozenset(("math", "numpy", "numba", "cmath", "operator"))


def compiled(function: Answer, *, name: str, kind: str = "play") -> Any:
    """The function as an instance of PROTOTYPE, which the core takes; ``name`` is for errors.

    kind: of its policy's functions, which may all have one name.

    Raises PolicyError where Numba is missing, or does not understand the function.
    """
    try:
        import numba
        from numba import types
    except ImportError as error:
        raise PolicyError(
            f"{name} is compiled by Numba, which is not installed: pip install 'zebfast[numba]', "
            "or play it slowly with compiled=no."
        ) from error
    record = numba.from_dtype(VIEW_DTYPE)
    signature = types.int32(types.CPointer(record), types.int64)
    answer = _wrapper(function, numba, kind)
    try:
        with _quiet():
            made = _kept(numba, signature, answer)
            if made is None:
                _check_answer(answer.policy, (record, types.int64), types, name)
                made = numba.cfunc(signature, cache=answer.kept is not None)(answer.function)
    except PolicyError:
        raise
    except Exception as error:  # of Numba's own, and what it did not expect: KeyError, ...
        raise PolicyError(
            f"{name} cannot be compiled: {_reason(error)}; expected the Python that Numba compiles "
            "(docs/policies.md), or play it slowly with compiled=no."
        ) from error
    if answer.kept is not None:
        _forget_others(answer.kept)
    found = PROTOTYPE(made.address)
    found.owner = made  # the code is there as long as this is
    return found


def _kept(numba: Any, signature: Any, answer: _Wrapper) -> Any:
    """The `numba.cfunc` that is on the disk; None where there is none that can be read."""
    found = answer.kept and answer.kept / "__pycache__"
    if found is None or not found.is_dir():
        return None
    with contextlib.suppress(Exception):  # whatever a damaged pickle may raise
        return numba.cfunc(signature, cache=True)(answer.function)
    shutil.rmtree(found, ignore_errors=True)
    return None


def _check_answer(policy: Any, arguments: tuple[Any, ...], types: Any, name: str) -> None:
    policy.compile(arguments)
    [found] = [
        overload.signature.return_type
        for key, overload in policy.overloads.items()
        if key == arguments
    ]
    if not isinstance(found, types.Integer):
        raise PolicyError(
            f"{name} returns {found}; expected a whole number on every way through it."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about what is compiled: they are about Numba's insides."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _reason(error: Exception) -> str:
    """What Numba says is wrong, in a line, and where."""
    if isinstance(error, KeyError):  # what it raises for an attribute that a record does not have
        return f"there is no {error} in what the seat sees"
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # colours
    lines = [line.strip() for line in text.splitlines()]
    said = next((line for line in lines if line and not line.startswith("Failed in")), "")
    places = (re.fullmatch(r'File ".*?([^/"]+)", line (\d+):', line) for line in lines)
    where = next((f"(line {at[2]} of {at[1]})" for at in places if at and at[1] != _FILE), "")
    return " ".join(filter(None, [said.rstrip(".:") or type(error).__name__, where]))


class _Wrapper:
    """A function for `numba.cfunc`: what it calls, and the directory that it is kept in."""

    def __init__(self, function: Any, policy: Any, kept: Path | None) -> None:
        self.function, self.policy, self.kept = function, policy, kept


def _wrapper(function: Answer, numba: Any, kind: str) -> _Wrapper:
    policy = numba.njit(**_OPTIONS)(_with_compiled_helpers(function, numba))
    kept = _place(function, numba, kind)
    source = f"<policy {function.__name__}>" if kept is None else str(kept / _FILE)
    names = {"policy": policy, "carray": numba.carray, "__name__": __name__}
    exec(compile(_WRAPPER, source, "exec"), names)
    return _Wrapper(names["answer"], policy, kept)


def _with_compiled_helpers(function: Any, numba: Any, above: tuple[Any, ...] = ()) -> Any:
    """The function with the plain functions that it calls by name compiled, and theirs."""
    if function in above:
        raise PolicyError(f"{function.__name__} calls itself; a policy may not.")
    found = {**function.__globals__, "__name__": __name__}
    for name in _names(function.__code__):
        value = _function_of(found.get(name))
        if isinstance(value, FunctionType):
            helper = _with_compiled_helpers(value, numba, (*above, function))
            found[name] = numba.njit(**_OPTIONS)(helper)
    made = FunctionType(
        function.__code__, found, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__module__ = __name__  # which is there to be imported when it is read from the disk
    return made


def _function_of(value: Any) -> Any:
    """What a name that may be a policy stands for in a call."""
    return value.functions["play"] if isinstance(value, Policy) else value


def _names(code: CodeType) -> Iterator[str]:
    """Global names that a function and those inside it look up; no names of attributes."""
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _place(function: Answer, numba: Any, kind: str) -> Path | None:
    """Where the compiled function is kept; None where it has no file, or no digest."""
    source = Path(function.__code__.co_filename)
    digest = _digest(function, numba)
    if digest is None or not source.is_file() or source.suffix != ".py":
        return None
    place = source.parent / "__pycache__" / f"{source.stem}.{function.__qualname__}.{kind}.{digest}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        wrapper = place / _FILE
        if not wrapper.exists() or wrapper.read_text() != _WRAPPER:
            write_atomic(wrapper, _WRAPPER.encode())
    except OSError:  # a directory that is not ours: compiled anew every time
        return None
    return place


def _forget_others(kept: Path) -> None:
    """Remove what was compiled of the same function as it was before."""
    stem, _, _ = kept.name.rpartition(".")
    for other in kept.parent.glob(f"{stem}.*"):
        if other != kept and (other / _FILE).is_file():
            shutil.rmtree(other, ignore_errors=True)


def _digest(function: Answer, numba: Any) -> str | None:
    """Of all that the compiled code is made of: code and constants of the function and of those
    that it calls, versions, the ABI. None where a value is met that it does not know."""
    found = hashlib.sha256()
    versions = (numba.__version__, sys.version, POLICY_ABI, VIEW_DTYPE.descr, _WRAPPER, _OPTIONS)
    found.update(repr(versions).encode())
    try:
        for part in _parts_of(function, {}):
            found.update(part)
            found.update(b"\0")
    except _Unknown:
        return None
    return found.hexdigest()[:16]


class _Unknown(Exception):
    """A value that a digest cannot be made of."""


def _parts_of(value: Any, seen: dict[int, int]) -> Iterator[bytes]:
    """A value in bytes, and what it refers to; ``seen``: numbers of the functions before it."""
    if hasattr(value, "py_func"):  # a function that the user has given to Numba, with its module
        yield repr((value.py_func.__module__, getattr(value, "targetoptions", None))).encode()
        value = value.py_func
    value = _function_of(value)
    if isinstance(value, FunctionType):
        known = id(value) in seen
        yield f"function {seen.setdefault(id(value), len(seen))}".encode()
        if known:
            return
        yield from _parts_of_code(value.__code__)
        for cell in value.__closure__ or ():
            yield from _parts_of(cell.cell_contents, seen)
        yield from _parts_of((value.__defaults__, value.__kwdefaults__), seen)
        for name in sorted(set(_names(value.__code__))):
            if name in value.__globals__:
                yield name.encode()
                yield from _parts_of(value.__globals__[name], seen)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        yield repr((value.dtype, value.shape)).encode()
        yield value.tobytes()
    elif isinstance(value, tuple | frozenset):
        yield f"{type(value)} of {len(value)}".encode()
        for part in value:
            yield from _parts_of(part, seen)
    elif isinstance(value, ModuleType):
        if value.__name__.partition(".")[0] not in _FIXED:
            raise _Unknown
        yield value.__name__.encode()
    elif value is None or isinstance(value, int | float | str | bytes | np.generic):
        yield repr((type(value), value)).encode()
    else:
        raise _Unknown


def _parts_of_code(code: CodeType) -> Iterator[bytes]:
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)
    yield code.co_code
    yield repr((names, code.co_exceptiontable)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant)
        else:
            yield repr(constant).encode()
