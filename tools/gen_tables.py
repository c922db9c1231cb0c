"""Write csrc/tables.h and csrc/tables.c from the Python law. ``--check`` fails if one differs.

python tools/gen_tables.py            # rewrite
python tools/gen_tables.py --check    # used by the tests
"""

from __future__ import annotations

import sys

from generated import ROOT, main

sys.path.insert(0, str(ROOT))

from zebfast import rules

HEADER, TABLES = ROOT / "csrc" / "tables.h", ROOT / "csrc" / "tables.c"


def _rows(values: list[int], fmt: str, per_line: int = 14) -> str:
    lines = [values[i : i + per_line] for i in range(0, len(values), per_line)]
    return ",\n    ".join(", ".join(format(v, fmt) for v in line) for line in lines)


def _follow_mask(decl: int, suit: int) -> int:
    return sum(1 << d for d in range(rules.N_DOMINOES) if rules.follows(d, suit, decl))


def _beats_mask(decl: int, lead: int) -> int:
    suit = rules.led_suit(lead, decl)
    own = rules.rank(lead, suit, decl)
    return sum(1 << d for d in range(rules.N_DOMINOES) if rules.rank(d, suit, decl) > own)


def render_header() -> str:
    """Text of csrc/tables.h."""
    sizes = {
        "N_DOMINOES": rules.N_DOMINOES,
        "ALL_DOMINOES": f"0x{(1 << rules.N_DOMINOES) - 1:08X}u",
        "N_DECLARATIONS": rules.N_DECLARATIONS,
        "N_ALL_DECLARATIONS": f"{rules.N_ALL_DECLARATIONS} /* with those of house contracts */",
        "NELLO": f"{int(rules.HouseDeclaration.NELLO)} /* the first of those; so are all but */",
        "SEVENS": f"{int(rules.HouseDeclaration.SEVENS)} /* this one, the last */",
        "N_SEATS": rules.N_SEATS,
        "HAND_SIZE": f"{rules.HAND_SIZE} /* dominoes dealt to a seat */",
        "N_TRICKS": rules.N_TRICKS,
        "N_PLIES": f"{rules.N_PLIES} /* plays of a whole deal */",
        "TOTAL_POINTS": f"{rules.TOTAL_POINTS} /* of both teams together */",
        "HALF_POINTS": f"{rules.HALF_POINTS} /* of each team in a tie; more wins */",
        "CALLED_SUIT": rules.CALLED_SUIT,
    }
    return "\n".join(
        [
            "/* The rules of zebfast/rules as numbers and tables.",
            " * Written by tools/gen_tables.py. Do not edit. */",
            "#ifndef ZF_TABLES_H",
            "#define ZF_TABLES_H",
            "",
            "#include <stdint.h>",
            "",
            *(f"#define ZF_{name} {value}" for name, value in sizes.items()),
            "",
            "extern const uint8_t zf_count[ZF_N_DOMINOES]; /* points in a trick */",
            "/* Suit that a lead asks for; dominoes of a suit; strength in a trick, 0 = loses. */",
            "extern const uint8_t zf_led_suit[ZF_N_ALL_DECLARATIONS][32];",
            "extern const uint32_t zf_follow[ZF_N_ALL_DECLARATIONS][8];",
            "extern const uint8_t zf_rank[ZF_N_ALL_DECLARATIONS][8][32];",
            "/* The dominoes that beat a lead. */",
            "extern const uint32_t zf_beats[ZF_N_DECLARATIONS][32];",
            "",
            "#endif",
            "",
        ]
    )


def render_tables() -> str:
    """Text of csrc/tables.c."""
    out = [
        "/* Written by tools/gen_tables.py from zebfast/rules. Do not edit. */",
        '#include "tables.h"',
        "",
        "const uint8_t zf_count[ZF_N_DOMINOES] = {",
        f"    {_rows(list(rules.COUNT), 'd')},",
        "};",
        "",
        "const uint8_t zf_led_suit[ZF_N_ALL_DECLARATIONS][32] = {",
    ]
    for decl in range(rules.N_ALL_DECLARATIONS):
        suits = [rules.led_suit(d, decl) for d in range(rules.N_DOMINOES)]
        out.append(f"    {{{', '.join(map(str, suits))}}},")
    out += ["};", "", "const uint32_t zf_follow[ZF_N_ALL_DECLARATIONS][8] = {"]
    for decl in range(rules.N_ALL_DECLARATIONS):
        masks = [f"0x{_follow_mask(decl, suit):07x}" for suit in range(8)]
        out.append(f"    {{{', '.join(masks)}}},")
    out += ["};", "", "const uint8_t zf_rank[ZF_N_ALL_DECLARATIONS][8][32] = {"]
    for decl in range(rules.N_ALL_DECLARATIONS):
        out.append("    {")
        for suit in range(8):
            ranks = [rules.rank(d, suit, decl) for d in range(rules.N_DOMINOES)]
            out.append(f"        {{{', '.join(map(str, ranks))}}},")
        out.append("    },")
    out += ["};", "", "const uint32_t zf_beats[ZF_N_DECLARATIONS][32] = {"]
    for decl in range(rules.N_DECLARATIONS):
        masks = [f"0x{_beats_mask(decl, lead):07x}" for lead in range(rules.N_DOMINOES)]
        rows = [
            ", ".join(masks[i : i + rules.HAND_SIZE])
            for i in range(0, rules.N_DOMINOES, rules.HAND_SIZE)
        ]
        out.append("    {" + ",\n     ".join(rows) + "},")
    out += ["};", ""]
    return "\n".join(out)


if __name__ == "__main__":
    files = ((HEADER, render_header), (TABLES, render_tables))
    sys.exit(max(main(__doc__ or "", target, render) for target, render in files))
