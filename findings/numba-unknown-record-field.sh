#!/usr/bin/env bash
# Numba 0.68.1: a field that a record does not have is a bare KeyError, not a TypingError.
#
# Guess: what a function cannot be compiled for is a numba.errors.TypingError that names attribute,
# type and line, as for any other type; so whoever compiles functions of others catches NumbaError.
#
# Behaviour: for a record (of a structured NumPy dtype, as views of a game's state are) an unknown field
# ends in KeyError, a plain one from within Numba, whose only word is the field's name: no type, no
# file, no line. `except NumbaError` lets it pass. The same letters on an integer, or on an array of
# such records, are a TypingError with all of it.
#
# Seen (Python 3.11.7, NumPy 2.4.6, Linux x86-64):
#   Numba 0.68.1: what reading an attribute that is not there raises while compiling
#   a record: KeyError 'leagl', a NumbaError: False, names the line: False
#   an array of records: TypingError, a NumbaError: True, names the line: True
#   an integer: TypingError, a NumbaError: True, names the line: True
#
# Exits with 1 if a record's is a NumbaError.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6

cat >"$scratch/typing_error.py" <<'PYTHON'
import sys

import numba
import numpy as np
from numba.core.errors import NumbaError


def misspelt(view):
    return view.leagl


records = np.zeros(2, [("legal", "i4"), ("hand", "i4")])
print(f"Numba {numba.__version__}: what reading an attribute that is not there raises while compiling")
kinds = {}
for name, value in (("a record", records[0]), ("an array of records", records), ("an integer", 3)):
    try:
        numba.njit(misspelt)(value)
    except Exception as error:
        kinds[name] = isinstance(error, NumbaError)
        words = f"{type(error).__name__} {error}" if len(str(error)) < 20 else type(error).__name__
        line = "typing_error.py" in str(error)
        print(f"{name}: {words}, a NumbaError: {kinds[name]}, names the line: {line}")
if kinds != {"a record": False, "an array of records": True, "an integer": True}:
    sys.exit("changed: an unknown field of a record is a NumbaError, or others are not")
PYTHON
"$scratch/venv/bin/python" "$scratch/typing_error.py"
