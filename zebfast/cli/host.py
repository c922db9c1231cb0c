"""`zebfast host`: what runs on a rented machine. Checks it, and keeps one worker going."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zebfast.cli.messages import note
from zebfast.cli.options import Number, file_option, option, setting_options
from zebfast.cli.run import EXIT_FAILED, stop_at_eof_option, user_sentence
from zebfast.system.settings import A_YEAR
from zebfast.worker.supervisor import SupervisorConfig

if TYPE_CHECKING:
    from zebfast.exchange import ExampleStore
    from zebfast.worker.supervisor import Failure

_GIB = Number(0, 1_000_000_000)
_CLOSE_SECONDS = 10.0  # for the last heartbeat


@click.group(name="host")
def host() -> None:
    """Commands for the machine that a worker runs on; the fleet starts its machines with them.

    \b
    Example:
      zebfast host check
      zebfast host run -- --repo-id me/weights --examples-repo-id me/examples
    """


@host.command(
    name="check",
    short_help="Say whether a worker can live on this machine.",
    epilog="Example: zebfast host check --allow-cpu",
)
@click.option(
    "--allow-cpu",
    is_flag=True,
    envvar="ZEB_ALLOW_CPU",
    show_envvar=True,
    help="A machine without a GPU is fine.",
)
@option("--min-disk", _GIB, 2.0, "GiB that are free.")
@option("--min-memory", _GIB, 2.0, "GiB in all.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as one JSON object.")
def check(allow_cpu: bool, min_disk: float, min_memory: float, as_json: bool) -> None:
    """Look at GPU, driver, disk, memory and file limits; one line each, `ok` or `bad`.

    Exits with 1 when anything is bad.
    """
    from zebfast.worker.host import checks, look

    found = list(
        checks(
            look(Path.cwd(), allow_cpu=allow_cpu),
            allow_cpu=allow_cpu,
            min_disk=min_disk,
            min_memory=min_memory,
        )
    )
    ok = all(verdict.ok for verdict in found)
    if as_json:
        click.echo(json.dumps({"ok": ok, "checks": [asdict(verdict) for verdict in found]}))
    else:
        for verdict in found:
            click.echo(verdict)
    if not ok:
        bad = ", ".join(verdict.name for verdict in found if not verdict.ok)
        note(f"error: a worker cannot live on this machine ({bad})")
        raise click.exceptions.Exit(EXIT_FAILED)


@host.command(
    name="run",
    short_help="Run a worker, and start it again when it crashes or stands still.",
    epilog="Example: zebfast host run -- --repo-id run --output-dir run/examples",
)
@option(
    "--stall-minutes",
    Number(0, A_YEAR // 60, low_open=True),
    20.0,
    "A worker that hands nothing over for so long is stopped and started again.",
)
@setting_options(SupervisorConfig, "grace", "first_pause")
@file_option("--alive-file", help="Touch this file after every batch, for probes of its age.")
@click.option(
    "--log-events",
    is_flag=True,
    hidden=True,
    envvar="ZEB_LOG_EVENTS",
    help="Print how the worker ends as a line of JSON, too, for who reads this machine's log.",
)
@stop_at_eof_option
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def run_worker(
    stall_minutes: float, grace: float, first_pause: float, alive_file: Path | None,
    log_events: bool, flags: tuple[str, ...],
) -> int:  # fmt: skip
    """Run `zebfast worker FLAGS` until it is done or this is stopped.

    SIGTERM, SIGHUP and Ctrl-C are passed on once. Exits with the worker's code; one that refuses
    its flags (2) is not started again.
    """
    from zebfast.system.events import Ended, Event, emit, subscribed, to_line
    from zebfast.worker.host import raise_file_limit
    from zebfast.worker.supervisor import Supervisor

    raise_file_limit()

    def command(restarts: int, batches: int, events: int) -> list[str]:
        told = ("--restarts", str(restarts), "--earlier-batches", str(batches), "--stop-at-eof",
                "--events-fd", str(events))  # fmt: skip
        return [sys.executable, "-m", "zebfast.worker", *flags, *told]

    config = SupervisorConfig(stall=60 * stall_minutes, grace=grace, first_pause=first_pause)

    def log(event: Event) -> None:
        if log_events and isinstance(event, Ended):
            click.echo(to_line(event), nl=False)

    def worked() -> None:
        if alive_file is not None:
            with suppress(OSError):  # whoever looks at it says so
                alive_file.touch()

    with _reporting(flags) as report, subscribed(log):
        try:
            return Supervisor(command, config, report=report, worked=worked).run()
        except Exception as error:
            reason = user_sentence(error) or type(error).__name__
            emit(Ended(program="host run", code=EXIT_FAILED, reason=reason))
            raise


@contextmanager
def _reporting(flags: Sequence[str]) -> Iterator[Callable[[Failure], None]]:
    """Tells the example store that the worker has failed; opened when that happens first.

    Never raises for what can go wrong with a store: the worker is to be started again.
    """
    opened: list[tuple[str, ExampleStore]] = []

    def report(failure: Failure) -> None:
        from zebfast import __version__
        from zebfast.cli.worker import open_examples_of, worker
        from zebfast.exchange import ExchangeError
        from zebfast.exchange.heartbeat import Heartbeat

        try:
            if not opened:
                context = worker.make_context("worker", list(flags))
                opened.append(open_examples_of(context.params))
            worker_id, store = opened[0]
            store.beat(
                Heartbeat(
                    worker_id=worker_id,
                    unix=time.time(),
                    phase="failed",
                    restarts=failure.restarts,
                    earlier_batches=failure.batches,
                    host=os.uname().nodename,
                    version=__version__,
                    error=failure.error,
                )
            )
        except (click.ClickException, ValueError, ExchangeError, OSError) as error:
            note(f"  heartbeat error (will retry): {error}")

    try:
        yield report
    finally:
        for _, store in opened:
            store.close(_CLOSE_SECONDS)
