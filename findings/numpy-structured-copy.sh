#!/usr/bin/env bash
# NumPy 2.4.6: copying a contiguous structured array is not one block copy.
#
# Guess: copy() of a contiguous array without Python objects moves its bytes in one go, whatever the
# dtype; 2,000 records of 56 bytes cost the same as 112,000 plain bytes.
#
# Behaviour: copy() and assignment go through the records field by field. The time grows with the
# number of fields; the same bytes seen through view(np.uint8) are copied many times faster. The
# dtype here has 14 fields of int32 and no padding, so nothing would be lost by copying bytes. A
# replay buffer or a batch of game records pays this at every copy. NumPy 2.5.5 (which needs Python
# 3.12) was seen to copy the same array in 3.7 us; 2.4.6 is what Python 3.11 gets.
#
# Seen (NumPy 2.4.6, Python 3.11.7, Linux x86-64):
#   numpy 2.4.6: 2000 records of 56 bytes, 14 fields, best of 500
#   copy()                        64.0 us
#   target[...] = source          63.6 us
#   view(np.uint8).copy()          2.2 us
#   copy() takes 29.5 times as long as its bytes
#
# Exits with 1 if copy() or assignment takes less than 4 times as long as the bytes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet numpy==2.4.6

"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from time import perf_counter

import numpy as np

RECORDS, FIELDS, REPEATS = 2_000, 14, 500


def best(action):
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return 1e6 * min(times)


record = np.dtype([(f"field{i}", np.int32) for i in range(FIELDS)])
source = np.zeros(RECORDS, record)
target = np.zeros_like(source)


def assign():
    target[...] = source


whole, assigned = best(source.copy), best(assign)
plain = best(source.view(np.uint8).copy)
print(f"numpy {np.__version__}: {RECORDS} records of {record.itemsize} bytes,", end=" ")
print(f"{FIELDS} fields, best of {REPEATS}")
print(f"copy()                    {whole:8.1f} us")
print(f"target[...] = source      {assigned:8.1f} us")
print(f"view(np.uint8).copy()     {plain:8.1f} us")
print(f"copy() takes {whole / plain:.1f} times as long as its bytes")
if min(whole, assigned) < 4 * plain:
    sys.exit("changed: structured arrays are copied nearly as fast as their bytes")
PYTHON
