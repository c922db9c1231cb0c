"""Write tests/golden/perft.json: numbers of legal play sequences per deal, declaration and depth.

python tools/gen_perft.py            # rewrite
python tools/gen_perft.py --check
"""

from __future__ import annotations

import json
import sys

from generated import ROOT, main

sys.path.insert(0, str(ROOT))

from zebfast import rules
from zebfast.core.engine import Game

TARGET = ROOT / "tests" / "golden" / "perft.json"
DEPTH = 10


def render() -> str:
    """One line a case, so that a changed count shows in a diff."""
    cases = []
    for decl in range(rules.N_DECLARATIONS):
        seed = 4200 + decl
        hands, _, leader = rules.deal(seed, 0)
        game = Game(hands, decl, leader)
        counts = [game.perft(depth) for depth in range(1, DEPTH + 1)]
        cases.append(json.dumps({"seed": seed, "decl": decl, "counts": counts}))
    return "[\n" + ",\n".join(cases) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", TARGET, render))
