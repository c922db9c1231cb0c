"""Write tests/golden/trees.json: whole search trees of the slow twin.

python tools/gen_trees.py            # rewrite
python tools/gen_trees.py --check
"""

from __future__ import annotations

import json
import sys
from typing import Any

from generated import ROOT, main

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from slow_tree import SlowTree, decision, hashed_evaluate  # noqa: E402

from zebfast.core.options import SearchOptions  # noqa: E402

TARGET = ROOT / "tests" / "golden" / "trees.json"
TRUE_DEAL = {"worlds": "true", "n_worlds": 1, "exact_tricks": 0}
CASES: tuple[dict[str, Any], ...] = (
    {"seed": 1, "plies": 0, "n_simulations": 30, **TRUE_DEAL},
    {"seed": 2, "plies": 9, "n_simulations": 40, **TRUE_DEAL},
    {"seed": 3, "plies": 18, "n_simulations": 40, **TRUE_DEAL},
    {"seed": 4, "plies": 22, "n_simulations": 60, **TRUE_DEAL},
    {"seed": 2, "plies": 9, "n_simulations": 40, **TRUE_DEAL, "exact_tricks": 3},
    {"seed": 1, "plies": 0, "n_simulations": 30, **TRUE_DEAL, "worlds": "sampled"},
    {"seed": 2, "plies": 9, "n_simulations": 40, "worlds": "sampled", "n_worlds": 4,
     "exact_tricks": 0},
    {"seed": 3, "plies": 13, "n_simulations": 40, "worlds": "sampled", "n_worlds": 16,
     "exact_tricks": 3},
    {"seed": 4, "plies": 22, "n_simulations": 60, "worlds": "sampled", "n_worlds": 60,
     "exact_tricks": 1},
)  # fmt: skip


def render() -> str:
    """One case a line: all but the nodes says how to make it again."""
    cases = []
    for case in CASES:
        position = decision(case["seed"], case["plies"])
        assert position is not None
        names = ("n_simulations", "n_worlds", "exact_tricks")
        options = SearchOptions(**{name: case[name] for name in names})
        tree = SlowTree(position, options, worlds=case["worlds"])
        tree.search(hashed_evaluate)
        cases.append(json.dumps({**case, "nodes": tree.dump()}))
    return "[\n" + ",\n".join(cases) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", TARGET, render))
