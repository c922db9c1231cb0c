"""What was good and what was luck in whole games: estimates without sight, the solver with sight.

`steps` goes through a game decision by decision, `blind` tries plays as a seat could that sees only
what it sees, `prices` says what a hand is worth in the auction, `review` looks back at a hand that
is over, and `words` says it.
"""
