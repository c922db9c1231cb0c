"""`python -m zebfast.worker` is `zebfast worker`."""

from __future__ import annotations

from zebfast.cli.worker import main

if __name__ == "__main__":
    main()
