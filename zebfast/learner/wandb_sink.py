"""Weights & Biases, used only with ``--wandb``; the package is imported only then."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_X_AXIS = "cycle"


class WandbError(RuntimeError):
    """One sentence: why no W&B run could be opened, and what to do."""


class WandbMetrics:
    """A W&B run whose x-axis is the cycle number, so that a resumed run continues its curves.

    Args:
        project: W&B project.
        name: display name, or None for W&B's own.
        run_id: run to resume if it exists (``resume="allow"``), or None for a new one.
        config: plain values recorded with the run.
        directory: where W&B keeps its local files.

    Raises:
        WandbError: the package is missing or the run could not be opened.
    """

    def __init__(
        self,
        *,
        project: str,
        name: str | None,
        run_id: str | None,
        config: Mapping[str, Any],
        directory: Path,
    ) -> None:
        try:
            wandb: Any = importlib.import_module("wandb")
        except ImportError:
            raise WandbError(
                "--wandb needs the wandb package: pip install 'zebfast[wandb]', or leave --wandb "
                "out (metrics go to the local JSONL file either way)"
            ) from None
        try:
            self._run = wandb.init(
                project=project,
                name=name,
                id=run_id,
                resume="allow",
                config=dict(config),
                dir=str(directory),
            )
            self._run.define_metric(_X_AXIS)
            self._run.define_metric("*", step_metric=_X_AXIS)
        except Exception as error:  # wandb's own errors share no base class
            reason = (str(error).splitlines() or [""])[0][:200]
            raise WandbError(
                f"W&B run could not be opened ({reason or type(error).__name__}): log in with "
                "`wandb login`, set WANDB_MODE=offline, or leave --wandb out"
            ) from error

    @property
    def run_id(self) -> str:
        return str(self._run.id)

    @property
    def url(self) -> str:
        """Address of the run; offline, where its files are."""
        return str(getattr(self._run, "url", None) or self._run.dir)

    def log(self, step: int, row: Mapping[str, float | int | None]) -> None:
        """Send one row; training goes on if W&B cannot take it."""
        try:
            self._run.log({**row, _X_AXIS: step})
        except Exception as error:  # as above
            print(f"W&B took no metrics for cycle {step} ({error})", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._run.finish()
