"""A process that runs snippets with the real huggingface_hub: the endpoint is read at its import.

Started by ``HubClient`` in ``hub.py``; reads JSON lines ``{"code", "args"}``, runs the code as the
body of a function of ``args`` (names from here and from earlier snippets' ``keep`` are there), and
answers ``{"value"}`` or ``{"error", "text"}``, with the lines that were said meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from listening import listening

import zebfast.exchange
from zebfast.exchange import Namespace, Place, StoreOptions, open_examples, open_weights

said: list[str] = []
keep: dict[str, Any] = {}


def options(home: str, **changes: Any) -> StoreOptions:
    """Stores that are patient for tenths of a second."""
    return StoreOptions(
        **{"state_dir": Path(home), "retry_seconds": 0.02, "upload_interval": 0.0, **changes}
    )


def weights(repo: str, name: str | None, home: str, **changes: Any) -> Any:
    return open_weights(
        Place("model", repo),
        Namespace.parse(name),
        options=options(home, **changes),
    )


def examples(kind: Any, repo: str, name: str | None, home: str, **changes: Any) -> Any:
    return open_examples(Place(kind, repo), Namespace.parse(name), options=options(home, **changes))


def tensors(value: float) -> dict[str, np.ndarray]:
    """Weights that say ``value``, in a file like no other: the Hub keeps equal ones once."""
    salt = np.frombuffer(os.urandom(16), np.int64)
    return {"w": np.full(3, value, np.float32), "salt": salt}


def put(store: Any, *names: str) -> None:
    """Put files whose content follows from their names and place, as in no other test."""
    for name in names:
        store.put(name, lambda path: path.write_bytes(content(store, path.name)))


def content(store: Any, name: str, size: int = 100) -> bytes:
    text = f"{store.label}/{name} ".encode()
    return (text * (size // len(text) + 1))[:size]


def _run(code: str, args: dict[str, Any]) -> Any:
    space = {**vars(zebfast.exchange), **globals(), **keep, **args}
    names = ", ".join(args)
    exec(f"def snippet({names}):\n{textwrap.indent(textwrap.dedent(code), '    ')}", space)
    return space["snippet"](**args)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"value": _run(order["code"], order["args"])}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
            traceback.print_exc()
        answer["said"], said[:] = list(said), []
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with listening(said.append):
        main()
