"""How much Python runs: calls of the package's own functions, and modules that a command imports.

Only what zebfast's own code does is counted (its functions, and what they call in C), so that the
numbers depend neither on the versions of libraries nor on the minor version of Python.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "zebfast")
HEAVY = ("torch", "numpy", "rich", "huggingface_hub", "wandb", "vastai", "matplotlib")

_IMPORTS = """
import sys
from zebfast.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def python_calls(work: Callable[[], object]) -> Counter[str]:
    """Calls inside, on this thread and those it starts: of Python functions, and of C functions.

    A comprehension is part of the function it stands in, whether or not this Python gives it a
    frame of its own.
    """
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _what: Any) -> None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            if event == "call" and not code.co_name.startswith("<"):
                found["of Python functions"] += 1
            elif event == "c_call":
                found["of C functions"] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def imports(command: Sequence[str]) -> tuple[int, list[str]]:
    """Modules of zebfast that a command has imported when it ends, and which of HEAVY."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modules = done.stderr.split()
    own = [name for name in modules if name.split(".")[0] == "zebfast"]
    return len(own), [name for name in HEAVY if name in modules]
