"""The command `python tools/bids.py`: `--help` tells what it fits and measures (bids/cli.py)."""

import sys

from bids.cli import main  # the folder beside this file, which Python takes before the file

if __name__ == "__main__":
    sys.exit(main())
