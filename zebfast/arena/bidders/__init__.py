"""Bidders: what calls and declares in whole games, for many games at once.

Reading order: `auctions` (what a seat that is to call or to declare knows), `base` (what a bidder
is), `prices` (what declaring is worth by a network), `lowest`, `rule` and `open_handed` (the
yardsticks), `worth`, `race` and `value` (the bidder that zebfast plays with), `specs`.

A price of solved layouts is a yardstick's and never shown; see `open_handed`.
"""
