"""What `zebfast experiment dashboard` takes with a long run and a large fleet.

    python -m tests.web.dashboard_figures [--rows 1000000] [--workers 500] [--updates 1800]
                                          [--record FILE]

Writes a run of so many rows of metrics and so many workers, starts the server as a program and
looks through a stream as a page does: until the first picture, until all is read, then through
updates, of which 1,800 are an hour's. For each update a row is added and one worker in ten says
anew that it lives. Where there is a Chromium, it opens the page and looks on meanwhile.

Processor seconds are the server's; wall times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]

from boards import SECONDS_A_CYCLE, MadeRun  # noqa: E402
from provenance import origin  # noqa: E402

from bench.play import some_browser  # noqa: E402

EVERY = 0.1  # seconds between looks of the server: the hour is made short
PAGE = 25  # updates after which memory is looked at


def make(root: Path, rows: int, workers: int) -> MadeRun:
    """The files of the run."""
    run = MadeRun(root, "long", began=time.time() - SECONDS_A_CYCLE * rows)
    while run.cycle < rows:
        run.train(min(20_000, rows - run.cycle))
    run.work(workers, failed=workers // 100, files=4)
    run.publish(workers)
    run.rent(workers, budget=5000.0)
    return run


class Server:
    """The dashboard as a program of its own, from outside."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zebfast", "experiment", "dashboard", "long", "--every",
             str(EVERY), "--experiments-dir", str(root / "experiments")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.port = int(self.address.partition("//")[2].partition(":")[2].partition("/")[0])
        self.cookie = f"zebfast-{self.port}={self.address.partition('token=')[2]}"

    def seconds(self) -> float:
        """Of processor so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Of memory that it holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("the server has ended")

    def events(self) -> Iterator[tuple[Any, int]]:
        """What a page is told, with the bytes of it."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        line.request("GET", "/api/run/long/events", headers={"Cookie": self.cookie})
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        for each in iter(answer.readline, b""):
            if each.startswith(b"data: "):
                yield json.loads(each[6:]), len(each)

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(20)


def look(server: Server, run: MadeRun, updates: int, workers: int, page: Any) -> dict[str, Any]:
    """The figures."""
    began, events = time.perf_counter(), server.events()
    found, size = next(events)
    while not (found["look"] and found["look"].get("looked") and found["curves"]["long"]["n"]):
        found, size = next(events)
    figures: dict[str, Any] = {
        "first picture, s": time.perf_counter() - began,
        "first picture, processor s since the program began": server.seconds(),
        "first picture, kB": size / 1000,
        "first picture, points of a curve": found["curves"]["long"]["n"],
    }
    while found["look"]["metrics"]["sampled"]:
        found, _ = next(events)
    figures |= {
        "all rows read, s": time.perf_counter() - began,
        "all rows read, processor s": server.seconds(),
        "all rows read, MB": server.megabytes(),
    }
    if page is not None:
        page.get(server.address)
        opened = time.perf_counter()
        while not page.execute_script("return document.documentElement.dataset.looked"):
            time.sleep(0.01)
        figures["page of a server that has read all, s"] = time.perf_counter() - opened
    before, memory, waits, sizes, drawn = server.seconds(), [], [], [], []
    looks = 0
    for number in range(updates):
        for worker in range(number % 10, workers, 10):
            run.beat(worker, batch=10 + number)
        rows = found["look"]["metrics"]["rows"]
        run.train(1)
        wrote = time.perf_counter()
        while found["look"]["metrics"]["rows"] <= rows:
            found, size = next(events)
            looks += 1
        waits.append(time.perf_counter() - wrote)
        sizes.append(size)
        if number % PAGE == 0:
            memory.append(server.megabytes())
            if page is not None:
                script = "return document.documentElement.dataset.took"
                drawn.append(float(page.execute_script(script)))
    quarter = max(1, len(memory) // 4)
    figures |= {
        "updates": updates,
        "an update, processor s of the server": (server.seconds() - before) / looks,
        "an update, from the row to the page's line, median s": statistics.median(waits),
        "an update, kB": statistics.median(sizes) / 1000,
        "memory in the first quarter of the updates, MB": statistics.median(memory[:quarter]),
        "memory in the last quarter of the updates, MB": statistics.median(memory[-quarter:]),
    }
    if page is not None:
        figures["an update drawn by the page, median ms"] = statistics.median(drawn[1:])
        page.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        told = page.execute_cdp_cmd("Runtime.getHeapUsage", {})
        figures["memory of the page's program, MB"] = told["usedSize"] / 1e6
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--updates", type=int, default=1800)
    parser.add_argument("--record", type=Path, metavar="FILE")
    flags = parser.parse_args()
    began = origin("python -m tests.web.dashboard_figures", sys.argv)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        run = make(root, flags.rows, flags.workers)
        page = some_browser(stack, root / "profile")
        megabytes = run.metrics.stat().st_size / 1e6
        server = Server(root)
        stack.callback(server.end)
        figures = look(server, run, flags.updates, flags.workers, page)
    figures = {"rows": flags.rows, "workers": flags.workers, "metrics, MB": megabytes} | figures
    for name, value in figures.items():
        print(f"{name}: {value:,}")
    if flags.record:
        found = began | {"figures": figures}
        flags.record.parent.mkdir(parents=True, exist_ok=True)
        flags.record.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
