"""Everything a learner run is told, as one frozen record built in ``cli/``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from zebfast.exchange import Namespace, Place, StoreOptions


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Settings of one learner process; field names follow the flags.

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    checkpoint: Path | None = None

    lr: float = 1e-4
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    batch_size: int = 64
    replay_buffer_size: int = 500_000
    min_buffer_size: int = 5_000
    training_steps_per_cycle: int = 1_000
    seed: int = 0

    push_every: int = 25
    eval_every: int = 50
    eval_games: int = 2_000
    checkpoint_every: int = 1
    keep_example_files: int = 128
    max_example_age: float = 300.0
    train_diagnostics_every: int = 10

    replay_cache: bool = True
    replay_cache_dir: Path = Path("~/.cache/zebfast/replay")
    replay_cache_save_every: int = 25

    device: str = "cpu"
    amp: bool = False
    amp_dtype: Literal["fp16", "bf16"] = "fp16"

    wandb: bool = False
    wandb_project: str = "zeb-mcts"
    run_name: str | None = None

    max_cycles: int | None = None
    max_minutes: float | None = None
    poll_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "replay_buffer_size",
            "training_steps_per_cycle",
            "push_every",
            "eval_games",
            "checkpoint_every",
            "replay_cache_save_every",
            "train_diagnostics_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name in ("eval_every", "keep_example_files", "max_example_age", "min_buffer_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 (off) or more")
        for name in ("lr", "max_grad_norm", "poll_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: expected a number above 0")
        if self.min_buffer_size > self.replay_buffer_size:
            raise ValueError(
                f"min_buffer_size {self.min_buffer_size} can never be reached: expected at most "
                f"replay_buffer_size, {self.replay_buffer_size}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for run records."""
        fields = asdict(self)
        fields |= {"namespace": self.namespace.stem, **fields.pop("stores")}
        fields |= {"weights": str(self.weights), "examples": str(self.examples)}
        return {k: str(v) if isinstance(v, Path) else v for k, v in fields.items()}
