"""Write tests/golden/trees.json: whole search trees of the slow twin.

python tools/gen_trees.py            # rewrite
python tools/gen_trees.py --check
"""

from __future__ import annotations

import json
import sys

from generated import ROOT, main

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from slow_tree import SlowTree, decision, hashed_evaluate  # noqa: E402

from zebfast.core.options import SearchOptions  # noqa: E402

TARGET = ROOT / "tests" / "golden" / "trees.json"
CASES = ((1, 0, 30), (2, 9, 40), (3, 18, 40), (4, 22, 60))


def render() -> str:
    """One case a line: seed, plies and n_simulations say how to make it again."""
    cases = []
    for seed, plies, n_simulations in CASES:
        position = decision(seed, plies)
        assert position is not None
        tree = SlowTree(position, SearchOptions(n_simulations=n_simulations))
        tree.search(hashed_evaluate)
        case = {"seed": seed, "plies": plies, "n_simulations": n_simulations, "nodes": tree.dump()}
        cases.append(json.dumps(case))
    return "[\n" + ",\n".join(cases) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", TARGET, render))
