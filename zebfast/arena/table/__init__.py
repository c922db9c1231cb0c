"""Whole games at a table: players that call, declare and play, ours and programs of others.

A player is asked with what its seat knows (a `SeatView`) and nothing else. `protocol` writes those
questions as lines of JSON, so that any program can answer them; `seat` answers them with a player
of ours; `foreign` asks a program; `match` plays paired games between any two.
"""
