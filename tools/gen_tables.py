"""Write csrc/tables.c from the Python law. ``--check`` fails if the file differs.

python tools/gen_tables.py            # rewrite
python tools/gen_tables.py --check    # used by the tests
"""

from __future__ import annotations

import sys

from generated import ROOT, main

sys.path.insert(0, str(ROOT))

from zebfast import rules

TARGET = ROOT / "csrc" / "tables.c"


def _rows(values: list[int], fmt: str, per_line: int = 14) -> str:
    lines = [values[i : i + per_line] for i in range(0, len(values), per_line)]
    return ",\n    ".join(", ".join(format(v, fmt) for v in line) for line in lines)


def _follow_mask(decl: int, suit: int) -> int:
    return sum(1 << d for d in range(rules.N_DOMINOES) if rules.follows(d, suit, decl))


def _beats_mask(decl: int, lead: int) -> int:
    suit = rules.led_suit(lead, decl)
    own = rules.rank(lead, suit, decl)
    return sum(1 << d for d in range(rules.N_DOMINOES) if rules.rank(d, suit, decl) > own)


def render() -> str:
    """Text of csrc/tables.c."""
    out = [
        "/* Written by tools/gen_tables.py from zebfast/rules. Do not edit. */",
        '#include "tables.h"',
        "",
        "const uint8_t zf_count[ZF_N_DOMINOES] = {",
        f"    {_rows(list(rules.COUNT), 'd')},",
        "};",
        "",
        "const uint8_t zf_led_suit[ZF_N_DECLARATIONS][32] = {",
    ]
    for decl in range(rules.N_DECLARATIONS):
        suits = [rules.led_suit(d, decl) for d in range(rules.N_DOMINOES)]
        out.append(f"    {{{', '.join(map(str, suits))}}},")
    out += ["};", "", "const uint32_t zf_follow[ZF_N_DECLARATIONS][8] = {"]
    for decl in range(rules.N_DECLARATIONS):
        masks = [f"0x{_follow_mask(decl, suit):07x}" for suit in range(8)]
        out.append(f"    {{{', '.join(masks)}}},")
    out += ["};", "", "const uint8_t zf_rank[ZF_N_DECLARATIONS][8][32] = {"]
    for decl in range(rules.N_DECLARATIONS):
        out.append("    {")
        for suit in range(8):
            ranks = [rules.rank(d, suit, decl) for d in range(rules.N_DOMINOES)]
            out.append(f"        {{{', '.join(map(str, ranks))}}},")
        out.append("    },")
    out += ["};", "", "const uint32_t zf_beats[ZF_N_DECLARATIONS][32] = {"]
    for decl in range(rules.N_DECLARATIONS):
        masks = [f"0x{_beats_mask(decl, lead):07x}" for lead in range(rules.N_DOMINOES)]
        rows = [", ".join(masks[i : i + 7]) for i in range(0, rules.N_DOMINOES, 7)]
        out.append("    {" + ",\n     ".join(rows) + "},")
    out += ["};", ""]
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", TARGET, render))
