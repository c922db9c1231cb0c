"""`zebfast experiment dashboard` without its command line: a port, and the pages behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zebfast.web.app import make_app
from zebfast.web.dashboard.routes import Routes
from zebfast.web.dashboard.run import Means
from zebfast.web.dashboard.watching import Watching
from zebfast.web.guard import Access, Guard, new_token
from zebfast.web.lane import Lane
from zebfast.web.server import address, listen, serve

LOOKERS = 4  # so that a place that does not answer holds up one experiment alone


@dataclass(frozen=True)
class DashboardConfig:
    """How experiments are shown.

    Attributes:
        directory: of the experiments.
        page: that the address leads to.
        port: 0: a free one.
        names: by which the server may be called besides its addresses.
    """

    directory: Path
    page: str = "/"
    host: str = "127.0.0.1"
    port: int = 0
    names: Sequence[str] = ()


def dashboard(config: DashboardConfig, means: Means, *, told: Callable[[str], None]) -> None:
    """Serve pages until a signal; ``told`` is called with the address once it can be opened.

    Raises CannotListen.
    """
    with listen(config.host, config.port) as found:
        token = new_token()
        watching = Watching(config.directory, means, lane=Lane("look", LOOKERS))
        app = dashboard_app(watching, token, found.getsockname()[1], config.names)
        told(address(found, token, config.page))
        serve(app, found, closing=watching.close)


def dashboard_app(watching: Watching, token: str, port: int, names: Sequence[str] = ()) -> Guard:
    """The application."""
    hosts = frozenset(name.lower() for name in names)
    return make_app(Routes(watching).all(), Access(token, f"zebfast-{port}", hosts))
