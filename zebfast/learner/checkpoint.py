"""The learner's own memory: everything a restart needs, in one file that is replaced whole.

Network, optimizer, counters and the ledger of ingested files are written together, so after any
crash they agree: what the counters count is exactly what the ledger names.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from zebfast.exchange import ExchangeError
from zebfast.learner.course import CourseProgress
from zebfast.learner.streams import Streams
from zebfast.system.files import write_atomic

_FORMAT = 2


class CheckpointError(ExchangeError):
    """One sentence: why a training checkpoint cannot be continued, and what to do."""


@dataclass
class Progress:
    """Where training stands. The learner is the only writer.

    Attributes:
        lineage: random name given when the namespace was created; ties local files to it.
        step: completed training cycles (what the outside calls ``step``).
        steps_into_cycle: optimizer steps done of the unfinished cycle.
        total_games: games of every self-play file counted so far, each file once.
        eval_aux_games: the same for the files of evaluation games.
        ledger: names of the counted files that still exist (or existed lately).
        published: fingerprints of the weights last known to be in the store, and of all that were
            handed to the publisher since: one of them is there, unless somebody else published.
        wandb_run_id: run to resume, if any.
        streams: account of the files in the ledger and before.
        course: where a run with a recipe is in it.
    """

    lineage: str
    step: int = 0
    steps_into_cycle: int = 0
    total_games: int = 0
    ledger: set[str] = field(default_factory=set)
    published: list[str] = field(default_factory=list)
    wandb_run_id: str | None = None
    eval_aux_games: int = 0
    streams: Streams = field(default_factory=Streams)
    course: CourseProgress | None = None


def fingerprint(step: int, state_dict: Mapping[str, torch.Tensor]) -> str:
    """What tells a published version from any other: its step and its weights.

    The step belongs to it because a revert publishes old weights again, as a later step.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(state_dict.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return f"{step}:{digest.hexdigest()}"


@dataclass(frozen=True)
class Checkpoint:
    """A training checkpoint as read back; ``best`` are the best weights so far, by the arena."""

    progress: Progress
    model_state_dict: dict[str, torch.Tensor]
    model_config: dict[str, Any]
    trainer: dict[str, Any]
    best: dict[str, torch.Tensor] | None = None

    @property
    def published_weights(self) -> dict[str, torch.Tensor]:
        """What was published of this state: the average of the weights where one was kept."""
        average = self.trainer.get("average")
        return self.model_state_dict if average is None else average["weights"]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at ``path``, whole or not at all. Raises OSError."""
    progress = asdict(checkpoint.progress)
    progress["ledger"] = sorted(checkpoint.progress.ledger)
    content = {
        "format": _FORMAT,
        "model_state_dict": checkpoint.model_state_dict,
        "model_config": checkpoint.model_config,
        "trainer": checkpoint.trainer,
        "best": checkpoint.best,
        "progress": progress,
        "epoch": checkpoint.progress.step,
        "total_games": checkpoint.progress.total_games,
    }
    # torch reports a full disk as a RuntimeError; through memory it stays an OSError.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getbuffer())


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at ``path``; None when there is none.

    Raises:
        CheckpointError: there is one, but it cannot be used.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}")
        progress = Progress(**content["progress"])
        progress.ledger = set(progress.ledger)
        progress.streams = Streams(**content["progress"]["streams"])
        if progress.course is not None:
            progress.course = CourseProgress(**content["progress"]["course"])
        return Checkpoint(
            progress,
            content["model_state_dict"],
            content["model_config"],
            content["trainer"],
            content.get("best"),
        )
    except Exception as error:  # a damaged file can fail anywhere in here
        raise CheckpointError(
            f"training checkpoint {path} cannot be read ({type(error).__name__}): move it away to "
            "go on from the published weights with a fresh optimizer"
        ) from error
