"""Opening a W&B run with the real client: what its many errors mean, what is done about them."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# The x-axis; evaluations, which come after their cycle's row, count theirs apart.
CYCLE, EVALUATED = "cycle", "eval/cycle"
GAMES = "stats/total_games"

# Refusals that do not pass by themselves, as W&B words them.
_WRONG_KEY = ("error 401", "error 403")


class WandbError(RuntimeError):
    """One sentence: why no W&B run can be had until the user changes something, and what."""


def open_run(say: Callable[[str], None], **arguments: Any) -> Any:
    """``wandb.init(**arguments)`` with the axes defined.

    Offline, with a line, if the service cannot be had; None if there is nothing to log to.

    Raises:
        WandbError: the package is missing, or the service does not accept the key.
    """
    try:
        wandb: Any = importlib.import_module("wandb")
    except ImportError:
        raise WandbError(
            "--wandb needs the wandb package: pip install 'zebfast[wandb]', or leave --wandb "
            "out (metrics go to the local JSONL file either way)"
        ) from None
    try:
        run = _start(wandb, **arguments)
        return None if getattr(run, "disabled", False) else run
    except Exception as error:  # wandb's errors come from many places
        reason = one_line(error)
        if _is_users_mistake(error):
            raise WandbError(
                f"W&B does not accept this machine's key ({reason}): log in with `wandb login` or "
                "set WANDB_API_KEY, set WANDB_MODE=offline, or leave --wandb out"
            ) from error
    try:
        wandb.teardown()  # its process holds the id of the run that could not be opened
        run = _start(wandb, mode="offline", **arguments)
    except Exception as error:
        say(
            f"W&B is left out of this run ({reason}; offline: {one_line(error)}); metrics go to "
            "the local JSONL file"
        )
        return None
    say(
        f"W&B cannot be reached ({reason}): going on offline. The next start that reaches it "
        f"sends what is missing; without one, `wandb sync {shlex.quote(str(files_of(run)))}` does"
    )
    return run


def _start(wandb: Any, **arguments: Any) -> Any:
    run = wandb.init(**arguments)
    for axis in (CYCLE, GAMES):
        run.define_metric(axis)
    run.define_metric("*", step_metric=CYCLE)
    return run


def _is_users_mistake(error: Exception) -> bool:
    """No key, one of the wrong form, or one that the service refuses."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"AuthenticationError", "UsageError"}:
        return True
    return "CommError" in kinds and any(words in str(error) for words in _WRONG_KEY)


def one_line(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]


def files_of(run: Any) -> Path:
    """The directory of a run, which ``wandb sync`` takes."""
    return Path(run.dir).parent


def kill_process() -> None:
    """Kill W&B's own process, which does not answer: its client waits for it at exit."""
    # There is no public way to it; where this one has gone, the wait is all that is lost.
    with suppress(Exception):
        setup = importlib.import_module("wandb.sdk.wandb_setup")
        setup.singleton()._connection._proc._process.kill()
