"""The network that comes with the package: `zeb` among players, `shipped` in place of a file.

It is one safetensors file beside this module. Its header says where it came from: `provenance`
holds the recipe, seed, commit and records, and what it won against plain players.
tools/ship_weights.py writes it and `make weights` makes it anew. Importing this module needs no
torch; `zebfast.net.checkpoint.load(PATH)` reads the file.
"""

from __future__ import annotations

from pathlib import Path

NAME = "shipped"  # what commands take in place of a checkpoint file
PATH = Path(__file__).with_name("zeb.safetensors")
MAX_BYTES = 4_000_000  # every wheel and every clone carries it
BIDS = Path(__file__).with_name("bids.safetensors")  # of zebfast.arena.bidders; tools/bids.py
