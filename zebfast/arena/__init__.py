"""Players, matches and matrices: every deal both ways, won by points and by contract.

`specs` names players, `build` makes them, `match` plays two of them, `stats` counts. `matrix` plays
everyone against everyone, `ratings` makes Elo of it, `matrix_files` and `records` keep it.
`players.api` is any of the players for programs that play one game at a time.
`io` reads games and positions that were recorded elsewhere and checks them against the rules.
"""
