"""The life of every rank of a learner but the first: it trains its part of each batch, as told."""

from __future__ import annotations

import logging
import signal

from zebfast.learner.config import TrainerConfig
from zebfast.learner.data.replay import EXAMPLE_BYTES
from zebfast.learner.ranks.group import Group, TorchGroup
from zebfast.learner.ranks.leader import Kind, hear, receive_rows, receive_state
from zebfast.learner.ranks.place import RANK_LOST, RankLost, RankPlace
from zebfast.learner.train.trainer import Trainer

_LOG = logging.getLogger(__name__)


def follow(config: TrainerConfig, place: RankPlace, *, timeout: float) -> int:
    """Be rank ``place.rank`` until rank 0 says that it is over, or is gone.

    Signals that stop a learner are rank 0's to act on: here they are ignored, so that what it saves
    at the end can still be compared. Returns the exit code.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        group = TorchGroup(place, device=config.device, timeout=timeout)
        obey(group, config)
    except RankLost as error:
        _LOG.warning(str(error))
        return RANK_LOST
    group.close()
    return 0


def obey(group: Group, config: TrainerConfig) -> None:
    """Do what rank 0 tells until the END. Raises RankLost."""
    trainer: Trainer | None = None
    while True:
        kind, numbers = hear(group)
        if kind == Kind.END:
            return
        if kind == Kind.STATE:
            trainer = Trainer.shared(receive_state(group, int(numbers[0])), config, group)
        if trainer is None:
            continue
        if kind == Kind.ROWS:
            for step in trainer.own_steps(receive_rows(group, numbers, row_bytes=EXAMPLE_BYTES)):
                if (lr := group.hear_step()) is None:
                    break
                trainer.follow(step, lr)
        elif kind == Kind.COMPARE:
            group.gather(trainer.digest())
