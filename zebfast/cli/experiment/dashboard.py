"""`zebfast experiment dashboard [NAME]`: how experiments stand, as pages in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from zebfast.cli.experiment.context import experiments_dir_option, open_experiment, stores_of
from zebfast.cli.options import Number, Whole
from zebfast.cli.pages import host_option, names_option, open_option, tell_address
from zebfast.cli.run import hidden, user_sentence
from zebfast.system.settings import A_DAY


@click.command(
    name="dashboard",
    short_help="Show it in the browser, as it goes on.",
    help="""Show experiments in the browser: curves, stage and time left, workers, money, incidents,
    and the checks with what mends them; several beside each other.

    Prints an address to open. The pages are made from the files that runs write anyway, of
    directories or of the Hub, and change nothing. They need no other machine, and answer only this
    one unless --host says otherwise.

    \b
    Examples:
      zebfast experiment dashboard first --open
      zebfast experiment dashboard --host 0.0.0.0 --port 8042""",
)
@click.argument("name", required=False)
@host_option
@click.option("--port", type=Whole(1, 65535), help="Port to listen on.  [default: a free one]")
@names_option
@click.option(
    "--every", type=Number(0.1, A_DAY), metavar="SECONDS",
    help="Seconds between looks.  [default: 2 at directories, 60 at the Hub]",
)  # fmt: skip
@open_option
@experiments_dir_option
def dashboard(
    name: str | None, host: str, port: int | None, names: tuple[str, ...], every: float | None,
    opens: bool, experiments_dir: Path,
) -> None:  # fmt: skip
    """Serve until a signal. Exit codes: 1 taken port, 2 usage, 130 by Ctrl-C."""
    from zebfast.web.dashboard.run import Means
    from zebfast.web.dashboard.serve import DashboardConfig
    from zebfast.web.dashboard.serve import dashboard as serve

    if name is not None:
        open_experiment(name, experiments_dir)

    def sentence(error: BaseException) -> str | None:
        told = user_sentence(error)
        return None if told is None else hidden(told)

    def told(address: str) -> None:
        tell_address(address, "runs go on", opens=opens)

    page = "/" if name is None else f"/run/{name}"
    config = DashboardConfig(experiments_dir, page, host, port or 0, names)
    serve(config, Means(stores_of, sentence, every), told=told)
