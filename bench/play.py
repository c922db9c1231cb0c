"""What `zebfast play` takes, and whether its hints are right.

    python -m bench.play [start] [tables] [answers] [hints] [--record FILE]

start    least processor seconds, memory and wall time of fresh servers until their first page is
         there, in a Chromium that runs already until it can be used; bytes of it and a table's
tables   memory of 200 tables, each in the middle of a game
answers  seconds from a person's play to the next answer of a network player, with 20 tables going
hints    chances of contracts that hints state, held against hands that network players played on
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))

from provenance import origin  # noqa: E402

from bench.browser import NoBrowser, open_browser  # noqa: E402

N_TABLES, N_BUSY, ANSWERS_A_TABLE = 200, 20, 20
THINKS = (0.5, 1.5)  # seconds that a person takes, who is quick
N_GAMES = 40  # of hints
STARTS = 5
SPEC = "zeb"


def start() -> dict[str, float]:
    """Fresh servers, from outside: the least of each figure, for others load a machine, too."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        page = some_browser(stack, Path(folder) / "profile")
        found = [_start(folder, number, page) for number in range(STARTS)]
    least = {name: min(each[name] for each in found) for name in found[0]}
    for name, value in least.items():
        print(f"{name}: {value:.2f}")
    return least


def _start(folder: str, number: int, page: Any) -> dict[str, float]:
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "zebfast", "play", "--state", f"{folder}/{number}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    port, token = address.rpartition(":")[2].split("/?token=")
    if page is None:
        sent = _page(int(port), token, "lobby", "/", "/api/lobby")
        wall = time.perf_counter() - began
    else:
        page.get(address)
        while not page.execute_script("return document.documentElement.dataset.ready"):
            time.sleep(0.002)
        wall = time.perf_counter() - began
        sent = _page(int(port), token, "lobby", "/", "/api/lobby")
    table = _page(int(port), token, "table", "/table/x")
    fields = Path(f"/proc/{server.pid}/stat").read_text().split()
    seconds = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    assert "torch" not in Path(f"/proc/{server.pid}/maps").read_text()
    megabytes = _megabytes(str(server.pid))
    server.terminate()
    server.wait(10)
    return {
        f"first page{'' if page is None else ', usable in a browser'}, s": wall,
        "first page, kB": sent / 1000, "page of a table, kB": table / 1000,
        "server's start, processor s": seconds, "server's start, MB": megabytes,
    }  # fmt: skip


def some_browser(stack: ExitStack, profile: Path) -> Any:
    """A Chromium that is open until the stack ends; None where there is none."""
    try:
        return stack.enter_context(open_browser(profile))
    except NoBrowser:
        return None


def _megabytes(process: str) -> float:
    [line] = [
        line for line in Path(f"/proc/{process}/status").read_text().splitlines() if "VmRSS" in line
    ]
    return int(line.split()[1]) / 1024


def _page(port: int, token: str, name: str, *paths: str) -> int:
    """Bytes of a page with all that it loads."""
    static = Path(__file__).parent.parent / "zebfast" / "web" / "static"
    more = {"lobby": (), "table": ("hints", "saying", "words")}[name]
    files = [f"/static/{each}.js" for each in (name, "api", "dom", "domino", *more)]
    files += ["/static/base.css", f"/static/{name}.css", "/static/icon.svg"]
    assert all((static / file.rpartition("/")[2]).exists() for file in files)
    total = 0
    for path in (*paths, *files):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        line.request("GET", path, headers={"Cookie": f"zebfast-{port}={token}"})
        total += len(line.getresponse().read())
        line.close()
    return total


def _room(folder: str):  # type: ignore[no-untyped-def]
    from zebfast.web.play.serve import PlayConfig, make_room
    from zebfast.web.play.store import Store

    return make_room(PlayConfig(Path(folder), (SPEC, "random")), Store(Path(folder)))


def _seats(spec: str):  # type: ignore[no-untyped-def]
    from zebfast.web.play.table import Seat

    return (Seat("Ann"), Seat("a", spec), Seat("b", spec), Seat("c", spec))


async def _tables() -> dict[str, float]:
    from zebfast.rules import RuleSet

    with tempfile.TemporaryDirectory() as folder:
        room, before, rng = _room(folder), _megabytes("self"), random.Random(1)
        for _ in range(N_TABLES):
            table = await room.open_table(RuleSet(), _seats("random"), pace="slow", hints=False)
            for _ in range(150):
                game = room.find(table.id).table.game
                if game.phase == "deal":
                    room.find(table.id).table.next_hand()
                elif not game.over:
                    legal = [*game.legal_calls(), *game.legal_declarations(), *game.legal_plays()]
                    room.find(table.id).table.act(game.seat, int(rng.choice(legal)))
        grown = _megabytes("self") - before
        print(f"{N_TABLES} tables: {grown:.1f} MB more, {1000 * grown / N_TABLES:.0f} kB each")
        room.close()
        return {"tables": N_TABLES, "a table, kB": 1000 * grown / N_TABLES}


async def _answers() -> dict[str, float]:
    from zebfast.rules import RuleSet

    with tempfile.TemporaryDirectory() as folder:
        room = _room(folder)
        await room.check_player(SPEC)
        seconds: list[float] = []
        tables = [
            await room.open_table(RuleSet(), _seats(SPEC), pace="instant", hints=False)
            for _ in range(N_BUSY)
        ]
        await asyncio.gather(*(_person(room, table.id, seconds) for table in tables))
        room.close()
    found = np.array(seconds) * 1000
    median, late = np.median(found), np.percentile(found, 95)
    print(f"{len(found)} answers of {SPEC} at {N_BUSY} tables: median {median:.1f} ms, "
          f"95th percentile {late:.1f} ms")  # fmt: skip
    return {
        "answers at 20 tables": len(found), "an answer, median ms": float(median),
        "an answer, 95th percentile ms": float(late),
    }  # fmt: skip


async def _person(room, table_id: str, seconds: list[float]) -> None:  # type: ignore[no-untyped-def]
    """Acts at random, and times each answer after an act until its version is there."""
    from zebfast.web.play.table import Table

    rng, done = random.Random(table_id), 0
    seated = room.find(table_id)
    while done < ANSWERS_A_TABLE and not seated.table.game.over:
        game = seated.table.game
        if game.phase == "deal":
            await room.do(table_id, lambda table: table.next_hand())
        elif game.seat == 0:
            legal = [*game.legal_calls(), *game.legal_declarations(), *game.legal_plays()]
            value = int(rng.choice(legal))
            await room.do(table_id, partial(Table.act, seat=0, value=value))
            answers, before, began = seated.table.thinker, seated.table.version, time.perf_counter()
            while answers and seated.table.version == before:
                await asyncio.sleep(0.001)
            if answers:
                seconds.append(time.perf_counter() - began)
                done += 1
            await asyncio.sleep(rng.uniform(*THINKS))
        else:
            await asyncio.sleep(0.005)


def hints() -> dict[str, float]:
    """Chances of the plays that were made, of one seat's decision in each trick."""
    from zebfast.arena.analysis.analyst import Analyst
    from zebfast.arena.analysis.steps import steps
    from zebfast.arena.table.hands import choice
    from zebfast.arena.table.players import table_player
    from zebfast.core.whole_game import WholeGame

    blind, player, rng = Analyst.open(SPEC).blind, table_player(SPEC), random.Random(7)
    stated, came = [], []
    for number in range(N_GAMES):
        game = WholeGame(seed=42, game=number)
        while not game.over:
            view = game.seen_by(game.seat)
            {"call": game.call, "declare": game.declare, "play": game.play}[view.phase](
                view.legal[0] if len(view.legal) == 1 else choice(player, view)
            )
        for step in steps(game):
            view = step.before.seen_by(step.seat)
            if step.phase != "play" or len(view.legal) < 2 or rng.random() > 0.25:
                continue
            outlook, made = blind.look(view), game.results[step.hand - 1].made
            stated.append(outlook.stated[outlook.dominoes.index(step.value)])
            came.append(made == (step.seat % 2 == view.bidder % 2))
    chances, outcomes = np.array(stated), np.array(came, float)
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(chances, edges) - 1, 0, 9)
    error = 0.0
    for each in range(10):
        some = bins == each
        if some.any():
            gap = chances[some].mean() - outcomes[some].mean()
            error += some.mean() * abs(gap)
            print(
                f"stated {chances[some].mean():.2f}, came true {outcomes[some].mean():.2f} "
                f"({some.sum()} decisions)"
            )
    print(f"{len(chances)} decisions: stated {chances.mean():.3f}, came true "
          f"{outcomes.mean():.3f}, expected calibration error {error:.3f}")  # fmt: skip
    return {"decisions": len(chances), "expected calibration error": float(error)}


def main() -> None:
    """All of it, or what is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "start": start, "tables": lambda: asyncio.run(_tables()),
        "answers": lambda: asyncio.run(_answers()), "hints": hints,
    }  # fmt: skip
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART")
    parser.add_argument("--record", type=Path, metavar="FILE")
    flags = parser.parse_args()
    figures: dict[str, float] = {}
    for name in flags.parts or parts:
        figures |= parts[name]()
    if flags.record:
        told = {name: round(value, 4) for name, value in figures.items()}
        found = origin("python -m bench.play", sys.argv) | {"figures": told}
        flags.record.parent.mkdir(parents=True, exist_ok=True)
        flags.record.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads that think end with the process


if __name__ == "__main__":
    main()
