"""Write the C structs of core/options.py and what fills them. ``--check`` fails if a file differs.

python tools/gen_options.py            # rewrite csrc/options.h and zebfast/core/options.pxd
python tools/gen_options.py --check    # used by the tests
"""

from __future__ import annotations

import sys
import textwrap
from dataclasses import fields
from typing import Any

from generated import ROOT, main

sys.path.insert(0, str(ROOT))

from zebfast.core.options import SearchOptions, TeachingOptions
from zebfast.system.settings import Setting, hints_of, setting_of

#: The records, and what their structs and fillers are called.
RECORDS = ((SearchOptions, "zf_search", "search_struct"),
           (TeachingOptions, "zf_label_options", "label_options"))  # fmt: skip
MADE = "Written by tools/gen_options.py from zebfast/core/options.py. Do not edit."


def _settings(record: Any) -> list[tuple[str, Any, Setting]]:
    """Name, type and setting of every field."""
    return [(each.name, hints_of(record)[each.name], setting_of(each)) for each in fields(record)]


def _enum(name: str, about: Setting) -> list[str]:
    """The members of a C enum of the setting's choices."""
    return [f"ZF_{name}_{choice}".upper() for choice in about.choices]


def _c_type(name: str, hint: Any, about: Setting, switch: str) -> str:
    if about.choices:
        return f"zf_{name}"
    return {float: "float", int: "uint32_t", bool: switch}[hint]


def header() -> str:
    """Text of csrc/options.h."""
    out = [f"/* {MADE} */", "#ifndef ZF_OPTIONS_H", "#define ZF_OPTIONS_H", ""]
    out += ["#include <stdbool.h>", "#include <stdint.h>"]
    for record, struct, _ in RECORDS:
        for name, _, about in _settings(record):
            if about.choices:
                out += ["", f"typedef enum {{ {', '.join(_enum(name, about))} }} zf_{name};"]
        out += ["", "typedef struct {"]
        for name, hint, about in _settings(record):
            out += textwrap.wrap(about.help + " */", 100, initial_indent="    /* ",
                                 subsequent_indent="     * ")  # fmt: skip
            out.append(f"    {_c_type(name, hint, about, 'bool')} {name};")
        out.append(f"}} {struct};")
    return "\n".join([*out, "", "#endif", ""])


def declarations() -> str:
    """Text of zebfast/core/options.pxd."""
    out = [f"# {MADE}", "from libc.stdint cimport uint32_t", "", ""]
    out.append('cdef extern from "options.h" nogil:')
    for record, struct, _ in RECORDS:
        for name, _, about in _settings(record):
            if about.choices:
                out.append(f"    ctypedef enum zf_{name}:")
                out += [*(f"        {member}" for member in _enum(name, about)), ""]
        out.append(f"    ctypedef struct {struct}:")
        out += [
            f"        {_c_type(n, hint, about, 'bint')} {n}" for n, hint, about in _settings(record)
        ]
        out.append("")
    for record, struct, filler in RECORDS:
        out += ["", f"cdef inline {struct} {filler}(object options) except *:"]
        out += [f'    """The C twin of checked {record.__name__}."""', f"    cdef {struct} made"]
        for name, _, about in _settings(record):
            if about.choices:
                first, second = _enum(name, about)
                value = f'{first} if options.{name} == "{about.choices[0]}" else {second}'
            else:
                value = f"options.{name}"
            out.append(f"    made.{name} = {value}")
        out += ["    return made", ""]
    return "\n".join(out)


if __name__ == "__main__":
    targets = {"csrc/options.h": header, "zebfast/core/options.pxd": declarations}
    sys.exit(max(main(__doc__ or "", ROOT / name, made) for name, made in targets.items()))
