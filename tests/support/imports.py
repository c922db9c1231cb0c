"""Commands that must do without a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from zebfast.cli.main import main
try:
    main(sys.argv[2:])
finally:
    assert sys.argv[1] not in sys.modules
"""


def run_without(module: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which ends in an AssertionError if it loads `module`."""
    command = [sys.executable, "-c", PROGRAM, module, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)
