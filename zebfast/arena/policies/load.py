"""Policies from users' files."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

from zebfast.arena.policies.policy import Policy, PolicyError


def load_policy(file: Path, name: str = "") -> Policy:
    """The policy of that name that a file of Python defines; without a name, the only one.

    The file is run, as by ``import``. Raises PolicyError, one sentence, where that fails or there
    is no such policy.
    """
    module = f"zebfast_policy_{file.stem}_{_mark(file)}"
    if module not in sys.modules:
        _run(file, module)
    found = {
        key: value for key, value in vars(sys.modules[module]).items() if isinstance(value, Policy)
    }
    if name:
        if name not in found:
            raise PolicyError(f"{file} has no policy {name!r}: it has {_list(found)}.")
        return found[name]
    different = list(dict.fromkeys(found.values()))
    if not different:
        raise PolicyError(f"{file} has no policy: decorate a function in it with @zebfast.policy.")
    if len(different) > 1:
        raise PolicyError(
            f"{file} has several policies, {_list(found)}: name one of them, as in "
            f"{file}:{next(iter(found))}."
        )
    return different[0]


def _mark(file: Path) -> str:
    """What tells this file, as it is now, from others of its name."""
    try:
        text = file.read_bytes()
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise PolicyError(f"{file} {reason}: expected a file of Python with a policy.") from error
    return hashlib.sha256(str(file.resolve()).encode() + b"\0" + text).hexdigest()[:8]


def _run(file: Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise PolicyError(f"{file} is no file of Python: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where compiled functions look for the module that they are of
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, PolicyError):
            raise
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        said = str(getattr(error, "msg", error)).rstrip(".")
        raise PolicyError(
            f"{file} cannot be run: {type(error).__name__}: {said}{where}."
        ) from error


def _list(found: dict[str, Policy]) -> str:
    return ", ".join(found) or "none"
