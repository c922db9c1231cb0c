"""`python -m zebfast` is the same program as `zebfast`."""

from __future__ import annotations

from zebfast.cli.main import main

if __name__ == "__main__":
    main()
