"""The networks that come with the package: `zeb` among players, `shipped` in place of a file; and
`whole-game`, which sees contracts, as the source of a player and in place of a file.

They are safetensors files beside this module. Their headers say where they came from: `provenance`
holds the recipe, seed, commit and records, and what they won against plain players.
tools/ship_weights.py writes them and `make weights` makes the first anew. Importing this module
needs no torch; `zebfast.net.checkpoint.load(PATH)` reads a file.
"""

from __future__ import annotations

from pathlib import Path

NAME = "shipped"  # what commands take in place of a checkpoint file
PATH = Path(__file__).with_name("zeb.safetensors")
WHOLE = "whole-game"
WHOLE_PATH = Path(__file__).with_name("whole.safetensors")
FILES = {NAME: PATH, WHOLE: WHOLE_PATH}  # by the words for them
MAX_BYTES = 4_000_000  # every wheel and every clone carries it
BIDS = Path(__file__).with_name("bids.safetensors")  # of zebfast.arena.bidders; tools/bids.py
