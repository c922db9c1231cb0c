"""The command `python tools/strength.py`: `--help` tells what it measures (strength/cli.py)."""

import sys

from strength.cli import main  # the folder beside this file, which Python takes before the file

if __name__ == "__main__":
    sys.exit(main())
