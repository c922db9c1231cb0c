#!/usr/bin/env bash
# Cython 3.3.1: a chained comparison whose first result has no truth value does not stop there.
#
# Guess: "return 0 < x <= 64" in a .pyx means what it means in Python. Where "0 < x" is something that
# is neither true nor false, as for an empty NumPy array, bool() of it raises ValueError, and so does
# the line; x <= 64 is never asked.
#
# Behaviour: if the result is used as a value, returned or assigned, that error is not looked at:
# "if (__Pyx_PyObject_IsTrue(...))" takes -1, which says that an exception is set, as true. The second
# comparison is made with the exception set, and the caller gets a SystemError, "returned a result with
# an exception set", which blames whatever was called there. The same comparison in a condition
# ("if not 0 < x <= 64:"), or written with "and", raises the ValueError, as Python does. A typed
# argument or operator.index() in front avoids it.
#
# Seen (Cython 3.3.1, setuptools 84.2.1, Python 3.11.7):
#   returned, chained      SystemError: returned a result with an exception set
#   condition, chained     ValueError: neither true nor false
#   returned, with and     ValueError: neither true nor false
#   Python                 ValueError: neither true nor false
#
# Exits with 1 if one of these errors changes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet cython==3.3.1 setuptools==84.2.1

cat >chained.pyx <<'CYTHON'
def returned(x):
    return 0 < x <= 64


def condition(x):
    if not 0 < x <= 64:
        return False
    return True


def with_and(x):
    return 0 < x and x <= 64
CYTHON
cat >setup.py <<'PYTHON'
from Cython.Build import cythonize
from setuptools import setup

setup(ext_modules=cythonize("chained.pyx", language_level=3, quiet=True))
PYTHON
venv/bin/python setup.py --quiet build_ext --inplace

venv/bin/python - <<'PYTHON'
import sys

import chained


class Unclear:
    def __bool__(self):
        raise ValueError("neither true nor false")


class Number:
    def __gt__(self, other):
        return Unclear()

    def __le__(self, other):
        return True


def python(x):
    return 0 < x <= 64


def error(compare):
    try:
        return repr(compare(Number()))
    except Exception as problem:
        words = str(problem)
        return f"{type(problem).__name__}: {words[max(0, words.find('returned a result')):]}"


UNCLEAR = "ValueError: neither true nor false"
expected = {
    "returned, chained": (chained.returned, "SystemError: returned a result with an exception set"),
    "condition, chained": (chained.condition, UNCLEAR),
    "returned, with and": (chained.with_and, UNCLEAR),
    "Python": (python, UNCLEAR),
}
changed = False
for name, (compare, then) in expected.items():
    now = error(compare)
    print(f"{name:<22} {now}")
    changed |= now != then
if changed:
    sys.exit("changed: an error is another than the one described above")
PYTHON
