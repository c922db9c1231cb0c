"""What a run after a recipe has beside its learner: progress, a worker, a picture at its end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zebfast.cli.experiments import note, stores_of
from zebfast.system.signals import exit_on_sigterm

if TYPE_CHECKING:
    from zebfast.experiment.recipe_progress import RecipeWatch
    from zebfast.experiment.record import Experiment

_NOTE_SECONDS = 60.0
_DRAWS_A_SECOND = 1.0


@dataclass
class Beside:
    """Use as a context around the learner; there is nothing in it without a recipe.

    Attributes:
        local_worker: a worker of this machine belongs to the run.
    """

    experiment: Experiment
    local_worker: bool
    _watch: RecipeWatch | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def worker_log(self) -> Path:
        """All that the worker of this machine prints."""
        from zebfast.experiment.local_worker import LocalWorker

        return LocalWorker(self.experiment).log_path

    def hear(self, line: str) -> None:
        """Take in a line of the learner."""
        if self._watch is not None:
            self._watch.see(line, now=time.monotonic())

    def __enter__(self) -> Beside:
        from zebfast.experiment.local_worker import LocalWorker
        from zebfast.experiment.recipe_files import recipe_of
        from zebfast.experiment.recipe_progress import RecipeWatch

        recipe = recipe_of(self.experiment)
        if recipe is None:
            return self
        with ExitStack() as stack:
            self._watch = RecipeWatch(recipe, _games(self.experiment))
            stack.enter_context(_showing(self._watch))
            if self.local_worker:
                exit_on_sigterm()  # the learner listens to it only while it is there
                stack.enter_context(LocalWorker(self.experiment))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Raises RunFailed if the worker could not be kept going."""
        self._stack.close()


def _games(experiment: Experiment) -> int:
    """Games that this machine's metrics have counted so far."""
    from zebfast.learner.metrics import read_metrics

    rows = read_metrics(stores_of(experiment).state_dir / experiment.namespace.metrics_file)
    counted = (row.get("stats/total_games") for row in reversed(rows))
    return int(next((games for games in counted if games is not None), 0))


@contextmanager
def _showing(watch: RecipeWatch) -> Iterator[None]:
    """Where the run stands: a live line on a terminal, else a line on stderr each minute."""

    def text() -> str:
        return " | ".join(filter(None, (str(watch.progress()), watch.losses)))

    if sys.stderr.isatty():
        with _live(text):
            yield
        return
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_NOTE_SECONDS):
            note(text())

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


@contextmanager
def _live(text: Callable[[], str]) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(
        console=Console(stderr=True),
        get_renderable=lambda: Text(text()),
        refresh_per_second=_DRAWS_A_SECOND,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else what is piped would go to the terminal
    ):
        yield


def say_finished(experiment: Experiment, metrics: Path) -> None:
    """Draw the curves, and say what can be done with the network."""
    from zebfast.experiment.commands import after_commands
    from zebfast.experiment.curves import plot_curves
    from zebfast.experiment.recipe_files import recipe_of

    picture = experiment.directory / "curves.png"
    try:
        plot_curves(metrics, picture, title=experiment.name, recipe=recipe_of(experiment))
        click.echo(f"\nLearning curves: {picture}")
    except ModuleNotFoundError as error:
        note(f"No picture: {error.name} is missing; pip install 'zebfast[plot]' gives it")
    click.echo("The recipe is done. What now:")
    for line in after_commands(experiment):
        click.echo(f"  {line}")
