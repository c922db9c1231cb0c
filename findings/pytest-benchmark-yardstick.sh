#!/usr/bin/env bash
# pytest-benchmark 5.3.1: a run that the gate refuses is the next run's yardstick.
#
# Guess: with --benchmark-autosave, --benchmark-compare and --benchmark-compare-fail together, a run
# whose tests fail or whose times have regressed is not what later runs are compared with: the gate
# stays red until the code is as fast again or somebody accepts the new times.
#
# Behaviour: every run is saved, whatever its outcome, and the latest saved run is the yardstick.
#  - A regression is red once. Running the same slow code again is green.
#  - A run that fails its own assertion is saved too. Here a broken sum returns at once; after it the
#    unchanged good code is refused as a regression.
# The second run in a job that repeats failures, or the next push, hides what the first has found.
#
# Seen (pytest-benchmark 5.3.1, pytest 9.2.0, Python 3.11.7):
#   good code, nothing saved yet           exit 0, saved runs: 1
#   slow code                              exit 1, saved runs: 2
#   the same slow code again               exit 0, saved runs: 3
#   good code                              exit 0, saved runs: 4
#   broken code, its assertion fails       exit 1, saved runs: 5
#   good code, as before                   exit 1, saved runs: 6
#
# Exits with 1 if one of these exit codes changes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet pytest==9.2.0 pytest-benchmark==5.3.1

cat >"$scratch/test_total.py" <<'PYTHON'
import os

CODE = os.environ["CODE"]


def total():
    if CODE == "broken":
        return 0
    for _ in range(20 if CODE == "slow" else 1):
        result = sum(range(2000))
    return result


def test_total(benchmark):
    assert benchmark(total) == 1999000
PYTHON

cd "$scratch"
changed=0
run() { # run WORDS CODE EXPECTED [OPTION...]: one run of the suite, its exit code and the saved runs
    local words=$1 code=$2 expected=$3 exit=0
    shift 3
    CODE=$code venv/bin/python -m pytest -q -p no:cacheprovider test_total.py \
        --benchmark-max-time=0.1 --benchmark-autosave "$@" >log 2>&1 || exit=$?
    printf '%-38s exit %d, saved runs: %d\n' "$words" "$exit" "$(find .benchmarks -name '*.json' | wc -l)"
    if [ "$exit" -ne "$expected" ]; then
        changed=1
        cat log
    fi
}

gate=(--benchmark-compare --benchmark-compare-fail=min:200%)
run "good code, nothing saved yet" good 0
run "slow code" slow 1 "${gate[@]}"
run "the same slow code again" slow 0 "${gate[@]}"
run "good code" good 0 "${gate[@]}"
run "broken code, its assertion fails" broken 1 "${gate[@]}"
run "good code, as before" good 1 "${gate[@]}"
if [ "$changed" -ne 0 ]; then
    echo "changed: an exit code is another than the one described above" >&2
    exit 1
fi
