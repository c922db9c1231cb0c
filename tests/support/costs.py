"""Where the time of the tests goes, as a plugin of pytest: `make test-costs`.

Processor time is counted of this process and of each process it waits for, with what those waited
for in turn; wall time of each file. Every worker of xdist writes lines of JSON to
build/test-costs/; their sums are printed at the end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage, struct_rusage
from typing import Any

import pytest

FOLDER = Path("build/test-costs")
N_SHOWN = 25
KINDS = {
    "the fork server": r"forkserver\.py",
    "programs of zebfast": r"-m zebfast|tests/(support|servers)/|/bin/zebfast",
    "builds and checkers": r"setuptools|setup\.py|\bpip\b|\b(g?cc|clang)\b|mypy|ruff|lint-imports",
    "tools and the speed suite": r"tools/|-m pytest",
}  # fmt: skip


def seconds(usage: struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


class Costs:
    """The plugin itself. A controller of xdist only prints the sums."""

    def __init__(self, *, controls: bool) -> None:
        self._file = open(FOLDER / f"{os.getpid()}.jsonl", "w", buffering=1)  # noqa: SIM115
        self._test = ""
        if not controls:
            self._count_processes()

    def _count_processes(self) -> None:
        costs = self

        def wait(process: Any, flags: int) -> tuple[int, int]:
            try:
                pid, status, usage = os.wait4(process.pid, flags)
            except ChildProcessError:
                return process.pid, 0
            if pid == process.pid:
                costs.write(process=costs.kind(process.args), test=costs._test, cpu=seconds(usage))
            return pid, status

        subprocess.Popen._try_wait = wait  # type: ignore[attr-defined]

    def write(self, **line: Any) -> None:
        print(json.dumps(line), file=self._file)

    def kind(self, command: Any) -> str:
        text = command if isinstance(command, str) else " ".join(map(str, command))
        return next((kind for kind, sign in KINDS.items() if re.search(sign, text)), "others")

    def _phase(self, item: pytest.Item, when: str) -> Iterator[None]:
        self._test, before = item.nodeid, seconds(getrusage(RUSAGE_SELF))
        began = time.perf_counter()
        yield
        wall = time.perf_counter() - began
        cpu = seconds(getrusage(RUSAGE_SELF)) - before
        self.write(phase=when, test=item.nodeid, cpu=cpu, wall=wall)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "fixtures")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "tests themselves")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "fixtures")

    def pytest_collection_finish(self) -> None:
        self.write(phase="imports and collection", test="", cpu=seconds(getrusage(RUSAGE_SELF)))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        texts = [path.read_text().splitlines() for path in FOLDER.glob("*.jsonl")]
        lines = [json.loads(line) for text in texts for line in text]
        say, split = terminalreporter.write_line, Counter()
        tests, files = Counter(), Counter()
        for line in lines:
            split[line.get("process") or line["phase"]] += line["cpu"]
            tests[line["test"].partition("[")[0]] += line["cpu"]
            files[line["test"].partition("::")[0]] += line.get("wall", 0.0)
        total = seconds(getrusage(RUSAGE_SELF)) + seconds(getrusage(RUSAGE_CHILDREN))
        split["the rest"] = total - sum(split.values())
        terminalreporter.section(f"{total:.0f} seconds of processor")
        for kind, cpu in split.most_common():
            say(f"{cpu:7.1f} s {kind}")
        for test, cpu in tests.most_common(N_SHOWN):
            say(f"{cpu:7.1f} s {test or 'imports and collection'}")
        terminalreporter.section("files that took longest, by the clock")
        for name, wall in files.most_common(N_SHOWN):
            say(f"{wall:7.1f} s {name}")


def pytest_configure(config: pytest.Config) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not hasattr(config, "workerinput"):
        for old in FOLDER.glob("*.jsonl"):
            old.unlink()
    controls = bool(config.getoption("numprocesses", None))
    config.pluginmanager.register(Costs(controls=controls), "costs of tests")
