"""Hands over example files as many workers do, each with its own spool and uploads.

A program, because the Hub's address is read when its client is imported::

    python many_workers.py REPO NAMESPACE DIRECTORY WORKERS SECONDS INTERVAL

Prints one JSON object: games handed over by file name.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from listening import listening
from random_games import random_games

from zebfast.exchange import Namespace, Place, StoreOptions, example_name, open_examples
from zebfast.selfplay.examples import write_native

GRACE_SECONDS = 60.0


def work(number: int, arguments: list[str], handed: dict[str, int]) -> None:
    repo, name, directory, _, seconds, interval = arguments
    worker_id = f"worker-{number}"
    options = StoreOptions(
        state_dir=Path(directory) / worker_id, upload_interval=float(interval), retry_seconds=0.1
    )
    store = open_examples(
        Place("dataset", repo), Namespace.parse(name), options=options,
    )  # fmt: skip
    ends = time.monotonic() + float(seconds)
    batch = 0
    while time.monotonic() < ends:
        games = random_games(2, seed=1_000_000 * number + batch)
        metadata = {"worker_id": worker_id, "model_step": 0, "n_games": 2, "timestamp": time.time(),
                    "source": "selfplay-mcts", "weights_name": name}  # fmt: skip
        file = example_name(worker_id, time.time())
        store.put(file, lambda path, games=games, meta=metadata: write_native(path, games, meta))
        handed[file] = 2
        batch += 1
        time.sleep(float(interval) / 2)
    assert store.close(GRACE_SECONDS) == 0, "files were left in the spool"


def main() -> None:
    arguments = sys.argv[1:]
    handed: dict[str, int] = {}
    threads = [
        threading.Thread(target=work, args=(number, arguments, handed))
        for number in range(int(arguments[3]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(handed))


if __name__ == "__main__":
    with listening(lambda line: print(line, file=sys.stderr)):
        main()
