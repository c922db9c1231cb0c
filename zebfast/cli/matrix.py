"""`zebfast eval --matrix`: everyone against everyone, kept on disk as it goes."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import click

from zebfast.arena.matrix import Matrix, MatrixConfig, Pair, play_matrix
from zebfast.arena.matrix_files import MatrixFileError, load_matrix, save_csv, save_matrix
from zebfast.arena.specs import PlayerSpec
from zebfast.cli.match_progress import MatrixReporter
from zebfast.cli.matrix_text import matrix_text
from zebfast.cli.players import digests, open_players, parse_players


@dataclass(frozen=True)
class MatrixFiles:
    """Where a matrix goes besides stdout; None = nowhere. resume: continue what output holds."""

    csv: Path | None = None
    png: Path | None = None
    output: Path | None = None
    resume: bool = False

    def check(self) -> None:
        """Find out before hours of play what could not be written. Raises click exceptions."""
        if self.resume and self.output is None:
            raise click.UsageError("--resume needs to know from where: add --output FILE.")
        given = [path for path in (self.csv, self.png, self.output) if path is not None]
        for path in given:
            if not path.absolute().parent.is_dir():
                raise click.UsageError(f"Cannot write {path}: {path.parent} is no directory.")
        if len({path.absolute() for path in given}) < len(given):
            raise click.UsageError("--csv, --png and --output need a file each, not the same one.")
        if self.output is not None and self.output.exists() and not self.resume:
            raise click.UsageError(
                f"{self.output} is there already; continue it with --resume, or name another file."
            )
        if self.png is not None and importlib.util.find_spec("matplotlib") is None:
            raise click.ClickException(
                "--png needs matplotlib, which is missing; pip install 'zebfast[plot]' gives it."
            )


def run_matrix(
    texts: tuple[str, ...],
    *,
    n_deals: int,
    seed: int,
    bid: int | None,
    device: str | None,
    threads: int | None,
    files: MatrixFiles,
    as_json: bool,
) -> None:
    """Play what is missing, print the matrix, then write the files that were asked for.

    Raises click exceptions, and OSError for a file that cannot be written.
    """
    specs = _specs(texts)
    files.check()
    config = MatrixConfig(
        players=tuple(spec.text for spec in specs),
        weights=digests(specs),
        n_deals=n_deals,
        seed=seed,
        bid=bid,
    )
    matrix = _start(config, files)
    if not matrix.complete:
        _play(matrix, specs, device=device, threads=threads, output=files.output)
    click.echo(json.dumps(matrix.as_dict()) if as_json else matrix_text(matrix))
    if files.csv is not None:
        save_csv(matrix, files.csv)
    if files.png is not None:
        from zebfast.arena.heatmap import save_heatmap

        save_heatmap(matrix, files.png)


def _specs(texts: tuple[str, ...]) -> list[PlayerSpec]:
    if "vs" in texts:
        raise click.UsageError('--matrix takes the players alone, without "vs" between them.')
    specs = parse_players(texts)
    if len(specs) < 2:
        raise click.UsageError(
            f"--matrix needs two players or more, not {len(specs)}, as in: "
            "zebfast eval --matrix random heuristic heuristic2."
        )
    for one, other in combinations(specs, 2):
        if one.same_player(other):
            named = one.text if one.text == other.text else f"{one.text} = {other.text}"
            raise click.UsageError(f"--matrix needs different players, but {named} is there twice.")
    return specs


def _start(config: MatrixConfig, files: MatrixFiles) -> Matrix:
    """An empty matrix, or what the output file holds of it."""
    if files.output is None or not files.output.exists():
        return Matrix(config)
    try:
        matrix = load_matrix(files.output, config)
    except MatrixFileError as error:
        raise click.UsageError(str(error)) from error
    n_played, n_pairs = len(matrix.points), len(config.pairs)
    click.echo(f"{files.output}: {n_played} of {n_pairs} pairings are there already.", err=True)
    return matrix


def _play(
    matrix: Matrix,
    specs: list[PlayerSpec],
    *,
    device: str | None,
    threads: int | None,
    output: Path | None,
) -> None:
    def finished(pair: Pair) -> None:
        if output is not None:
            save_matrix(matrix, output)
        reporter.finished(pair)

    reporter = MatrixReporter(matrix)
    try:
        with open_players(specs, device=device, threads=threads) as players, reporter:
            play_matrix(
                matrix,
                players,
                deals_per_chunk=[spec.deals_per_chunk for spec in specs],
                progress=reporter.progress,
                finished=finished,
            )
    except FloatingPointError as error:
        raise click.ClickException(f"The matrix cannot go on: {error}.") from error
    except KeyboardInterrupt:
        if output is not None and matrix.points:
            save_matrix(matrix, output)  # the signal may have come just before this
            click.echo(
                f"{len(matrix.points)} of {len(matrix.config.pairs)} pairings are kept in "
                f"{output}; the same command with --resume continues.",
                err=True,
            )
        raise
