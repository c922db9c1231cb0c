#!/usr/bin/env bash
# setuptools 84.2.1: with an editable install, a checkout put first on the path can be completed
# silently from another one.
#
# Guess: the first directory on sys.path that has the package serves all of it. A submodule that this
# checkout lacks is a ModuleNotFoundError, as it is with an ordinary install of another version.
#
# Behaviour: for a package that lies in the project's root, `pip install -e` installs an import finder,
# asked after the path. It also answers for submodules of a package that was found on the path: the
# missing module is loaded from the installed tree, into the package of the other tree. Nothing warns.
# It matters most where a fresh checkout is incomplete by nature: compiled modules are not there until
# they are built, so tests or benchmarks of one revision run with another revision's compiled code.
# An ordinary install and editable_mode=strict behave as guessed.
#
# Seen (setuptools 84.2.1, pip 23.2.1, Python 3.11.7):
#   pip install .
#     package  other/engine/__init__.py
#     module   ModuleNotFoundError: No module named 'engine.rules'
#   pip install -e . --config-settings editable_mode=strict
#     package  other/engine/__init__.py
#     module   ModuleNotFoundError: No module named 'engine.rules'
#   pip install -e .
#     package  other/engine/__init__.py
#     module   installed/engine/rules.py
#
# Exits with 1 if one of the three changes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet setuptools==84.2.1

mkdir -p installed/engine other/engine
cat >installed/pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "engine"
version = "1.0"

[tool.setuptools]
packages = ["engine"]
TOML
touch installed/engine/__init__.py installed/engine/rules.py other/engine/__init__.py

cat >report.py <<'PYTHON'
import os

import engine

root = os.path.dirname(os.path.realpath(__file__))
print("  package ", os.path.relpath(os.path.realpath(engine.__file__), root))
try:
    import engine.rules

    print("  module  ", os.path.relpath(os.path.realpath(engine.rules.__file__), root))
except ModuleNotFoundError as error:
    print("  module   ModuleNotFoundError:", error)
PYTHON

changed=0
check() { # check EXPECTED ARGUMENT...: install so, then import with the other checkout first
    local expected=$1 seen
    shift
    echo "pip install ${*/.\/installed/.}"
    venv/bin/pip install --quiet --no-build-isolation --force-reinstall "$@"
    seen=$(PYTHONPATH=$scratch/other venv/bin/python report.py)
    echo "$seen"
    case $seen in
        *"other/engine/__init__.py"*"$expected"*) ;;
        *) changed=1 ;;
    esac
}

check "ModuleNotFoundError" ./installed
check "ModuleNotFoundError" -e ./installed --config-settings editable_mode=strict
check "installed/engine/rules.py" -e ./installed
if [ "$changed" -ne 0 ]; then
    echo "changed: a module comes from another place than described above" >&2
    exit 1
fi
