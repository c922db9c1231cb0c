"""Evaluation labels: games of the E[Q] player against the network, written as examples."""
