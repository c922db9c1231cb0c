"""Logs to W&B as the learner does: one order a line of its input, answered with what came of it.

Orders are JSON: ``["open", run id, last cycle, seconds for the end]``, ``["log", cycle, row]``,
``["signal core", number]``, ``["close"]``. Answers begin with @, since W&B prints lines of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from zebfast.cli.messages import messages_to
from zebfast.learner import wandb
from zebfast.learner.metrics import JsonlMetrics
from zebfast.learner.wandb import WandbError, WandbMetrics

wandb._GRACE_SECONDS = 2.0
jsonl: JsonlMetrics
sink: WandbMetrics


def out(**what: Any) -> None:
    os.write(1, ("@" + json.dumps(what) + "\n").encode())  # whole, whichever thread says it


def core_process() -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().decode().split(chr(0))
        except OSError:  # it has ended
            continue
        if "wandb-core" in said[0] and str(os.getpid()) in said:
            return int(process.name)
    raise LookupError("no wandb-core serves this process")


def main() -> None:
    with messages_to(lambda text: out(say=text)):
        for line in sys.stdin:
            obey(*json.loads(line))


def obey(do: str, *given: Any) -> None:
    global jsonl, sink
    if do == "open":
        metrics = Path("metrics.jsonl")
        jsonl = JsonlMetrics(metrics, last_step=given[1])
        try:
            sink = WandbMetrics(
                project="zeb", name="a run", run_id=given[0], config={"lr": 0.5},
                directory=Path.cwd(), metrics_path=metrics, finish_seconds=given[2],
            )  # fmt: skip
            out(run_id=sink.run_id, url=sink.url, place=sink.place)
        except WandbError as error:
            out(refused=str(error))
    elif do == "log":
        jsonl.log(*given)
        sink.log(*given)
        out(logged=given[0])
    elif do == "signal core":
        os.kill(core_process(), given[0])
        out(signalled=True)
    elif do == "close":
        sink.close()
        out(closed=True)


if __name__ == "__main__":
    main()
