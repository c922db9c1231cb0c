"""`zebfast play`: the table in the browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zebfast.cli.options import Whole
from zebfast.cli.pages import host_option, names_option, open_option, tell_address

if TYPE_CHECKING:
    from zebfast.web.play.store import Store

_STATE = "zebfast/play"


@click.command(
    name="play",
    short_help="Play whole games of 42 in the browser, with people and computer players.",
    help="""Open a table in the browser: whole games of 42 (auction, trumps, seven tricks, marks to
    seven) with computer players and people, at this browser or at others by link.

    Prints an address to open. It needs no other machine, and answers only this one unless --host
    says otherwise. Games are saved after every play: Ctrl-C ends the server, and the same command
    goes on with them at the same address.

    \b
    Example:
      zebfast play --open""",
)
@host_option
@click.option(
    "--port", type=Whole(1, 65535), help="Port to listen on.  [default: that of the last time]"
)
@names_option
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY",
    help="Where games are kept.  [default: zebfast/play below the user's state directory]",
)  # fmt: skip
@click.option(
    "--player", "players", multiple=True, metavar="PLAYER",
    help="One more computer player to choose from, as in zebfast eval; may be repeated.",
)  # fmt: skip
@click.option("--device", help="Where networks run (default: cpu).")
@open_option
def play(
    host: str, port: int | None, names: tuple[str, ...], state: Path | None,
    players: tuple[str, ...], device: str | None, opens: bool,
) -> None:  # fmt: skip
    """Serve until a signal. Exit codes: 1 taken port or state, 2 usage, 130 by Ctrl-C."""
    from zebfast.arena.bidders.specs import parse_whole
    from zebfast.arena.players.specs import PlayerSpecError
    from zebfast.system.machine import usable_cores
    from zebfast.web.play.serve import PlayConfig
    from zebfast.web.play.serve import play as serve
    from zebfast.web.play.thinking import PLAYERS

    for spec in players:
        try:
            parse_whole(spec)
        except PlayerSpecError as error:
            raise click.UsageError(str(error)) from error
    config = PlayConfig(
        state or state_directory(), tuple(dict.fromkeys((*PLAYERS, *players))), host, port, names,
        usable_cores(), device or "cpu",
    )  # fmt: skip

    def told(address: str, store: Store) -> None:
        for sentence in store.refused:
            click.echo(f"warning: {sentence}", err=True)
        tell_address(address, "games are kept", opens=opens)

    serve(config, told=told)


def state_directory() -> Path:
    """Where this user's programs keep what they would go on with."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / _STATE
