"""Players and matches: every deal played both ways, won by points.

`specs` names players, `build` makes them, `match` plays them, `stats` counts. `recorded` and
`replay` read games that were played elsewhere and check them against the rules.
"""
