"""Stages of what is written down, for `zebfast bench` and bench/: features and example files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from zebfast.cli.stages import Done, Stage, Work, mixed_observations, some_games, write_examples
from zebfast.rules import N_PLIES

N_GAMES = 256


def features(batch: int = 1024) -> Work:
    """Bits of information states for the v2 network, one core."""
    from zebfast.core.features import feature_bits

    observations = mixed_observations(batch)

    def work() -> Done:
        feature_bits(observations)
        return Done(batch)

    return work


def examples_written(n_games: int = N_GAMES) -> Work:
    """Compact example files onto the disk, flushed and renamed as a worker does."""
    games = some_games(n_games)

    def work() -> Done:
        with tempfile.TemporaryDirectory() as folder:
            size = write_examples(Path(folder), games).stat().st_size
        n_examples = N_PLIES * n_games
        return Done(n_examples, {"bytes_per_example": size / n_examples})

    return work


def examples_read(n_games: int = N_GAMES) -> Work:
    """Compact example files read and checked as a learner does."""
    from zebfast.selfplay.example_files import read_examples

    folder = tempfile.TemporaryDirectory()
    path = write_examples(Path(folder.name), some_games(n_games))

    def work(_held: object = folder) -> Done:  # the file lasts as long as this function
        return Done(len(read_examples(path).records))

    return work


STAGES = (
    Stage("features", "positions/s", "features for the v2 network, one core", features),
    Stage("examples_written", "examples/s", "compact example files, written", examples_written),
    Stage("examples_read", "examples/s", "compact example files, read and checked", examples_read),
)
