"""`python -m zebfast.worker` is `zebfast worker`."""

from __future__ import annotations

from importlib import import_module

if __name__ == "__main__":
    # By name, because this room lies below cli: the program is the command line, not the room.
    import_module("zebfast.cli.worker").main()
