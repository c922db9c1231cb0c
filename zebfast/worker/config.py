"""Everything a worker is told, as one frozen record built in ``cli/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.selfplay.config import SelfPlayConfig


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Settings of one worker process; field names follow the flags.

    Attributes:
        seed: None = a new random seed at every start, so that no game is ever played twice. A
            given seed continues where this worker id stopped with it.
        example_format: ``native`` (16 bytes an example) or ``pt`` (the documented layout).

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    worker_id: str = "worker-0"
    selfplay: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    games_per_batch: int = 256
    weight_sync_interval: int = 10
    seed: int | None = None
    device: str = "cpu"
    dtype: str = "fp32"
    example_format: Literal["native", "pt"] = "native"
    max_batches: int | None = None
    poll_seconds: float = 2.0
    disk_retry_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("games_per_batch", "weight_sync_interval"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.max_batches is not None and self.max_batches < 1:
            raise ValueError(f"max_batches is {self.max_batches}: expected at least 1")
