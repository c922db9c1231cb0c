"""`zebfast demo`: a network that knows nothing learns Texas 42 on this machine while you watch."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zebfast.cli.messages import note
from zebfast.cli.options import Number, Whole, option
from zebfast.cli.run import EXIT_FAILED, EXIT_INTERRUPTED
from zebfast.system.settings import A_DAY, MOST_GAMES

if TYPE_CHECKING:
    from zebfast.arena.players.base import Player
    from zebfast.arena.stats import MatchResult
    from zebfast.experiment.local_run import LocalRun, RunStatus

OPPONENTS = ("random", "heuristic", "zeb")  # the last: the network that comes with zebfast

# Short searches, so that one core plays hundreds of games a second, and weights that reach the
# worker every few seconds; found by trying (docs/training.md says what five minutes of it gave).
WORKER_FLAGS = (
    "--n-groups", "1", "--threads", "1", "--device", "cpu", "--n-parallel-games", "64",
    "--games-per-batch", "256", "--weight-sync-interval", "1", "--n-simulations", "50",
    "--c-puct", "0.8", "--temperature", "0.5", "--noise-fraction", "0.1",
)  # fmt: skip
LEARNER_FLAGS = (
    "--threads", "1", "--device", "cpu", "--lr", "1e-3", "--batch-size", "256",
    "--min-buffer-size", "2000", "--replay-buffer-size", "500000",
    "--training-steps-per-cycle", "100", "--push-every", "1", "--eval-every", "12",
    "--eval-games", "1000", "--checkpoint-every", "5", "--keep-example-files", "0",
    "--no-local-replay-cache-enabled",
)  # fmt: skip


@click.command(
    name="demo",
    short_help="Learn the game from nothing here, in about five minutes.",
    epilog="Example: zebfast demo --minutes 5 --dir demo-run",
)
@click.option(
    "--dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="New directory for everything the run writes (default: demo-run, or the first free of "
    "demo-run-2, demo-run-3, ...).",
)
@option("--minutes", Number(0, A_DAY // 60, low_open=True), 5.0, "How long it learns.")
@option("--eval-games", Whole(1, MOST_GAMES), 4000, "Games of each match before and after.")
@option("--seed", Whole(0, 2**31), 1, "Seed of the first weights and of the matches.")
def demo(dir: Path | None, minutes: float, eval_games: int, seed: int) -> int:
    """Play and learn at the same time: a worker and a learner on two CPU cores.

    A compact network (v2) starts from random weights, learns from its own games and is then
    compared with its untrained self. The run can be continued with the commands printed at the
    end. Ctrl-C while it learns ends the learning early; a second Ctrl-C quits.
    """
    from zebfast.cli.experiment.runs import draw_curves
    from zebfast.experiment.local_run import LocalRun, LocalRunConfig
    from zebfast.net import checkpoint as checkpoints
    from zebfast.net.networks import sized

    dir = _new_directory(dir)
    began = time.monotonic()
    checkpoint = dir / "untrained.pt"
    network = sized("v2", "medium", belief_head=True)
    checkpoints.save(checkpoints.fresh(network, seed=seed), checkpoint)
    note(f"Untrained network: {checkpoint}. Playing {eval_games:,} games against each opponent ...")
    before = rate(checkpoint, eval_games, seed)
    config = LocalRunConfig(
        directory=dir,
        checkpoint=checkpoint,
        worker_flags=WORKER_FLAGS,
        learner_flags=(*LEARNER_FLAGS, "--seed", str(seed)),
    )
    note(f"Worker and learner start in {dir} and run for {minutes:g} minutes (Ctrl-C ends early)")
    status, interrupted = _run(LocalRun(config), minutes)
    if not status.cycle:
        note("Nothing was learned yet: the first training cycle takes half a minute or so")
        return EXIT_INTERRUPTED if interrupted else EXIT_FAILED
    note(f"Trained network: {dir / 'model.pt'}. Playing the same games again ...")
    after = rate(dir, eval_games, seed)
    _report(before, after, status, time.monotonic() - began)
    title = "Texas 42 from nothing: the demo's run"
    draw_curves(config.metrics_path, dir / "curves.png", title=title)
    click.echo(
        f"""
Go on with it, in two terminals:
  python -m zebfast.worker --repo-id {dir} --output-dir {dir}/examples
  zebfast-learn --repo-id {dir} --input-dir {dir}/examples --lr 1e-3
Match it against another player:
  zebfast eval zeb:source={dir} vs heuristic2 --n-games 4000
  zebfast eval zeb:source={dir} vs zeb:source={checkpoint} --n-games 4000
Begin where the network that comes with zebfast ends, or with a larger one:
  zebfast init --from shipped -o strong.pt
  zebfast init --tokenizer v2 --size large --belief-head -o large.pt"""
    )
    return 0


def _new_directory(wanted: Path | None) -> Path:
    """Make the directory asked for, or the first free one of the default names."""

    def is_free(path: Path) -> bool:
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))

    if wanted is None:
        names = [Path("demo-run"), *(Path(f"demo-run-{n}") for n in range(2, 1000))]
        wanted = next(filter(is_free, names), names[0])
    if not is_free(wanted):
        raise click.UsageError(f"{wanted} is not empty: remove it, or choose another --dir")
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted


def rate(source: Path, n_games: int, seed: int) -> dict[str, MatchResult]:
    """Matches of a checkpoint, or of a directory's published weights, against the opponents."""
    from zebfast.arena.match import play_match
    from zebfast.arena.players.build import build_player
    from zebfast.arena.players.specs import parse_spec

    def player(spec: str) -> Player:
        return build_player(parse_spec(spec), device="cpu")

    learner = player(f"zeb:source={source}")
    return {
        name: play_match(learner, player(name), n_games=n_games, seed=seed) for name in OPPONENTS
    }


def _run(run: LocalRun, minutes: float) -> tuple[RunStatus, bool]:
    """Both processes for so long, with live progress; Ctrl-C ends the learning, not the demo.

    Returns:
        What was reached, and whether Ctrl-C ended it.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    live = Live(console=Console(stderr=True), refresh_per_second=2, transient=True)
    is_live, interrupted = sys.stderr.isatty(), False

    def on_status(status: RunStatus, elapsed: float) -> None:
        line = status_line(status, elapsed, 60 * minutes)
        live.update(Text(line)) if is_live else note(line)

    with run:
        try:
            with live if is_live else nullcontext():
                every = 0.5 if is_live else 15.0
                run.watch(seconds=60 * minutes, every=every, on_status=on_status)
        except KeyboardInterrupt:
            interrupted = True
            note("Stopping early: worker and learner save what they have (Ctrl-C again quits) ...")
        run.stop()
        return run.status(), interrupted


def status_line(status: RunStatus, elapsed: float, total: float) -> str:
    """One line: time, games, losses, strength."""
    left = max(0, round(total - elapsed))
    parts = [
        f"{_clock(elapsed)} (ETA {_clock(left)})",
        f"{status.games:,} games ({status.games_per_second:.1f}/s)",
        f"{status.examples:,} examples",
    ]
    if status.policy_loss is not None and status.value_loss is not None:
        losses = f"policy {status.policy_loss:.3f}, value {status.value_loss:.3f}"
        parts.append(f"cycle {status.cycle}: {losses}")
    else:
        parts.append("waiting for the first examples")
    if status.win_rate is not None:
        parts.append(f"{status.win_rate:.1%} against random")
    return " | ".join(parts)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _report(
    before: dict[str, MatchResult], after: dict[str, MatchResult], status: RunStatus, seconds: float
) -> None:
    games = after[OPPONENTS[0]].games
    click.echo(
        f"\nAfter {status.games:,} games of self-play and {status.cycle} training cycles "
        f"({_clock(seconds)} in all).\nShare of {games:,} games won by points, every deal played "
        "both ways, 95 % intervals (zeb is the network that comes with zebfast):\n"
    )
    click.echo(f"{'against':<12}{'untrained':>24}{'trained':>24}{'change':>10}")
    for name in OPPONENTS:
        cells = [
            f"{r.win_rate:.1%} ({r.win_rate_low:.1%} - {r.win_rate_high:.1%})"
            for r in (before[name], after[name])
        ]
        change = 100 * (after[name].win_rate - before[name].win_rate)
        click.echo(f"{name:<12}{cells[0]:>24}{cells[1]:>24}{change:>+9.1f}%")
