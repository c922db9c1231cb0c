"""``python -m zebfast.learner`` is the same program as ``zebfast-learn``."""

from __future__ import annotations

from importlib import import_module

if __name__ == "__main__":
    # By name: this room lies below the command line, and only this start-up line reaches up.
    import_module("zebfast.cli.learn").main()
