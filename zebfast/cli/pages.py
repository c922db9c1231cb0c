"""What the commands that serve pages to a browser have in common."""

from __future__ import annotations

import click


def _address(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """An address to listen on: the empty one would be that of every machine."""
    if not value.strip():
        raise click.BadParameter("it is empty: 127.0.0.1 is this machine, 0.0.0.0 lets others in.")
    return value


host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, callback=_address,
    help="Address to listen on; 0.0.0.0 lets other machines in.",
)  # fmt: skip
names_option = click.option(
    "--name", "names", multiple=True, metavar="NAME",
    help="A name by which browsers may call this machine; addresses of numbers need none.",
)  # fmt: skip
open_option = click.option(
    "--open", "opens", is_flag=True, help="Open the address in the browser, too."
)


def tell_address(address: str, kept: str, *, opens: bool) -> None:
    """Where the pages are, once they are served; ``kept`` is what outlives the server."""
    click.echo(address)
    click.echo(f"Open this address. Ctrl-C ends the server; {kept}.", err=True)
    if opens:
        import webbrowser

        webbrowser.open(address)
